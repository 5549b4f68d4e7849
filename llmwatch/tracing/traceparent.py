"""W3C trace context: a trace that goes on in another process."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?$")
_STATE = re.compile(r"(?:^|,)\s*llmwatch=([0-9a-f]{32})\s*(?:,|$)")


def parse(traceparent: str, tracestate: str | None = None) -> tuple[str, str] | None:
    """The (trace id, parent id) that the headers name; None when they are not valid.

    A parent's id does not fit into `traceparent`: ours stands in `tracestate`. Without it the parent is a span of
    some other tool, named by its 16 digits.
    """
    header = _HEADER.match(traceparent.strip().lower())
    if header is None or not header[1].strip("0") or not header[2].strip("0"):
        return None
    state = _STATE.search((tracestate or "").lower())
    if state is not None and state[1].endswith(header[2]):
        return _dashed(header[1]), _dashed(state[1])
    return _dashed(header[1]), header[2]


def headers(trace_id: str, row_id: str) -> dict[str, str]:
    """The two headers that make a row the parent of what another process records."""
    own = row_id.replace("-", "")
    return {
        "traceparent": f"00-{trace_id.replace('-', '')}-{own[-16:]}-01",
        "tracestate": f"llmwatch={own}",
    }


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
