"""`llmwatch demo`: the help desk of a made-up shop, two weeks of its traffic, and what went wrong in them."""

from __future__ import annotations
