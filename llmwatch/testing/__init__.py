"""Test doubles and tools for tests of code that uses llmwatch."""

from __future__ import annotations

from llmwatch.testing.assertions import assert_rows
from llmwatch.testing.exact import START, Time, deterministic
from llmwatch.testing.stores import temporary_store

__all__ = ["START", "Time", "assert_rows", "deterministic", "temporary_store"]
