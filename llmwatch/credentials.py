"""What credentials look like: one list for everything that looks for them.

    >>> [(found.kind, found.start) for found in find("key: sk-ant-api03-Xk29fJq0aLp7Wd3vTz8R")]
    [('anthropic_key', 5)]

A pattern is only tried on a text that holds one of its needles, and none can take more than linear time.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Found(NamedTuple):
    """A credential in a text; its first `shown` characters are public (`sk-ant-`, `AKIA`)."""

    kind: str
    start: int
    end: int
    score: float
    shown: int


class _Shape(NamedTuple):
    kind: str
    needles: tuple[str, ...]
    pattern: re.Pattern[str]
    shown: int
    is_real: Callable[[str], bool]
    score: float = 0.95


def find(text: str) -> Iterator[Found]:
    """The credentials in a text, in order; of two that overlap the more specific one."""
    taken: list[Found] = []
    for found in _all(text):
        if all(found.end <= other.start or found.start >= other.end for other in taken):
            taken.append(found)
    yield from sorted(taken, key=lambda found: found.start)


def _all(text: str) -> Iterator[Found]:
    yield from _private_keys(text)
    for shape in _SHAPES:
        if not any(needle in text for needle in shape.needles):
            continue
        for match in shape.pattern.finditer(text):
            if shape.is_real(match.group(match.lastindex or 0)):
                start, end = match.span(match.lastindex or 0)
                yield Found(
                    shape.kind, start, end, shape.score, min(shape.shown, (end - start) // 3)
                )


_KEY_BEGINS = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_ENDS = re.compile(r"-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY = re.compile(
    r"[A-Za-z0-9+/]{32}"
)  # without one it is talk of keys, or code that reads them
_LONGEST_KEY = 20_000


def _private_keys(text: str) -> Iterator[Found]:
    if "PRIVATE KEY" not in text:
        return
    position = 0
    while begin := _KEY_BEGINS.search(text, position):
        end = _KEY_ENDS.search(text, begin.end(), begin.end() + _LONGEST_KEY)
        position = end.end() if end else min(len(text), begin.end() + _LONGEST_KEY)
        if _KEY_BODY.search(text, begin.end(), position):
            yield Found("private_key", begin.start(), position, 0.99, 0)


def _always(_value: str) -> bool:
    return True


def _is_mixed(value: str) -> bool:
    """Letters and digits, in no obvious order: a key and not a word of a sentence."""
    return any(c.isdigit() for c in value) and entropy(value) > 3.0


def _is_varied(value: str) -> bool:
    return entropy(value[4:]) > 2.4


def entropy(value: str) -> float:
    """Bits a character, of the characters' own frequencies."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())


def _is_jwt(value: str) -> bool:
    head = value.partition(".")[0]
    try:
        return b'"alg"' in base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
    except (binascii.Error, ValueError):
        return False


_PLACEHOLDER = re.compile(
    r"""(?ix) ^[<{$%\[(*•.] | ^(?:x+|\.+|_+|-+|[*]+)$ | your[_ -]? | example | changeme | placeholder | redacted | dummy
    | ^(?:none|null|true|false|undefined|nil|str|string|secret|password|passwd|token|required|optional|missing)\b"""
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z_.]*$")


def _is_password(value: str) -> bool:
    """A value and not a name, a call, a placeholder or a word of a sentence."""
    if len(value) < 6 or _PLACEHOLDER.search(value) or any(c in value for c in "()<>{}[]`"):
        return False
    return not _NAME.match(value) and len(set(value)) > 3


_EDGE = r"(?<![A-Za-z0-9])"
_KEYWORDS = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret(?:[_-]?key)?|api[_-]?key|access[_-]?key|auth[_-]?token|access[_-]?token"
    r"|client[_-]?secret|kennwort|passwort|contraseña)"
)
_SHAPES: tuple[_Shape, ...] = (
    _Shape(
        "anthropic_key",
        ("sk-ant-",),
        re.compile(_EDGE + r"sk-ant-[A-Za-z0-9_-]{16,200}"),
        7,
        _always,
    ),
    _Shape(
        "openai_key",
        ("sk-",),
        re.compile(r"(?<![A-Za-z0-9_-])sk-(?!ant-)[A-Za-z0-9_-]{20,220}"),
        3,
        _is_mixed,
    ),
    _Shape(
        "google_key",
        ("AIza", "GOCSPX-", "ya29."),
        re.compile(
            _EDGE
            + r"(?:AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z])|(?:GOCSPX-|ya29\.)[0-9A-Za-z_-]{20,300})"
        ),
        4,
        _always,
    ),
    _Shape(
        "aws_key",
        ("AKIA", "ASIA", "ABIA", "ACCA"),
        re.compile(_EDGE + r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
        4,
        _is_varied,
    ),
    _Shape(
        "aws_secret",
        ("aws", "AWS"),
        re.compile(
            r"(?i)aws[_ .-]?secret[_ .-]?(?:access[_ .-]?)?key[\"']?\s{0,3}[:=]\s{0,3}[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])"
        ),
        0,
        _is_mixed,
    ),
    _Shape(
        "github_token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        re.compile(_EDGE + r"(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{22,255})"),
        4,
        _always,
    ),
    _Shape(
        "slack_token",
        ("xox", "xapp-", "hooks.slack.com"),
        re.compile(
            _EDGE
            + r"(?:xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-\d-[A-Za-z0-9-]{10,250}|hooks\.slack\.com/services/[A-Za-z0-9/]{20,90})"
        ),
        5,
        _is_mixed,
    ),
    _Shape(
        "stripe_key",
        ("k_live_", "k_test_", "whsec_"),
        re.compile(
            _EDGE + r"(?:[spr]k_(?:live|test)_[A-Za-z0-9]{16,250}|whsec_[A-Za-z0-9+/=]{20,250})"
        ),
        8,
        _always,
    ),
    _Shape(
        "jwt",
        ("eyJ",),
        re.compile(
            r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,2000}\.[A-Za-z0-9_-]{6,8000}\.[A-Za-z0-9_-]{6,2000}"
        ),
        3,
        _is_jwt,
    ),
    _Shape(
        "other_token",
        ("glpat-", "npm_", "pypi-AgE", "hf_", "SG.", "dop_v1_", "shpat_", "lin_api_"),
        re.compile(
            _EDGE
            + r"(?:glpat-[A-Za-z0-9_-]{20,60}|npm_[A-Za-z0-9]{36}|pypi-AgE[A-Za-z0-9_-]{50,250}|hf_[A-Za-z0-9]{30,60}"
            r"|SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}|dop_v1_[a-f0-9]{64}|shpat_[a-f0-9]{32}|lin_api_[A-Za-z0-9]{32,50})"
        ),
        3,
        _is_mixed,
    ),
    _Shape(
        "bearer_token",
        ("earer ",),
        re.compile(r"\b[Bb]earer ([A-Za-z0-9._~+/-]{16,2000}={0,2})"),
        0,
        _is_mixed,
        0.9,
    ),
    _Shape(
        "azure_key",
        ("AccountKey=", "SharedAccessKey="),
        re.compile(r"(?:Account|SharedAccess)Key=([A-Za-z0-9+/]{40,100}={0,2})"),
        0,
        _always,
    ),
    _Shape(
        "url_password",
        ("://",),
        re.compile(
            r"[a-z][a-z0-9+.-]{1,15}://[^\s/:@\"'<>]{1,64}:([^\s/:@\"'<>]{3,128})@[A-Za-z0-9\[]"
        ),
        0,
        _is_password,
        0.9,
    ),
    _Shape(
        "password",
        ("=", ":"),
        re.compile(
            rf"(?i)(?<![a-z]){_KEYWORDS}[\"']?(?:\s{{0,3}}[:=]\s{{0,3}}|\s(?:is|lautet)[:]?\s)[\"']?([^\s\"',;]{{6,128}})"
        ),
        0,
        _is_password,
        0.8,
    ),
)
