"""Drift: whether the prompts of a window differ from a baseline, by how much, and which ones are new."""
