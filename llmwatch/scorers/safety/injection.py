"""Prompt injection: phrases that attacks use, and a small linear model beside them.

Neither is a judge of intent. The phrases are precise and miss most attacks; the model knows the kinds of attack it
was trained on (`docs/how-to/check-safety.md` has its curve on kinds it was not). So a finding flags, and blocks
only for those who ask for it with a threshold of their own.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from llmwatch.scorers.safety.findings import Span
from llmwatch.scorers.safety.plain import lowered, plain

THRESHOLD = 0.5  # of the model's curve: where 1% of ordinary text is flagged

_OLD = r"(?:previous|prior|above|earlier|preceding|foregoing|original|initial|existing|system|safety|your|all|any|the|other|current)"
_RULES = (
    r"(?:instructions?|directions?|directives?|prompts?|rules?|guidelines?|guidance|commands?|orders?"
    r"|constraints?|restrictions?|polic(?:y|ies)|context|messages?|programming|training|guardrails?|filters?)"
)


class _Phrase(NamedTuple):
    kind: str
    score: float
    needles: tuple[str, ...]  # in lower case; one must be in the text, or the pattern is not tried
    pattern: re.Pattern[str]  # of the text in lower case


def _phrase(kind: str, score: float, needles: str, pattern: str) -> _Phrase:
    return _Phrase(kind, score, tuple(needles.split()), re.compile(pattern))


# Gaps are bounded, so that no text takes more than linear time.
_SOME = r"(?:\w{1,30}\s+)"
_PHRASES = (
    _phrase(
        "override",
        0.9,
        "ignor disregard forget overr bypass drop discard",
        rf"\b(?:ignore|disregard|forget|override|bypass|overrule|drop|discard)\s+(?:{_OLD}\s+|of\s+|my\s+|these\s+|those\s+){{1,5}}{_RULES}\b",
    ),
    _phrase(
        "override",
        0.8,
        "ignor disregard forget",
        r"\b(?:ignore|disregard|forget)\s+(?:about\s+)?(?:everything|all|anything|whatever|what)\s+"
        r"(?:you\s+(?:were|have\s+been|know|was)|(?:that\s+)?(?:was\s+|came\s+|is\s+|comes\s+)?(?:above|before|previous))",
    ),
    _phrase(
        "override",
        0.75,
        "instruction directive prompt order objective",
        r"\b(?:new|updated|revised|real|actual)\s+(?:system\s+|important\s+|priority\s+)?"
        r"(?:instructions?|directives?|prompt|orders?|objective)\b\s{0,3}[:*#\-]",
    ),
    _phrase(
        "system_prompt",
        0.85,
        "prompt instruction message rules configuration directive",
        r"\b(?:reveal|show|print|repeat|output|display|tell|give|share|leak|dump|disclose|paste|write|recite|expose)\s+"
        rf"{_SOME}{{0,4}}?(?:your|the|its)\s+{_SOME}{{0,2}}?"
        r"(?:system|initial|original|hidden|secret|developer|internal|first|previous)\s+(?:prompt|instructions?|message|rules|configuration|directives?)\b",
    ),
    _phrase(
        "system_prompt",
        0.7,
        "above",
        rf"\b(?:repeat|output|print|write|recite)\s+{_SOME}{{0,3}}?(?:text|words|everything|all|content)\s+{_SOME}{{0,2}}?above\b",
    ),
    _phrase(
        "persona",
        0.85,
        "mode now jail",
        r"\b(?:do\s+anything\s+now|developer\s+mode\s+(?:enabled|output|is|on|activated)|jail\s?br(?:eak|oken)\s+(?:mode|prompt)"
        r"|god\s?mode\s{0,3}(?::|enabled|on)|dan\s+mode|(?:enable|activate|enter)\s+(?:developer|debug|dan|god|admin|sudo|jailbreak)\s+mode)\b",
    ),
    _phrase(
        "persona",
        0.75,
        "restriction limit filter rules guideline censor ethic moral polic constraint safety",
        r"\b(?:you\s+(?:are|have|will\s+have|operate|must\s+act)|act(?:ing)?|respond|answer|behave|an?\s+ai)\s+"
        rf"{_SOME}{{0,6}}?(?:without|with\s+no|no|free\s+(?:of|from)(?:\s+all)?|not\s+bound\s+by|unbound\s+by)\s+{_SOME}{{0,2}}?"
        r"(?:restrictions?|limits|limitations?|filters?|rules|guidelines|censorship|ethic\w*|moral\w*|polic(?:y|ies)|constraints?|safety)\b",
    ),
    _phrase(
        "delimiter",
        0.85,
        "<| inst] sys>> <system </system <developer </developer",
        r"<\|(?:im_start|im_end|system|assistant|endoftext|begin_of_text|start_header_id|eot_id)\|?>"
        r"|\[/?inst\]|<</?sys>>|</?(?:system|system_prompt|developer)>",
    ),
    _phrase(
        "delimiter",
        0.75,
        "system admin developer",
        r"(?:^|\n|\]|---|##)\s{0,4}\[?(?:system|admin(?:istrator)?|developer)(?:\s+(?:override|message|prompt|note|instruction|update))?\]?"
        r"\s{0,2}:\s{0,9}(?:[\w,.'-]{1,30}\s+){0,4}?(?:ignore|disregard|forget|override|you\s+(?:are|must)|do\s+not|now|new)\b",
    ),
    _phrase(
        "exfiltration",
        0.8,
        "![",
        r"!\[[^\]\n]{0,80}\]\(https?://[^)\s]{1,200}[?&/][^)\s]{0,60}(?:\{|\[|<|%7b|\$)[^)\n]{0,80}\)",
    ),
    _phrase(
        "concealment",
        0.7,
        "user",
        r"\b(?:do\s+not|don'?t|never|without)\s+(?:tell(?:ing)?|inform(?:ing)?|mention(?:ing)?|alert(?:ing)?|notify(?:ing)?)\s+"
        rf"{_SOME}{{0,3}}?(?:to\s+)?the\s+user\b",
    ),
)


def find(text: str, *, threshold: float = THRESHOLD) -> tuple[float, list[Span]]:
    """How much a text looks like an attack, 0 to 1, and its passages from the threshold up."""
    spans = [*_phrases(text), *_windows(text)]
    for start, end, hidden in _hidden_texts(text):
        inner = [*_phrases(hidden), *_windows(hidden)]
        if inner:
            best = max(inner, key=lambda span: span.score)
            spans.append(Span("injection", f"encoded {best.kind}", start, end, best.score, ""))
    score = max((span.score for span in spans), default=0.0)
    found = _merged([span for span in spans if span.score >= threshold])
    return score, [replace(s, masked=f"[{s.kind} of {s.end - s.start}]") for s in found]


def _merged(spans: list[Span]) -> list[Span]:
    """Spans of one kind that overlap as one: windows do, and phrases have variants."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.kind, span.start)):
        last = merged[-1] if merged else None
        if last is not None and last.kind == span.kind and span.start < last.end:
            best = max(last.score, span.score)
            merged[-1] = replace(last, end=max(last.end, span.end), score=best)
        else:
            merged.append(span)
    return merged


def _phrases(text: str) -> Iterator[Span]:
    low = lowered(text)
    for phrase in _PHRASES:
        if any(needle in low for needle in phrase.needles):
            for match in phrase.pattern.finditer(low):
                yield Span("injection", phrase.kind, match.start(), match.end(), phrase.score, "")


# Pictures, keys and hashes: nothing that the model could read.
_NO_WORDS = re.compile(r"(?:data:[\w/+.;=-]{1,80},)?[A-Za-z0-9+/=_-]{48,}")


def _windows(text: str) -> Iterator[Span]:
    from llmwatch.scorers.safety import model

    words = _NO_WORDS.sub(lambda match: " " * len(match.group()), text)
    for score, start, end in model.built_in().windows(words):
        yield Span("injection", "model", start, end, round(score, 4), "")


_ENCODED = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/_-]{24,8000}={0,2}(?![A-Za-z0-9+/=])")
_MOST_ENCODED = 20
_SPACED = re.compile(
    r"(?<!\S)\w (?:\S | {2}){14,8000}\S?"
)  # every other character a space: one between words is three
_LEET = re.compile(r"[A-Za-z][013457@$]{1,3}[A-Za-z]")
_LETTERS = str.maketrans("013457@$", "oieastas")
_FEW_LEET = 2


def _hidden_texts(text: str) -> Iterator[tuple[int, int, str]]:
    """What base64, hexadecimal, spaced letters and digits for letters say."""
    for match in itertools.islice(_ENCODED.finditer(text), _MOST_ENCODED):
        run = match.group()
        words = next((w for d in (_from_base64(run), _from_hex(run)) if (w := _as_words(d))), "")
        if words:
            yield match.start(), match.end(), words
    for match in itertools.islice(_SPACED.finditer(text), _MOST_ENCODED):
        yield match.start(), match.end(), match.group()[::2]
    if len(list(itertools.islice(_LEET.finditer(text), _FEW_LEET))) == _FEW_LEET:
        yield 0, len(text), text.translate(_LETTERS)


def _from_base64(run: str) -> bytes:
    try:
        body = run.rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _from_hex(run: str) -> bytes:
    try:
        return bytes.fromhex(run)
    except ValueError:
        return b""


def _as_words(data: bytes) -> str:
    if not data:
        return ""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    readable = sum(c.isalpha() or c.isspace() for c in text)
    return plain(text).text if readable > 0.8 * len(text) and " " in text.strip() else ""
