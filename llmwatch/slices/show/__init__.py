"""How slices and changes are shown: on a terminal, and in a notebook."""
