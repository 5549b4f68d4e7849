"""Log-probabilities of a streamed chat completion, which Weave's openai integration loses.

Its accumulator keeps those of the last chunk only, and then cannot put the completion together from
them: the row would hold a bare chunk. Its two functions are asked as before, around the log-probabilities.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

_MODULE = "weave.integrations.openai.openai_sdk"
_GATHERED = "_llmwatch_logprobs"
_FIELDS = ("content", "refusal")

Logprobs = dict[int, dict[str, list[Any]]]
"""By the index of a choice: the entries of its tokens so far."""


def install() -> None:
    """Mend the integration, now or when Weave patches openai. Again: nothing."""
    from weave.integrations import patch

    mapping = patch.INTEGRATION_MODULE_MAPPING
    if not isinstance(mapping["openai"], _PatchOpenAI):
        mapping["openai"] = _PatchOpenAI(mapping["openai"])
    if _MODULE in sys.modules:
        _mend(sys.modules[_MODULE])


class _PatchOpenAI:
    """Weave's `patch_openai`, after which the integration is mended."""

    def __init__(self, patch: Callable[[], None]) -> None:
        self._patch = patch

    def __call__(self) -> None:
        self._patch()
        if _MODULE in sys.modules:
            _mend(sys.modules[_MODULE])


def _mend(module: Any) -> None:
    # The integration looks its accumulator up by name, chunk by chunk.
    if not isinstance(module.openai_accumulator, _Accumulator):
        module.openai_accumulator = _Accumulator(module.openai_accumulator)


class _Accumulator:
    """Weave's accumulator, asked without the log-probabilities, which are kept beside its state."""

    def __init__(self, accumulate: Callable[..., Any]) -> None:
        self._accumulate = accumulate

    def __call__(self, state: Any, chunk: Any, **options: Any) -> Any:
        gathered: Logprobs = getattr(state, _GATHERED, {})
        _gather(gathered, chunk)
        if state is not None:
            _show(state, {})
        try:
            state = self._accumulate(state, _without_logprobs(chunk), **options)
        except StopIteration as last:  # its way to say: that was all
            _show(last.value, gathered)
            raise
        if gathered:
            _show(state, gathered)
            object.__setattr__(state, _GATHERED, gathered)
        return state


def _gather(gathered: Logprobs, chunk: Any) -> None:
    for choice in getattr(chunk, "choices", None) or ():
        if choice.logprobs is None:
            continue
        fields = gathered.setdefault(choice.index, {})
        for name in _FIELDS:
            entries = getattr(choice.logprobs, name, None) or ()
            if entries:
                fields.setdefault(name, []).extend(each.model_dump() for each in entries)


def _without_logprobs(chunk: Any) -> Any:
    """The chunk itself is the user's: it is copied where it has to change."""
    choices = getattr(chunk, "choices", None) or ()
    if all(choice.logprobs is None for choice in choices):
        return chunk
    bare = [choice.model_copy(update={"logprobs": None}) for choice in choices]
    return chunk.model_copy(update={"choices": bare})


def _show(state: Any, gathered: Logprobs) -> None:
    """As plain dicts: the class that a chunk has for them does not fit into a completion."""
    for choice in state.choices:
        choice.logprobs = gathered.get(choice.index)
