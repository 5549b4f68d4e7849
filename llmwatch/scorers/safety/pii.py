"""Numbers and addresses that name a person: by their shape, their check digits and the words before them.

Covered are structured kinds (`KINDS`). Names, places, dates of birth and the like are not: they need a language
model, or Presidio with one (`presidio.py`).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from llmwatch.scorers.safety import checksums
from llmwatch.scorers.safety.findings import Span, masked

KINDS = (
    "email", "phone", "credit_card", "iban", "ip_address", "us_ssn", "us_itin", "uk_nino", "uk_nhs", "de_tax_id",
    "fr_nir", "es_id", "it_fiscal_code", "passport_mrz",
)  # fmt: skip
NOT_COVERED = (
    "name",
    "place",
    "postal address",
    "date of birth",
    "driving licence",
    "passport number",
)


def find(text: str, *, threshold: float = 0.0) -> tuple[float, list[Span]]:
    """How sure it is that the text holds such data, 0 to 1, and where from the threshold up."""
    taken: list[Span] = []
    for span in _all(text):
        if all(span.end <= other.start or span.start >= other.end for other in taken):
            taken.append(span)
    score = max((span.score for span in taken), default=0.0)
    return score, sorted((s for s in taken if s.score >= threshold), key=lambda span: span.start)


def _all(text: str) -> Iterator[Span]:
    # The surer come first, and keep what comes later off their ground.
    if "@" in text:
        yield from _mails(text)
    if "<<" in text:
        yield from _passports(text)
    if text.count(":") > 1:
        yield from _ip6(text)
    islands = _islands(text)
    for find_in in (_ibans, _identities, _phones):
        for start, end in islands:
            yield from find_in(text, start, end)


# A number and what may belong to it. Patterns are only tried there: ordinary text has few.
_ISLAND = re.compile(r"\d[\dA-Z .()/\-\u00a0]{5,80}")
_FEW = 4  # digits of an address such as 8.8.8.8


def _islands(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for match in _ISLAND.finditer(text):
        if sum(map(str.isdigit, match.group())) < _FEW:
            continue
        start, end = max(0, match.start() - 8), min(len(text), match.end() + 20)
        if (
            found and start <= found[-1][1]
        ):  # near ones are one: a border within a number would cut it
            start = found.pop()[0]
        found.append((start, end))
    return found


def _span(kind: str, text: str, start: int, end: int, score: float) -> Span:
    last = 4 if kind == "credit_card" else 0  # the four that a receipt shows
    return Span("pii", kind, start, end, score, masked(kind, text[start:end], last=last))


# Mail addresses: around each @, so that a long run of letters costs nothing.

_LOCAL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+/=?^_`{|}~.-"
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}[^\W\d_]{2,24}(?![\w@])")


def _mails(text: str) -> Iterator[Span]:
    position = text.find("@")
    while position >= 0:
        before = text[max(0, position - 64) : position]
        local = before[len(before.rstrip(_LOCAL)) :].lstrip(".'`{|}=/*#!?&")
        match = _DOMAIN.match(text, position + 1) if local and local[-1] != "." else None
        if match:
            yield _span("email", text, position - len(local), match.end(), 0.95)
        position = text.find("@", position + 1)


# Numbers with check digits, or with a structure of their own


class _Shape(NamedTuple):
    kind: str
    pattern: re.Pattern[str]
    score: Callable[
        [str, str], float
    ]  # of the value without separators, and of the words before it


def _identities(text: str, start: int, end: int) -> Iterator[Span]:
    for shape in _SHAPES:
        for match in shape.pattern.finditer(text, start, end):
            value = match.group().translate(_SEPARATORS)
            if not value.isascii():  # digits of other scripts have no place in these numbers
                continue
            score = shape.score(value, text[max(0, match.start() - 40) : match.start()].lower())
            if score > 0:
                yield _span(shape.kind, text, match.start(), match.end(), score)


_SEPARATORS = str.maketrans("", "", " -./\u00a0\t")


def _card(value: str, before: str) -> float:
    if not any(p.match(value) and len(value) in lengths for p, lengths in _BRANDS):
        return 0.0
    if not checksums.luhn(value) or len(set(value)) < 2:
        return 0.0
    named = _CARD_WORDS.search(before) is not None
    if len(value) == 12:
        return 0.8 if named else 0.0
    return 0.95 if named else 0.8


_BRANDS = tuple(
    (re.compile(prefix), frozenset(lengths))
    for prefix, lengths in (
        ("4", (13, 16, 19)),  # Visa
        ("5[1-5]|2[2-7]", (16,)),  # Mastercard
        ("3[47]", (15,)),  # American Express
        ("30|3[689]", (14, 16)),  # Diners Club
        ("35|2131|1800", (15, 16)),  # JCB
        ("6(?:0|2|4|5)", (16, 17, 18, 19)),  # Discover, UnionPay
        ("5[0678]|6[0-9]", (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    )
)
_CARD_WORDS = re.compile(
    r"card|visa|master|amex|credit|debit|karte|carte|tarjeta|\bcc\b|discover|diners|maestro"
)


def _ssn(value: str, before: str) -> float:
    area, group, serial = int(value[:3]), int(value[3:5]), int(value[5:])
    if area in (0, 666) or area >= 900 or not group or not serial:
        return 0.0
    return 0.95 if "ssn" in before or "social" in before else 0.75


def _itin(_value: str, before: str) -> float:
    return 0.85 if "itin" in before or "tax" in before or "ssn" in before else 0.6


def _nino(value: str, before: str) -> float:
    if value[:2] in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}:
        return 0.0
    return 0.95 if "insurance" in before or "nino" in before or "ni " in before else 0.85


def _nhs(value: str, before: str) -> float:
    return 0.9 if "nhs" in before and checksums.nhs(value) else 0.0


def _german(value: str, before: str) -> float:
    if not checksums.german_tax(value):
        return 0.0
    return 0.95 if re.search(r"steuer|tax|idnr|\btin\b", before) else 0.6


def _french(value: str, before: str) -> float:
    if _CARD_WORDS.search(before) and checksums.luhn(value):
        return 0.0
    return 0.95 if checksums.french_nir(value) else 0.0


def _spanish(value: str, _before: str) -> float:
    return 0.9 if checksums.spanish_id(value) else 0.0


def _italian(value: str, _before: str) -> float:
    return 0.97 if checksums.italian_code(value) else 0.0


def _ip4(_value: str, _before: str) -> float:
    return 0.85  # the shape has been checked; separators are gone here


_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_SHAPES = (
    _Shape(
        "fr_nir",
        re.compile(
            r"(?<!\w)[1-478] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d(?!\w)"
        ),
        _french,
    ),
    _Shape(
        "credit_card", re.compile(r"(?<![\w.+])(?<!\d-)\d(?:[ -]?\d){11,18}(?![\w-]|\.\d)"), _card
    ),
    _Shape("de_tax_id", re.compile(r"(?<![\w.+-])[1-9]\d(?:[ /]?\d{3}){3}(?![\w-])"), _german),
    _Shape("us_ssn", re.compile(r"(?<![\w-])\d{3}([- ])\d\d\1\d{4}(?![\w-])"), _ssn),
    _Shape("us_itin", re.compile(r"(?<![\w-])9\d\d-(?:[5-8]\d|9[0-24-9])-\d{4}(?![\w-])"), _itin),
    _Shape("uk_nhs", re.compile(r"(?<![\w-])\d{3}[ -]?\d{3}[ -]?\d{4}(?![\w-])"), _nhs),
    _Shape(
        "uk_nino",
        re.compile(
            r"(?<![A-Za-z0-9])[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D](?![A-Za-z0-9])"
        ),
        _nino,
    ),
    _Shape(
        "es_id",
        re.compile(r"(?<![\w.-])(?:\d{8}|[XYZ]-?\d{7})[- ]?[A-HJ-NP-TV-Z](?![\w-])"),
        _spanish,
    ),
    _Shape(
        "it_fiscal_code",
        re.compile(r"(?<!\w)[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z](?!\w)"),
        _italian,
    ),
    _Shape(
        "ip_address",
        re.compile(
            rf"(?<![\w.])(?<![vV]ersion )(?!127\.|0\.|255\.)(?:{_OCTET}\.){{3}}{_OCTET}(?![\w]|\.\d)"
        ),
        _ip4,
    ),
)


# IBANs come with spaces and are followed by anything: the country says how long one is.

_IBAN_BEGINS = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d\d")


def _ibans(text: str, start: int, end: int) -> Iterator[Span]:
    for begin in _IBAN_BEGINS.finditer(text, start, end):
        length = checksums.IBAN_LENGTHS.get(text[begin.start() : begin.start() + 2])
        if length is None:
            continue
        match = _iban_run(length).match(text, begin.start())
        if match and checksums.iban(match.group().translate(_SEPARATORS)):
            yield _span("iban", text, match.start(), match.end(), 0.97)


@functools.cache
def _iban_run(length: int) -> re.Pattern[str]:
    return re.compile(rf"[A-Z0-9](?:[ -]?[A-Z0-9]){{{length - 1}}}(?![A-Za-z0-9])")


_IP6 = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f]*:)[0-9A-Fa-f:]{3,39}(?:(?<=:)(?:\d{1,3}\.){3}\d{1,3})?(?![\w:]|\.\d)"
)


def _ip6(text: str) -> Iterator[Span]:
    for match in _IP6.finditer(text):
        try:
            address = ipaddress.IPv6Address(match.group())
        except ValueError:
            continue
        if not (address.is_loopback or address.is_unspecified) and len(match.group()) > 5:
            yield _span("ip_address", text, match.start(), match.end(), 0.85)


_TD3 = re.compile(
    r"P[A-Z<][A-Z<]{3}[A-Z<]{39}\r?\n([A-Z0-9<]{9}\d)[A-Z<]{3}(\d{7})[MFX<](\d{7})[A-Z0-9<]{14}[\d<]\d"
)


def _passports(text: str) -> Iterator[Span]:
    for match in _TD3.finditer(text):
        if all(checksums.machine_readable(part) for part in match.groups()):
            yield _span("passport_mrz", text, match.start(), match.end(), 0.99)


# Telephone numbers: the one kind without a check digit. Shape and the words before it decide.

_GAP = r"[ .\-/\u00a0]"
_PHONE = re.compile(
    rf"(?<![\w$€£#])(?<!\d[-/:.,])(?:"
    rf"(?P<world>(?:\+|(?<!\d )00)[1-9]\d{{0,2}}{_GAP}{{0,2}}(?:\(0\){_GAP}?)?\(?\d{{1,4}}\)?(?:{_GAP}{{0,2}}\d){{4,12}})"
    rf"|(?P<america>(?:1{_GAP})?(?:\([2-9]\d\d\){_GAP}?|[2-9]\d\d{_GAP})\d{{3}}{_GAP}\d{{4}})"
    rf"|(?P<area>\(\d{{2,5}}\){_GAP}?\d(?:{_GAP}?\d){{4,9}})"
    rf"|(?P<national>(?<!\d )0[1-9]\d{{8,9}}|(?<!\d )0\d{{1,5}}(?:{_GAP}\d{{2,8}}){{1,5}})"
    rf"|(?P<bare>\d{{3}}{_GAP}\d{{4}}|[1-9]\d\d?(?:{_GAP}\d{{2,4}}){{2,4}}|\d{{7,12}})"
    rf")(?P<extension>[ ,]{{0,2}}(?:x|ext\.?|extension)[ .:]{{0,2}}\d{{1,6}})?(?![\w]|[.,\-/]\d)",
    re.IGNORECASE,
)
_PHONE_WORDS = re.compile(
    r"phone|registered |\bcall|\btel\b|\btel[.:]|mobile|\bcell|\bfax|\bdial|\bsms\b|\btext (?:me|us|him|her|them)?|whatsapp|\breach|contact|messages? to"
    r"|answering at|ring me|hotline|telefon|téléphone|teléfono|m[oó]vil|handy|cellulare|portable|\bdesk:|office:|number (?:is|was)|my number"
)
_NEAR = {
    "world": (0.9, 0.9),
    "america": (0.8, 0.9),
    "area": (0.7, 0.85),
    "national": (0.6, 0.85),
    "bare": (0.2, 0.75),
}
_NO_PHONE = re.compile(
    r"\d{3}[- ]\d\d[- ]\d{4}$|\d{4}[-/.]\d\d?[-/.]\d\d?$|\d\d?[-/.]\d\d?[-/.]\d{2,4}$"
)


def _phones(text: str, start: int, end: int) -> Iterator[Span]:
    for match in _PHONE.finditer(text, start, end):
        value = match.group()
        digits = sum(
            c.isdigit()
            for c in value[
                : match.start("extension") - match.start() if match["extension"] else None
            ]
        )
        if not 7 <= digits <= 15 or _NO_PHONE.match(value) or _is_made_up(value):
            continue
        before, after = (
            text[max(0, match.start() - 60) : match.start()].lower(),
            text[match.end() : match.end() + 12].lower(),
        )
        named = _PHONE_WORDS.search(before) or re.match(
            r"[ \-(,]{0,3}(?:office|fax|mobile|cell|home|work|tel)", after
        )
        score = _NEAR[match.lastgroup if match.lastgroup in _NEAR else _which(match)][
            1 if named or match["extension"] else 0
        ]
        yield _span("phone", text, match.start(), match.end(), score)


def _is_made_up(value: str) -> bool:
    """All digits in order, or one or two of them over and over."""
    return "012345678" in value or len(set(value) - set("+(). -/")) < 3


def _which(match: re.Match[str]) -> str:
    return next(name for name in _NEAR if match[name])
