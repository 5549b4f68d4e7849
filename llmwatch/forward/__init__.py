"""What the spool recorded, shipped to W&B Weave: by the worker, at least once, through Weave's own binding."""
