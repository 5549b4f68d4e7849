"""The circuit breaker: calls that fail are not made for a while, and a fallback answers instead."""
