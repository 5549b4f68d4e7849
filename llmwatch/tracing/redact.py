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
_HYPHENED = ("sk-", "xox", "xapp-", "GOCSPX-", "glpat-", "pypi-AgE")
_UNDERSCORED = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "_pat_", "k_live_", "k_test_", "whsec_", "npm_", "hf_"),
    *("dop_v1_", "shpat_", "lin_api_"),
)
_AMAZON = ("AKIA", "ASIA", "ABIA", "ACCA")
_GUESSED = frozenset(
    {"password"}
)  # by the words around it: a scorer may say so, but nothing is taken out for it
LONG = 512  # characters from which remembering that a text is clean costs less than looking again
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


def _looks(kind: Any) -> Callable[[Any], bool]:
    """A glance at a text, or at JSON: whether it may hold what `credentials` finds. Most hold nothing, and it is
    taken at every call.

    A character is found in a tenth of the time of a word, and rfind is CPython's quickest search for a word:
    1.5 µs for 2 KB of ordinary prose, where one regular expression takes 10 to 20.
    """

    def words(*texts: str) -> Any:
        return texts if kind is str else [text.encode() for text in texts]

    hyphen, underscore, slash, equals, colon, at = "-_/=:@" if kind is str else b"-_/=:@"
    capital_a, g, j, k, z, nine = "AGJKz9" if kind is str else b"AGJKz9"
    bearer, url, jwt, azure, private = words("earer ", "://", "eyJ", "Key=", "PRIVATE KEY")
    google, refresh, sendgrid, slack_hook = words("AIza", "ya29.", "SG.", "hooks.slack.com")
    hyphened, underscored, amazon = (words(*w) for w in (_HYPHENED, _UNDERSCORED, _AMAZON))
    aws, secret = words("aws", "AWS"), words("ecret", "ECRET")

    def may_hold_secret(data: Any) -> bool:
        rfind = data.rfind
        return (
            rfind(bearer) >= 0
            or (z in data and rfind(google) >= 0)
            or (hyphen in data and max(map(rfind, hyphened)) >= 0)
            or (underscore in data and max(map(rfind, underscored)) >= 0)
            or (capital_a in data and max(map(rfind, amazon)) >= 0)
            or (k in data and rfind(private) >= 0)
            or (j in data and rfind(jwt) >= 0)
            or (nine in data and rfind(refresh) >= 0)
            or (g in data and rfind(sendgrid) >= 0)
            or (slash in data and rfind(slack_hook) >= 0)
            or (at in data and rfind(url) >= 0)
            or (equals in data and rfind(azure) >= 0)
            or (
                (equals in data or colon in data)
                and max(map(rfind, aws)) >= 0
                and max(map(rfind, secret)) >= 0
            )
        )

    return may_hold_secret


_may_hold_secret: Callable[[bytes], bool] = _looks(bytes)
_long_may_hold_secret: Callable[[str], bool] = _looks(str)


def may_hold_secret(text: str) -> bool:
    """The same of a text. In a short one `in` is quicker than rfind, and a word is found as soon as a character."""
    if len(text) > 200:
        return _long_may_hold_secret(text)
    return (
        "earer " in text
        or "AIza" in text
        or "eyJ" in text
        or "ya29." in text
        or "SG." in text
        or "PRIVATE KEY" in text
        or "hooks.slack.com" in text
        or ("-" in text and any(map(text.__contains__, _HYPHENED)))
        or ("_" in text and any(map(text.__contains__, _UNDERSCORED)))
        or ("A" in text and any(map(text.__contains__, _AMAZON)))
        or ("@" in text and "://" in text)
        or ("=" in text and "Key=" in text)
        or (("aws" in text or "AWS" in text) and ("ecret" in text or "ECRET" in text))
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
