"""Drift: has what the model is asked, or what it answers, changed?"""
