"""Test doubles and tools for tests of code that uses llmwatch."""
