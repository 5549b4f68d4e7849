"""How sure a model was of its own tokens, from the log-probabilities in its reply."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SPAN = 5
"""Tokens of the span that is looked at as one."""
_IMPOSSIBLE = -100.0


@dataclass(frozen=True)
class Token:
    text: str
    logprob: float


@dataclass(frozen=True)
class Sureness:
    """`probability` is the geometric mean of the tokens'; `span` the text of the run of tokens it was least sure of."""

    probability: float
    mean: float
    minimum: float
    perplexity: float
    span: str
    span_mean: float
    n_tokens: int


def of_output(output: Any) -> list[Token]:
    """The tokens of the (first) answer with their log-probabilities; empty when the reply has none.

    >>> of_output({"choices": [{"logprobs": {"content": [{"token": "Hi", "logprob": -0.1}]}}]})
    [Token(text='Hi', logprob=-0.1)]
    """
    return list(_entries(output))


def sureness(tokens: Sequence[Token]) -> Sureness | None:
    """What the log-probabilities say; None without any.

    >>> found = sureness([Token("a", 0.0), Token("b", math.log(0.25))])
    >>> round(found.probability, 3), round(found.minimum, 3), found.span
    (0.5, -1.386, 'ab')
    """
    if not tokens:
        return None
    values = [token.logprob for token in tokens]
    mean = math.fsum(values) / len(values)
    start, span_mean = _lowest_span(values)
    return Sureness(
        probability=math.exp(mean),
        mean=mean,
        minimum=min(values),
        perplexity=math.exp(-mean),
        span="".join(token.text for token in tokens[start : start + SPAN]),
        span_mean=span_mean,
        n_tokens=len(values),
    )


def _lowest_span(values: Sequence[float]) -> tuple[int, float]:
    width = min(SPAN, len(values))
    total = lowest = math.fsum(values[:width])
    start = 0
    for end in range(width, len(values)):
        total += values[end] - values[end - width]
        if total < lowest - 1e-12:
            lowest, start = total, end - width + 1
    return start, lowest / width


def _entries(output: Any) -> Iterator[Token]:
    """Of a chat, of a responses reply, or of an old completion."""
    if not isinstance(output, Mapping):
        return
    for choice in _list(output.get("choices"))[:1]:
        said = choice.get("logprobs") if isinstance(choice, Mapping) else None
        if isinstance(said, Mapping):
            yield from _tokens(said.get("content"))
            yield from _old(said)
    for item in _list(output.get("output")):
        for part in _list(item.get("content")) if isinstance(item, Mapping) else ():
            if isinstance(part, Mapping):
                yield from _tokens(part.get("logprobs"))


def _tokens(entries: Any) -> Iterator[Token]:
    for entry in _list(entries):
        if isinstance(entry, Mapping) and _is_number(entry.get("logprob")):
            yield _token(entry.get("token"), entry["logprob"])


def _old(said: Mapping[str, Any]) -> Iterator[Token]:
    texts, values = _list(said.get("tokens")), _list(said.get("token_logprobs"))
    for text, value in zip(texts, values):  # noqa: B905 - a cut list has the same tokens first
        if _is_number(value):
            yield _token(text, value)


def _token(text: Any, logprob: float) -> Token:
    # -9999 stands for "not among the likely ones", and minus infinity is written as text
    return Token(text if isinstance(text, str) else "", min(0.0, max(float(logprob), _IMPOSSIBLE)))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
