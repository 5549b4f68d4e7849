"""Checks that run before a function gets its inputs or its caller the answer: what they may do, and what they decided."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from llmwatch.errors import LlmwatchError
from llmwatch.tracing.guarded_texts import NotRead, NotText, as_text, mapped

Action = Literal["block", "redact", "fallback", "flag"]
Side = Literal["input", "output"]
Walk = Callable[[Any, Callable[[str], str]], Any]
WINDOW = 300


class GuardrailBlocked(LlmwatchError):
    """A guardrail refused an input or an output: `guardrail` and `reasons` say which and why, `row_id` where it is recorded."""

    def __init__(
        self,
        guardrail: str,
        row_id: str | None,
        *,
        on: Side = "output",
        reasons: Sequence[str] = (),
    ) -> None:
        self.guardrail, self.row_id, self.on, self.reasons = guardrail, row_id, on, tuple(reasons)
        where = f" of row {row_id}" if row_id else ""
        why = f": {', '.join(self.reasons)}" if self.reasons else ""
        super().__init__(f"guardrail {guardrail!r} refused the {on}{where}{why}")

    def __reduce__(self) -> Any:
        return _blocked_again, (self.guardrail, self.row_id, self.on, self.reasons)


def _blocked_again(
    name: str, row_id: str | None, on: Side, reasons: tuple[str, ...]
) -> GuardrailBlocked:
    return GuardrailBlocked(name, row_id, on=on, reasons=reasons)


class Guardrail:
    """A check, and what is to be done with what does not pass.

    check: a scorer with `guard(text, role=...)` (such as `Safety`), that method itself, a function of the output (of the
    inputs by name, on the input) that returns False for what must not pass, or a `weave.Scorer` whose result says
    `flagged`, or `passed: False`. A check that raises has not passed.
    action: `block` raises `GuardrailBlocked`; `redact` passes on the text without what was found; `fallback` gives the caller
    `fallback` instead (a value, or a function of what was refused); `flag` only records.
    on: `output`, `input` or both. window: characters of a stream that are held back.

    >>> def polite(output):
    ...     return "damn" not in output
    >>> Guardrail(polite, action="fallback", fallback="Sorry?")
    Guardrail('polite', action='fallback', on=('output',))
    """

    def __init__(
        self,
        check: Any,
        *,
        action: Action = "block",
        fallback: Any = None,
        on: Side | Sequence[Side] = "output",
        name: str | None = None,
        window: int = WINDOW,
    ) -> None:
        self.check, self.action, self.fallback = check, action, fallback
        self.on: tuple[Side, ...] = (on,) if isinstance(on, str) else tuple(on)
        self.name = name or name_of(check)
        self.window = window
        self._ask = _asker(check)
        self._check_options()

    def _check_options(self) -> None:
        if self.action not in get_args(Action):
            raise ValueError(f"action is one of {', '.join(get_args(Action))}, not {self.action!r}")
        if not self.on or not set(self.on) <= {"input", "output"}:
            raise ValueError(f"on is 'input', 'output' or both, not {self.on!r}")
        if self.window < 1:
            raise ValueError(f"window is at least 1 character, not {self.window}")
        if self.action == "redact" and not _by_text(self.check):
            raise ValueError(
                f"{self.name} cannot redact: it says whether a text passes, not what is wrong in it"
            )

    def __repr__(self) -> str:
        return f"Guardrail({self.name!r}, action={self.action!r}, on={self.on!r})"

    @property
    def by_text(self) -> bool:
        """Whether the check looks at texts, wherever they are in a value."""
        return _by_text(self.check)

    def ask(self, value: Any, side: Side, inputs: Mapping[str, Any]) -> Any:
        """What the check says, as it says it; awaitable where the check is async."""
        return self._ask(value, side, inputs)


@dataclass
class Judged:
    """What a check found: whether the value passes, why not, and the value without what was found."""

    ok: bool
    reasons: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()
    without: Any = None
    """Set when the check can tell: the value that may pass."""
    can_redact: bool = False


def guardrails_of(given: Sequence[Any]) -> tuple[Guardrail, ...]:
    """Each as a `Guardrail`; a bare check blocks outputs."""
    return tuple(each if isinstance(each, Guardrail) else Guardrail(each) for each in given)


# --- asking ------------------------------------------------------------------------------


def judge(
    guardrail: Guardrail,
    value: Any,
    side: Side,
    inputs: Mapping[str, Any],
    walk: Walk = mapped,
) -> Judged:
    """Ask a check about a value. Its own fault counts as a refusal: what was not checked does not pass."""
    try:
        if guardrail.by_text:
            return _judge_texts(guardrail, value, side, inputs, walk)
        said = guardrail.ask(value, side, inputs)
        return understood(_waited_for(said) if inspect.isawaitable(said) else said)
    except Exception as error:  # noqa: BLE001 - a person's check: fails closed, and is told in the reasons
        return _failed(error)


async def judge_async(
    guardrail: Guardrail,
    value: Any,
    side: Side,
    inputs: Mapping[str, Any],
    walk: Walk = mapped,
) -> Judged:
    """The same, for checks that may be async."""
    if guardrail.by_text:
        return judge(guardrail, value, side, inputs, walk)
    try:
        said = guardrail.ask(value, side, inputs)
        return understood(await said if inspect.isawaitable(said) else said)
    except Exception as error:  # noqa: BLE001 - as above
        return _failed(error)


def _judge_texts(
    guardrail: Guardrail, value: Any, side: Side, inputs: Mapping[str, Any], walk: Walk
) -> Judged:
    found = Judged(ok=True, can_redact=True)

    def look(text: str) -> str:
        said = understood(guardrail.ask(text, side, inputs))
        found.ok &= said.ok
        found.reasons += said.reasons
        found.flagged += said.flagged
        found.can_redact &= said.ok or said.can_redact
        return said.without if said.can_redact and not said.ok else text

    try:
        found.without = walk(value, look)
    except NotRead as error:
        return _failed(error)
    except NotText:  # an object of the person's: its text can be checked, not changed
        look(as_text(value))
        found.can_redact = False
    found.reasons, found.flagged = _distinct(found.reasons), _distinct(found.flagged)
    return found


def understood(said: Any) -> Judged:
    """The many ways in which a check can say what it found."""
    if isinstance(said, Judged):
        return said
    if hasattr(said, "ok"):
        text = getattr(said, "redacted_text", None)
        reasons, flagged = getattr(said, "reasons", ()), getattr(said, "flagged", ())
        flagged = flagged if isinstance(flagged, (list, tuple)) else ()
        return Judged(bool(said.ok), tuple(reasons), tuple(flagged), text, isinstance(text, str))
    facts = said if isinstance(said, Mapping) else _facts(said)
    if facts:
        refused = _is(facts.get("flagged"), True) or any(
            _is(facts.get(name), False) for name in ("passed", "ok")
        )
        reasons = facts.get("reasons") or ()
        return Judged(not refused, (reasons,) if isinstance(reasons, str) else tuple(reasons))
    return Judged(ok=not _is(said, False))


def _facts(said: Any) -> dict[str, Any]:
    """The verdict of a result that is an object, as those of Weave's own scorers are."""
    return {
        name: getattr(said, name)
        for name in ("flagged", "passed", "reasons")
        if hasattr(said, name)
    }


def _is(said: Any, wanted: bool) -> bool:
    """Whether something is this truth value: Python's own or numpy's."""
    return type(said).__name__ in ("bool", "bool_") and bool(said) is wanted


def both(*found: Judged) -> Judged:
    """What was found in the parts of one thing; the first part can be changed, the others cannot."""
    first, others = found[0], found[1:]
    return Judged(
        all(each.ok for each in found),
        _distinct([reason for each in found for reason in each.reasons]),
        _distinct([name for each in found for name in each.flagged]),
        first.without,
        first.can_redact and all(each.ok for each in others),
    )


def _failed(error: Exception) -> Judged:
    return Judged(ok=False, reasons=(f"the check failed: {type(error).__name__}: {error}",))


def _waited_for(said: Awaitable[Any]) -> Any:
    """An async check of a function that is not async: run here, unless an event loop is running already."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_once(said))
    if inspect.iscoroutine(said):
        said.close()
    raise TypeError(
        "an async check cannot guard a sync function inside an event loop: make the function async"
    )


async def _once(said: Awaitable[Any]) -> Any:
    return await said


def _asker(check: Any) -> Callable[[Any, Side, Mapping[str, Any]], Any]:
    guard = getattr(check, "guard", None)
    if callable(guard):
        return lambda value, side, _: guard(value, role=side)
    if _by_text(check):
        return lambda value, side, _: check(value, role=side)
    if callable(check) and not hasattr(check, "score"):
        return lambda value, _, __: check(value)
    if hasattr(check, "score"):
        return lambda value, side, inputs: _scored(check, value, side, inputs)
    raise TypeError(f"{check!r} cannot be a guardrail: it is no function and has no guard or score")


def _scored(scorer: Any, value: Any, side: Side, inputs: Mapping[str, Any]) -> Any:
    from llmwatch.scorers.protocol import score_one

    row = {"inputs": dict(inputs), "output": value if side == "output" else None}
    return score_one(scorer, row)


def _by_text(check: Any) -> bool:
    if callable(getattr(check, "guard", None)):
        return True
    try:
        return not hasattr(check, "score") and "role" in inspect.signature(check).parameters
    except (TypeError, ValueError):
        return False


def _distinct(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def name_of(thing: Any) -> str:
    """What a scorer or guardrail is called in a row."""
    name = getattr(thing, "name", None) or getattr(thing, "__name__", None)
    return name if isinstance(name, str) else type(thing).__name__
