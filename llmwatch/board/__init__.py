"""Boards: a page over a table that stays live, from a spec that people can read, edit, save and share."""
