"""Streams under guardrails: chunks are held back until what follows cannot change what they mean.

Of each stream the last `window` characters are held, so that what a check finds, if it is no longer than that, is found
whole before any of it leaves. What was checked leaves in the chunks it came in, unless text has to be taken out. What a
chunk says beside the text that is written (arguments of tools, other choices) is checked and held just so; it is not changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llmwatch.tracing.chunk_texts import Held, Path, with_text
from llmwatch.tracing.guardrails import Guardrail, Judged, both, judge, judge_async

if TYPE_CHECKING:
    from typing_extensions import Self

    from llmwatch.tracing.guarded import Guards


_TRIES = 12
_MOST_PLACES = 64
"""So many places of chunks are followed: a stream may name new ones for ever."""


def guarded(
    guards: Guards, stream: Any, inputs: Mapping[str, Any], *, awaited: bool = False
) -> Any:
    """A stream that a function returned, as the caller may have it; one of both kinds is of its function's."""
    kind = type(stream)

    def again(other: Any) -> Any:
        return guarded(guards, other, inputs, awaited=awaited)

    if hasattr(kind, "__aiter__") and (awaited or not hasattr(kind, "__iter__")):
        return AsyncGuardedStream(stream, checked_async(guards, stream, inputs), again)
    return GuardedStream(stream, checked(guards, stream, inputs), again)


def checked(guards: Guards, stream: Any, inputs: Mapping[str, Any]) -> Generator[Any, None, Any]:
    """The chunks that every guardrail lets pass, and what a generator returns after them if they let that pass, too."""
    whole = _Whole(stream)
    chunks: Iterator[Any] = iter(whole)
    for guardrail in guards.after:
        chunks = _through(guards, guardrail, chunks, inputs)
    try:
        yield from chunks
    finally:
        with suppress(AttributeError):
            stream.close()
    return whole.returned if whole.returned is None else guards.release(whole.returned, inputs)


class _Whole:
    """A stream, and what it returned: a loop over a generator would lose that."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.returned: Any = None

    def __iter__(self) -> Iterator[Any]:
        self.returned = yield from self._stream


def checked_async(
    guards: Guards, stream: Any, inputs: Mapping[str, Any]
) -> AsyncGenerator[Any, None]:
    chunks: AsyncIterator[Any] = stream.__aiter__()
    for guardrail in guards.after:
        chunks = _through_async(guards, guardrail, chunks, inputs)
    return _closing(chunks, stream)


async def _closing(chunks: AsyncIterator[Any], stream: Any) -> AsyncGenerator[Any, None]:
    """The chunks; whoever stops early has closed what they come from when `aclose` returns."""
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        for each in (chunks, stream):
            close = getattr(each, "aclose", None) or getattr(each, "close", None)
            if close is not None and hasattr(closing := close(), "__await__"):
                await closing


def _through(
    guards: Guards, guardrail: Guardrail, chunks: Iterator[Any], inputs: Mapping[str, Any]
) -> Iterator[Any]:
    window = Window(guards, guardrail)
    for chunk in chunks:
        if window.take(chunk):
            yield from window.settle(_judged(window, inputs), inputs)
        if window.over:
            return
    yield from window.settle(_judged(window, inputs), inputs, last=True)


def _judged(window: Window, inputs: Mapping[str, Any]) -> Judged:
    found = [judge(window.guardrail, text, "output", inputs) for text in window.texts()]
    return both(*found)


async def _through_async(
    guards: Guards, guardrail: Guardrail, chunks: AsyncIterator[Any], inputs: Mapping[str, Any]
) -> AsyncIterator[Any]:
    window = Window(guards, guardrail)
    async for chunk in chunks:
        if window.take(chunk):
            for released in window.settle(await _judged_async(window, inputs), inputs):
                yield released
        if window.over:
            return
    for released in window.settle(await _judged_async(window, inputs), inputs, last=True):
        yield released


async def _judged_async(window: Window, inputs: Mapping[str, Any]) -> Judged:
    found = [await judge_async(window.guardrail, text, "output", inputs) for text in window.texts()]
    return both(*found)


class Window:
    """The chunks of one stream that one guardrail has not let go."""

    def __init__(self, guards: Guards, guardrail: Guardrail) -> None:
        self._guards, self.guardrail = guards, guardrail
        self._held: deque[Held] = deque()
        self._size = 0
        self._before = ""
        self._others: dict[Path, str] = {}
        self._flagged: set[str] = set()
        self.over = False

    @property
    def text(self) -> str:
        """The held text, and before it what left last."""
        return self._before + "".join(held.text for held in self._held)

    def texts(self) -> Iterator[str]:
        """What is to be checked: the text that is written, then what else is said. A person's function gets one of them."""
        others = "\n".join(self._others.values())
        if not self.guardrail.by_text:
            yield self.text or others
            return
        yield self.text
        if others:
            yield others

    def take(self, chunk: Any) -> bool:
        """Hold a chunk; True when it is time to check."""
        held = Held.of(chunk)
        self._held.append(held)
        self._size += held.size
        for path, text in held.others:  # what is said in one place goes on there
            self._others[path] = self._others.get(path, "") + text
        return self._size >= 2 * self.guardrail.window

    def settle(self, found: Judged, inputs: Mapping[str, Any], *, last: bool = False) -> list[Any]:
        """The chunks that may leave after a check; raises `GuardrailBlocked`."""
        if found.ok or self.guardrail.action == "flag":
            self._decide_once(found)
            return self._let_go(last)
        if self.guardrail.action == "redact" and found.can_redact:
            self._decide_once(found)
            return self._let_go_redacted(inputs, last)
        self.over = True
        instead = self._guards.released(self.guardrail, found, self.text, stream=True)
        return [*self._same_kind(instead)]

    def _decide_once(self, found: Judged) -> None:
        """The same finding is in several windows."""
        reasons = {*found.reasons, *found.flagged}
        if reasons - self._flagged:
            self._flagged |= reasons
            self._guards.decided(self.guardrail, found, "output")

    def _let_go(self, last: bool) -> list[Any]:
        keep = 0 if last else self.guardrail.window
        released: list[Held] = []
        while self._held and self._size - self._held[0].size >= keep:
            released.append(self._held.popleft())
            self._size -= released[-1].size
        self._remember("".join(held.text for held in released))
        return [held.chunk for held in released]

    def _remember(self, left: str) -> None:
        window = self.guardrail.window
        self._before = (self._before + left)[-window:]
        newest = list(self._others.items())[-_MOST_PLACES:]
        # what is held is in them too: nothing of it may be forgotten
        self._others = {path: text[-window - self._size :] for path, text in newest}

    def _let_go_redacted(self, inputs: Mapping[str, Any], last: bool) -> list[Any]:
        """The held text up to a place that nothing found lies across, without what was found."""
        text = "".join(held.text for held in self._held)
        end = len(text) if last else self._cut(text, inputs)
        if not end:
            return []
        clean = self._redacted(text[:end], inputs)
        before, after = _divided(self._held, end)
        self._held, self._size = deque(after), sum(held.size for held in after)
        self._remember("")
        self._before = ""  # it is settled: what was found there is gone
        return [*_with_text(before, clean)]

    def _cut(self, held: str, inputs: Mapping[str, Any]) -> int:
        """The last place at which both sides, checked apart, hold the same as the whole."""
        whole = self._redacted(held, inputs)
        for end in _places(held, len(held) - self.guardrail.window):
            if self._redacted(held[:end], inputs) + self._redacted(held[end:], inputs) == whole:
                return end
        return 0

    def _redacted(self, text: str, inputs: Mapping[str, Any]) -> str:
        found = judge(self.guardrail, text, "output", inputs)
        return str(found.without) if not found.ok and found.can_redact else text

    def _same_kind(self, instead: Any) -> Iterator[Any]:
        """A fallback text in a chunk such as the stream has, where it has chunks of its own kind."""
        held = next((held for held in self._held if held.text), None)
        yield with_text(held.chunk, instead) if isinstance(instead, str) and held else instead


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


def _divided(held: Iterable[Held], end: int) -> tuple[list[Held], list[Held]]:
    """The chunks up to a place in their text, and those behind it; one that it lies in is in both, the second with the rest."""
    before: list[Held] = []
    after: list[Held] = []
    for each in held:
        if after or (end <= 0 and each.text):
            after.append(each)
            continue
        before.append(each)
        if len(each.text) > end:
            rest = each.text[end:]
            after.append(Held(with_text(each.chunk, rest), rest, ()))
        end -= len(each.text)
    return before, after


def _with_text(chunks: Iterable[Held], text: str) -> Iterator[Any]:
    """The chunks with all their text in the first that has any; those without text are as they were."""
    placed = False
    for held in chunks:
        if not held.text:
            yield held.chunk
        elif not placed:
            placed = True
            yield with_text(held.chunk, text)
        elif held.others:
            yield with_text(held.chunk, "")


# --- stream objects ----------------------------------------------------------------------


class GuardedStream:
    """A stream object read through its guardrails; everything else of it is the object's own."""

    def __init__(self, stream: Any, chunks: Iterator[Any], again: Callable[[Any], Any]) -> None:
        self._stream, self._chunks, self._again = stream, chunks, again

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

    def __init__(
        self, stream: Any, chunks: AsyncIterator[Any], again: Callable[[Any], Any]
    ) -> None:
        self._stream, self._chunks, self._again = stream, chunks, again

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
    """An attribute of the stream itself. One by which it is read too, as anthropic's `text_stream`, is guarded."""
    if name.startswith("_"):  # what others keep on the stream, its watchers say, is not of this one
        raise AttributeError(name)
    found = getattr(guarded_stream._stream, name)
    is_stream = any(hasattr(type(found), step) for step in ("__next__", "__anext__"))
    return guarded_stream._again(found) if is_stream else found
