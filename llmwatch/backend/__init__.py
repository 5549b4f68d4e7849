"""Weave without an account: Weave's trace server, embedded on the store."""
