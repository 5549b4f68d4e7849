"""What a stream's chunks add up to in its row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmwatch import faults

_MOST_CHUNKS = 10_000


class Chunks:
    """Collects the chunks of one stream; with an accumulator (Weave's: state, chunk -> state) asks that."""

    __slots__ = ("_accumulate", "_dropped", "_items", "_state")

    def __init__(self, accumulate: Callable[[Any, Any], Any] | None) -> None:
        self._accumulate = accumulate
        self._state: Any = None
        self._items: list[Any] = []
        self._dropped = 0

    def add(self, chunk: Any) -> None:
        if self._accumulate is not None:
            try:
                self._state = self._accumulate(self._state, chunk)
            except (StopIteration, StopAsyncIteration) as stop:  # Weave's way to say: that was all
                self._state = getattr(stop, "value", self._state)
            except Exception as error:  # noqa: BLE001 - the user's accumulator; the stream goes on
                faults.report("an accumulator failed; its row holds what it had", error)
        elif len(self._items) < _MOST_CHUNKS:
            self._items.append(chunk)
        else:
            self._dropped += 1

    def output(self) -> Any:
        """Text when all chunks are text, one completion of a completion's chunks, else their list."""
        if self._accumulate is not None:
            return self._state
        items = self._items
        if self._dropped:
            return [*items, f"… [cut: {self._dropped} more chunks]"]
        if items and all(type(item) is str for item in items):
            return "".join(items)
        if items and all(
            getattr(item, "object", None) == "chat.completion.chunk" for item in items
        ):
            return _completion(items)
        last = items[-1] if items else None
        if getattr(last, "type", None) == "response.completed":
            return last.response  # type: ignore[union-attr]
        return items


def _completion(chunks: list[Any]) -> dict[str, Any]:
    """The completion that OpenAI would have sent in one piece."""
    texts: dict[int, list[str]] = {}
    reasons: dict[int, str] = {}
    usage = None
    for chunk in chunks:
        usage = getattr(chunk, "usage", None) or usage
        for choice in chunk.choices:
            texts.setdefault(choice.index, []).append(getattr(choice.delta, "content", None) or "")
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
    whole = {
        "id": chunks[0].id,
        "object": "chat.completion",
        "model": chunks[0].model,
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": "".join(parts)},
                "finish_reason": reasons.get(index),
            }
            for index, parts in sorted(texts.items())
        ],
    }
    if usage is not None:
        whole["usage"] = usage.model_dump(exclude_unset=True)
    return whole
