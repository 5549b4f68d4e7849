"""Names that people log requests under one at a time: a sampled request is a point of the history under them, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmwatch.watch.sinks.options import COLUMNS

if TYPE_CHECKING:
    from llmwatch.watch.sinks.requests import Request

GRADIO, STREAMLIT = "gradio", "streamlit"


def point_of(request: Request) -> dict[str, Any]:
    """What is known of a request, by its names; a demo's have names of their own beside."""
    told = dict(zip(COLUMNS, request.values, strict=True))
    found = {
        "inference/latency_ms": told["latency_ms"],
        "inference/success": int(not request.failed),
        "inference/error": request.error,
        "inference/timestamp": request.at_s,
        "inference/tokens_allocated": told["tokens"],
    }
    if request.via == GRADIO:
        found |= {
            "demo/latency_ms": told["latency_ms"],
            "demo/query_length": request.query_length,
            "demo/prediction": told["prediction"],
            "demo/image": told["image"],
        }
    if request.via == STREAMLIT:
        found |= {
            "streamlit/query": told["query"],
            "streamlit/tokens": told["tokens"],
            "streamlit/image": told["image"],
        }
    return {name: value for name, value in found.items() if value is not None}
