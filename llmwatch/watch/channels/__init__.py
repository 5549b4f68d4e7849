"""Where messages go. Each channel puts a message into its own form, and raises `Undelivered` when it could not send it."""

from __future__ import annotations
