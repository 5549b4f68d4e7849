"""Streams under guardrails: chunks are held back until what follows cannot change what they mean.

Of each stream the last `window` characters are held, so that what a check finds, if it is no longer than that, is found
whole before any of it leaves. What was checked leaves in the chunks it came in, unless text has to be taken out.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llmwatch.tracing.guardrails import Guardrail, Judged, judge, judge_async

if TYPE_CHECKING:
    from typing_extensions import Self

    from llmwatch.tracing.guarded import Guards


_TRIES = 12


def guarded(guards: Guards, stream: Any, inputs: Mapping[str, Any]) -> Any:
    """A stream that a function returned, as the caller may have it."""
    if not guards.after:
        return stream
    if hasattr(stream, "__anext__"):
        return AsyncGuardedStream(stream, checked_async(guards, stream, inputs))
    return GuardedStream(stream, checked(guards, stream, inputs))


def checked(guards: Guards, stream: Any, inputs: Mapping[str, Any]) -> Iterator[Any]:
    """The chunks that every guardrail lets pass."""
    chunks: Iterator[Any] = iter(stream)
    for guardrail in guards.after:
        chunks = _through(guards, guardrail, chunks, inputs)
    try:
        yield from chunks
    finally:
        with suppress(AttributeError):
            stream.close()


def checked_async(guards: Guards, stream: Any, inputs: Mapping[str, Any]) -> AsyncIterator[Any]:
    chunks: AsyncIterator[Any] = stream.__aiter__()
    for guardrail in guards.after:
        chunks = _through_async(guards, guardrail, chunks, inputs)
    return _closing(chunks, stream)


async def _closing(chunks: AsyncIterator[Any], stream: Any) -> AsyncIterator[Any]:
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        close = getattr(stream, "aclose", None) or getattr(stream, "close", None)
        if close is not None and hasattr(closing := close(), "__await__"):
            await closing


def _through(
    guards: Guards, guardrail: Guardrail, chunks: Iterator[Any], inputs: Mapping[str, Any]
) -> Iterator[Any]:
    window = Window(guards, guardrail)
    for chunk in chunks:
        if window.take(chunk):
            yield from window.settle(judge(guardrail, window.text, "output", inputs), inputs)
        if window.over:
            return
    yield from window.settle(judge(guardrail, window.text, "output", inputs), inputs, last=True)


async def _through_async(
    guards: Guards, guardrail: Guardrail, chunks: AsyncIterator[Any], inputs: Mapping[str, Any]
) -> AsyncIterator[Any]:
    window = Window(guards, guardrail)
    async for chunk in chunks:
        if window.take(chunk):
            found = await judge_async(guardrail, window.text, "output", inputs)
            for released in window.settle(found, inputs):
                yield released
        if window.over:
            return
    found = await judge_async(guardrail, window.text, "output", inputs)
    for released in window.settle(found, inputs, last=True):
        yield released


class Window:
    """The chunks of one stream that one guardrail has not let go."""

    def __init__(self, guards: Guards, guardrail: Guardrail) -> None:
        self._guards, self._guardrail = guards, guardrail
        self._held: list[Any] = []
        self._length = 0
        self._before = ""
        self._flagged: set[str] = set()
        self.over = False

    @property
    def text(self) -> str:
        """What is to be checked: the held text, and before it what left last."""
        return self._before + "".join(map(text_of, self._held))

    def take(self, chunk: Any) -> bool:
        """Hold a chunk; True when it is time to check."""
        self._held.append(chunk)
        self._length += len(text_of(chunk))
        return self._length >= 2 * self._guardrail.window

    def settle(self, found: Judged, inputs: Mapping[str, Any], *, last: bool = False) -> list[Any]:
        """The chunks that may leave after a check; raises `GuardrailBlocked`."""
        if found.ok or self._guardrail.action == "flag":
            self._decide_once(found)
            return self._let_go(last)
        if self._guardrail.action == "redact" and found.can_redact:
            self._decide_once(found)
            return self._let_go_redacted(inputs, last)
        self.over = True
        instead = self._guards.released(self._guardrail, found, self.text, stream=True)
        return [*self._same_kind(instead)]

    def _decide_once(self, found: Judged) -> None:
        """The same finding is in several windows."""
        reasons = {*found.reasons, *found.flagged}
        if reasons - self._flagged:
            self._flagged |= reasons
            self._guards.decided(self._guardrail, found, "output")

    def _let_go(self, last: bool) -> list[Any]:
        keep = 0 if last else self._guardrail.window
        released: list[Any] = []
        while self._held and self._length - len(text_of(self._held[0])) >= keep:
            chunk = self._held.pop(0)
            self._length -= len(text_of(chunk))
            released.append(chunk)
        self._remember("".join(map(text_of, released)))
        return released

    def _remember(self, left: str) -> None:
        self._before = (self._before + left)[-self._guardrail.window :]

    def _let_go_redacted(self, inputs: Mapping[str, Any], last: bool) -> list[Any]:
        """The held text up to a place that nothing found lies across, without what was found."""
        held = "".join(map(text_of, self._held))
        end = len(held) if last else self._cut(held, inputs)
        if not end:
            return []
        clean = self._redacted(held[:end], inputs)
        chunks, self._held = self._held, []
        rest = held[end:]
        released = [*_with_text(chunks, clean)]
        if rest:
            self._held = [_copy_with(chunks[-1], rest)]
        self._length = len(rest)
        self._before = ""  # it is settled: what was found there is gone
        return released

    def _cut(self, held: str, inputs: Mapping[str, Any]) -> int:
        """The last place at which both sides, checked apart, hold the same as the whole."""
        whole = self._redacted(held, inputs)
        for end in _places(held, len(held) - self._guardrail.window):
            if self._redacted(held[:end], inputs) + self._redacted(held[end:], inputs) == whole:
                return end
        return 0

    def _redacted(self, text: str, inputs: Mapping[str, Any]) -> str:
        found = judge(self._guardrail, text, "output", inputs)
        return str(found.without) if not found.ok and found.can_redact else text

    def _same_kind(self, instead: Any) -> Iterator[Any]:
        """A fallback text in a chunk such as the stream has, where it has chunks of its own kind."""
        chunk = next((each for each in self._held if text_of(each)), None)
        if isinstance(instead, str) and chunk is not None and not isinstance(chunk, str):
            yield _copy_with(chunk, instead)
        else:
            yield instead


def _places(text: str, end: int) -> Iterator[int]:
    """Where a text may be cut: between its last words, else (where it has none) between characters."""
    tried = 0
    place = end
    while place > 0 and tried < _TRIES:
        place = max(text.rfind(" ", 0, place), text.rfind("\n", 0, place))
        tried += 1
        if place >= 0:
            yield place + 1
    if len(text) > 4 * end > 0 or tried < _TRIES:
        yield from range(end, max(0, end - 4 * _TRIES), -1)


# --- the text of a chunk -----------------------------------------------------------------


def text_of(chunk: Any) -> str:
    """The text that a chunk adds: a text itself, or one of openai's."""
    if isinstance(chunk, str):
        return chunk
    if isinstance(chunk, Mapping):
        return _text_of_mapping(chunk)
    if (choices := getattr(chunk, "choices", None)) is not None:
        content = getattr(getattr(choices[0], "delta", None), "content", None) if choices else None
        return content if isinstance(content, str) else ""
    delta = getattr(chunk, "delta", None)
    return delta if isinstance(delta, str) else ""


def _text_of_mapping(chunk: Mapping[str, Any]) -> str:
    for key in ("content", "text", "delta"):
        if isinstance(chunk.get(key), str):
            return str(chunk[key])
    choices = chunk.get("choices")
    delta = choices[0].get("delta") if isinstance(choices, list) and choices else None
    content = delta.get("content") if isinstance(delta, Mapping) else None
    return content if isinstance(content, str) else ""


def _with_text(chunks: list[Any], text: str) -> Iterator[Any]:
    """The chunks with all their text in the first that has any; those without text are as they were."""
    placed = False
    for chunk in chunks:
        if not text_of(chunk):
            yield chunk
        elif not placed:
            placed = True
            yield _copy_with(chunk, text)


def _copy_with(chunk: Any, text: str) -> Any:
    """A chunk of the same kind with another text."""
    if isinstance(chunk, str):
        return text
    made = copy.deepcopy(dict(chunk) if isinstance(chunk, Mapping) else chunk)
    if isinstance(made, dict):
        key = next((k for k in ("content", "text", "delta") if isinstance(made.get(k), str)), None)
        if key is not None:
            made[key] = text
        else:
            made["choices"][0]["delta"]["content"] = text
    elif getattr(made, "choices", None):
        made.choices[0].delta.content = text
    else:
        made.delta = text
    return made


# --- stream objects ----------------------------------------------------------------------


class GuardedStream:
    """A stream object read through its guardrails; everything else of it is the object's own."""

    def __init__(self, stream: Any, chunks: Iterator[Any]) -> None:
        self._stream, self._chunks = stream, chunks

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._chunks)

    def __enter__(self) -> Self:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        self.close()
        leave = getattr(self._stream, "__exit__", None)
        return leave(*error) if leave is not None else None

    def close(self) -> None:
        self._chunks.close()  # type: ignore[attr-defined]
        with suppress(AttributeError):
            self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return _of_stream(self, name)


class AsyncGuardedStream:
    """The same of an async stream."""

    def __init__(self, stream: Any, chunks: AsyncIterator[Any]) -> None:
        self._stream, self._chunks = stream, chunks

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        return await self._chunks.__anext__()

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> Any:
        await self._chunks.aclose()  # type: ignore[attr-defined]
        leave = getattr(self._stream, "__aexit__", None)
        return await leave(*error) if leave is not None else None

    async def aclose(self) -> None:
        await self._chunks.aclose()  # type: ignore[attr-defined]

    async def close(self) -> None:
        await self.aclose()

    def __getattr__(self, name: str) -> Any:
        return _of_stream(self, name)


def _of_stream(guarded_stream: Any, name: str) -> Any:
    if name.startswith(
        "_"
    ):  # what others keep on the stream itself, its watchers say, is not of this one
        raise AttributeError(name)
    return getattr(guarded_stream._stream, name)
