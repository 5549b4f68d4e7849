"""How a report is shown: on a terminal, in a notebook, as one page."""
