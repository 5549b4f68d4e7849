"""The store over HTTP: a Weave trace server for other processes, and what stands before it."""
