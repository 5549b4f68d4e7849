"""Tables of rows: written to a spool, moved to a lake, read as one."""
