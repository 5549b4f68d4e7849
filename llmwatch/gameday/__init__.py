"""`llmwatch gameday`: faults put into a copy of the traffic, and which alert tells of each, how soon, and which of none."""

from __future__ import annotations
