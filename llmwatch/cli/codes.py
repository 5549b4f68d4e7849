"""What the exit code of a command means."""

from __future__ import annotations

OK = 0
WRONG = 1
"""What was asked about is wrong, or is not there."""
USAGE = 2
"""The command was not understood; nothing was done."""
INCOMPLETE = 3
"""Part of it was done; run it again."""
