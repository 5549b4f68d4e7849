"""Production monitoring for W&B Weave, with no account needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmwatch import lazily as _lazily
from llmwatch.backend import seam as _seam

if TYPE_CHECKING:
    from llmwatch import canary, datasets, drift, slices, watch
    from llmwatch.backend.session import finish, init
    from llmwatch.board.spec import Board
    from llmwatch.circuit.breaker import breaker
    from llmwatch.errors import (
        BreakerOpen,
        InvalidBoard,
        InvalidName,
        LlmwatchError,
        MissingExtra,
        NotFound,
        QueryRefused,
        SettingsError,
        StoreError,
    )
    from llmwatch.forward.sampler import AdaptiveSampler
    from llmwatch.remarks.say import feedback, label
    from llmwatch.scoring.past import score
    from llmwatch.store import open_store
    from llmwatch.stream.table import StreamTable
    from llmwatch.tracing.context import context
    from llmwatch.tracing.decorator import traced
    from llmwatch.tracing.guardrails import Guardrail, GuardrailBlocked
    from llmwatch.tracing.record import Record
    from llmwatch.tracing.recorder import current_row
    from llmwatch.tracing.row import Row
    from llmwatch.tracing.threads import Thread, ThreadPoolExecutor

__version__ = "0.1.0"

__all__ = [
    "AdaptiveSampler",
    "Board",
    "BreakerOpen",
    "Guardrail",
    "GuardrailBlocked",
    "InvalidBoard",
    "InvalidName",
    "LlmwatchError",
    "MissingExtra",
    "NotFound",
    "QueryRefused",
    "Record",
    "Row",
    "SettingsError",
    "StoreError",
    "StreamTable",
    "Thread",
    "ThreadPoolExecutor",
    "breaker",
    "canary",
    "context",
    "current_row",
    "datasets",
    "drift",
    "feedback",
    "finish",
    "init",
    "label",
    "open_store",
    "score",
    "slices",
    "traced",
    "watch",
]

# A name is imported when it is first asked for, so that `import llmwatch` costs next to nothing.
_WHERE = {
    "Board": "llmwatch.board.spec",
    "BreakerOpen": "llmwatch.errors",
    "AdaptiveSampler": "llmwatch.forward.sampler",
    "Guardrail": "llmwatch.tracing.guardrails",
    "GuardrailBlocked": "llmwatch.tracing.guardrails",
    "InvalidBoard": "llmwatch.errors",
    "InvalidName": "llmwatch.errors",
    "LlmwatchError": "llmwatch.errors",
    "MissingExtra": "llmwatch.errors",
    "NotFound": "llmwatch.errors",
    "QueryRefused": "llmwatch.errors",
    "Record": "llmwatch.tracing.record",
    "Row": "llmwatch.tracing.row",
    "SettingsError": "llmwatch.errors",
    "StoreError": "llmwatch.errors",
    "StreamTable": "llmwatch.stream.table",
    "Thread": "llmwatch.tracing.threads",
    "ThreadPoolExecutor": "llmwatch.tracing.threads",
    "breaker": "llmwatch.circuit.breaker",
    "context": "llmwatch.tracing.context",
    "current_row": "llmwatch.tracing.recorder",
    "feedback": "llmwatch.remarks.say",
    "finish": "llmwatch.backend.session",
    "init": "llmwatch.backend.session",
    "label": "llmwatch.remarks.say",
    "open_store": "llmwatch.store",
    "score": "llmwatch.scoring.past",
    "traced": "llmwatch.tracing.decorator",
}

_PARTS = frozenset({"canary", "datasets", "drift", "slices", "watch"})

# `weave.init` without a W&B key is ours, whichever of the two packages is imported first.
_seam.install()

__getattr__, __dir__ = _lazily.names(__name__, _WHERE, _PARTS)
