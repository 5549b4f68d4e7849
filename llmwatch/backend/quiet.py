"""Keeping Weave off the network: settings that it reads when it is imported, and what it started already."""

from __future__ import annotations

import os
import sys

_BEFORE_IMPORT = {
    # Weave and wandb look up their error-reporting host again and again without this
    "WANDB_ERROR_REPORTING": "false",
    # LiteLLM fetches its price list when imported
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    # the links lead to a W&B page that has no such call
    "WEAVE_PRINT_CALL_LINK": "false",
}


def prepare() -> None:
    """Make Weave quiet, whether it is imported already or will be. What the user set stays."""
    for name, value in _BEFORE_IMPORT.items():
        os.environ.setdefault(name, value)
    if "weave.telemetry.trace_sentry" in sys.modules:
        from weave.telemetry.trace_sentry import global_trace_sentry

        global_trace_sentry._disabled = True
