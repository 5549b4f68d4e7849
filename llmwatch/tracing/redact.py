"""Taking secrets out of what is recorded, before it is written anywhere.

Always: the value of a key named like a credential (`api_key`, `authorization`, `password`, ...), and texts
shaped like one (`sk-...`, `Bearer ...`, `AKIA...`, `ghp_...`, a private key: `llmwatch.credentials`). With
`@traced(redact=...)` also: a name (the value of every key or argument of that name), `"pii"` (mail addresses, phone,
card and identity numbers in any text), a regular expression (what it matches in any text), or a function from text to
text; the setting `redact` gives names and `pii` to all calls. The contents of media files are not searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from llmwatch import credentials, faults

REDACTED = "REDACTED"
FAILED = b'"[not recorded: redaction failed]"'
PII = "pii"

SECRET_NAMES = frozenset(
    [
        "api_key",
        "apikey",
        "api-key",
        "x-api-key",
        "auth_headers",
        "authorization",
        "proxy-authorization",
        "password",
        "passwd",
        "secret",
        "client_secret",
        "access_token",
        "refresh_token",
        "auth_token",
        "private_key",
        "cookie",
        "set-cookie",
    ]
)
_SECRETS = re.compile(
    r"\bsk-[A-Za-z0-9_-]{16,}"
    r"|\b[Bb]earer [A-Za-z0-9._~+/=-]{16,}"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
_GITHUB = re.compile(rb"gh[pousr]_")
_GUESSED = frozenset(
    {"password"}
)  # by the words around it: a scorer may say so, but nothing is taken out for it
_HYPHEN, _EQUALS, _AT, _J, _K, _UNDERSCORE, _Z = b"-=@JK_z"
_SHORT = 8192  # up to here, putting two texts together costs less than looking at each
_KEYS = re.compile(
    rb'(?i)"(?:' + b"|".join(re.escape(n).encode() for n in sorted(SECRET_NAMES)) + rb')":'
)


class Redactor:
    """What one op redacts: always the secrets, and what `redact=` names."""

    __slots__ = ("_rules", "always", "functions", "names", "patterns")

    def __init__(self, rules: Any = ()) -> None:
        given = [rules] if isinstance(rules, (str, re.Pattern)) or callable(rules) else list(rules)
        self._rules = tuple(given)
        self.names = {rule.lower() for rule in given if isinstance(rule, str) and rule != PII}
        self.patterns = [rule for rule in given if isinstance(rule, re.Pattern)]
        self.functions: list[Callable[[str], str]] = [
            rule for rule in given if callable(rule) and not isinstance(rule, (str, re.Pattern))
        ]
        if not all(isinstance(rule, (str, re.Pattern)) or callable(rule) for rule in given):
            raise TypeError("redact takes names, compiled regular expressions and functions")
        if PII in given:
            self.functions.append(without_personal_data)
        self.always = bool(given)

    def with_rules(self, more: Iterable[str]) -> Redactor:
        """This one, and these rules as well."""
        missing = [rule for rule in more if rule not in self._rules]
        return Redactor([*self._rules, *missing]) if missing else self

    def json(self, data: bytes, *, plain: bool = False) -> bytes:
        """The JSON `data` without its secrets; `plain` when it holds no key worth a look."""
        if not self.always and not _may_hold_secret(data) and (plain or not _KEYS.search(data)):
            return data
        try:
            return orjson.dumps(self.value(orjson.loads(data)))
        except Exception as error:  # noqa: BLE001 - a rule of the user's failed: better nothing than the secret
            faults.report("a redaction rule failed; the value was not recorded", error)
            return FAILED

    def pair(self, inputs: bytes, output: bytes, *, plain: bool) -> tuple[bytes, bytes]:
        """Both of them as `json` makes them. Most calls are short and clean: one look at them together is enough."""
        if plain and not self.always:
            short = len(inputs) + len(output) < _SHORT
            if not (
                _may_hold_secret(inputs + output)
                if short
                else _may_hold_secret(inputs) or _may_hold_secret(output)
            ):
                return inputs, output
        return self.json(inputs, plain=plain), self.json(output, plain=plain)

    def named(self, names: Iterable[str]) -> list[str]:
        """Those of an op's own argument names whose value is never recorded."""
        return [name for name in names if self._is_secret(name)]

    def value(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is list:
            return [self.value(item) for item in value]
        if kind is dict:
            return {
                key: REDACTED if self._is_secret(key) else self.value(item)
                for key, item in value.items()
            }
        return value

    def text(self, text: str) -> str:
        text = _without_credentials(_SECRETS.sub(REDACTED, text))
        for pattern in self.patterns:
            text = pattern.sub(REDACTED, text)
        for function in self.functions:
            text = str(function(text))
        return text

    def _is_secret(self, name: str) -> bool:
        low = name.lower()
        return low in SECRET_NAMES or low in self.names


def _may_hold_secret(data: bytes) -> bool:
    # A character is found in a tenth of the time of a word, and rfind is CPython's quickest search for a word:
    # 1.5 µs for 2 KB of ordinary prose, where one regular expression takes 10 to 20.
    rfind = data.rfind
    return (
        rfind(b"earer ") >= 0
        or (_Z in data and rfind(b"AIza") >= 0)
        or (_HYPHEN in data and (rfind(b"sk-") >= 0 or rfind(b"xox") >= 0))
        or (_K in data and (rfind(b"AKIA") >= 0 or rfind(b"PRIVATE KEY") >= 0))
        or (_UNDERSCORE in data and _has_underscored_token(data))
        or (_J in data and rfind(b"eyJ") >= 0)
        or (_EQUALS in data and rfind(b"Key=") >= 0)
        or (_AT in data and rfind(b"://") >= 0)
    )


def _has_underscored_token(data: bytes) -> bool:
    find = data.rfind
    return (
        _GITHUB.search(data) is not None
        or find(b"_pat_") >= 0
        or find(b"k_live_") >= 0
        or find(b"hf_") >= 0
    )


def _without_credentials(text: str) -> str:
    return _cut(text, [f for f in credentials.find(text) if f.kind not in _GUESSED])


def without_personal_data(text: str) -> str:
    """The text with its mail addresses, phone, card and identity numbers each replaced by what it was.

    >>> without_personal_data("write to ann@example.org")
    'write to [email]'
    """
    from llmwatch.scorers.safety import pii

    _, found = pii.find(text, threshold=0.5)
    return _cut(text, found, lambda span: f"[{span.kind}]")


def _cut(text: str, found: Iterable[Any], mark: Callable[[Any], str] = lambda _: REDACTED) -> str:
    """`text` without what was found, which is in order and does not overlap."""
    pieces, done = [], 0
    for span in found:
        pieces += [text[done : span.start], mark(span)]
        done = span.end
    return "".join([*pieces, text[done:]])
