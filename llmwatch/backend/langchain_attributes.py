"""Attributes of a LangChain run, which Weave's langchain integration writes where everybody's are.

Its tracer adds a run's name, ids and kind to the attributes of the context itself, and so to every later call there: to
rows of traced functions around the run, and (outside of any block) of the whole process. Its tracer is asked as before, with
attributes of its own; what it reads back of the last run, to tell batches apart, is kept for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

_MODULE = "weave.integrations.langchain.langchain"
_NAMES = ("langchain", "langchain_core")
_READ_BACK = ("lc_name", "parent_run_id")

_last_run: ContextVar[dict[str, Any]] = ContextVar("llmwatch_last_langchain_run")


def install() -> None:
    """Mend the integration, now or when Weave patches LangChain. Again: nothing."""
    from weave.integrations import patch

    mapping = patch.INTEGRATION_MODULE_MAPPING
    for name in _NAMES:
        if name in mapping and not isinstance(mapping[name], _PatchLangChain):
            mapping[name] = _PatchLangChain(mapping[name])
    _mend()


class _PatchLangChain:
    """Weave's `patch_langchain`, after which the integration is mended."""

    def __init__(self, patch: Callable[[], None]) -> None:
        self._patch = patch

    def __call__(self) -> None:
        self._patch()
        _mend()


def _mend() -> None:
    tracer = getattr(sys.modules.get(_MODULE), "WeaveTracer", None)
    start = getattr(tracer, "_persist_run_single", None)
    if start is not None and not hasattr(start, "_llmwatch"):
        tracer._persist_run_single = _apart(start)  # type: ignore[union-attr] # it has the method


def _apart(start: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    from weave.trace.context.call_context import call_attributes

    def started(tracer: Any, run: Any) -> None:
        outside = call_attributes.get()
        own = {**outside, **_last_run.get({}), "weave": {**(outside.get("weave") or {})}}
        if not own["weave"]:
            del own["weave"]
        token = call_attributes.set(own)
        try:
            start(tracer, run)
        finally:
            call_attributes.reset(token)
            _last_run.set({name: own[name] for name in _READ_BACK if name in own})

    started._llmwatch = True  # type: ignore[attr-defined]
    return started
