"""What `safety.py` measures with: the held-out texts, made-up secrets, and disguises."""

from __future__ import annotations

import base64
import codecs
import gzip
import json
import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent / "safety_data"
LETTERS = string.ascii_letters + string.digits


def load(name: str, **wanted: str) -> list[dict[str, Any]]:
    """The rows of a file with these values."""
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def texts(name: str, **wanted: str) -> list[str]:
    return [row["text"] for row in load(name, **wanted)]


# Secrets, in the shapes that their makers document


def _of(chance: random.Random, count: int, alphabet: str = LETTERS) -> str:
    return "".join(chance.choice(alphabet) for _ in range(count))


def _jwt(chance: random.Random) -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    head, body = (
        {"alg": "HS256", "typ": "JWT"},
        {"sub": _of(chance, 9), "exp": chance.randint(1, 1 << 31)},
    )
    return f"{part(head)}.{part(body)}.{_of(chance, 43, LETTERS + '-_')}"


def _private_key(chance: random.Random) -> str:
    body = "\n".join(_of(chance, 64, LETTERS + "+/") for _ in range(12))
    kind = chance.choice(["RSA ", "EC ", "OPENSSH ", ""])
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


def _password(chance: random.Random) -> str:
    word = chance.choice(["password", "PASSWORD", "passwd", "DB_PASSWORD", "pwd"])
    secret = (
        chance.choice(["Tiger", "blue", "Winter", "correct-horse-"])
        + _of(chance, 3, string.digits)
        + chance.choice("!$%&?")
        + _of(chance, 2)
    )
    return f"{word}{chance.choice(['=', ': ', ' = '])}{secret}"


SECRETS: dict[str, Callable[[random.Random], str]] = {
    "OpenAI": lambda c: c.choice(
        [
            f"sk-proj-{_of(c, 74, LETTERS + '-_')}T3BlbkFJ{_of(c, 74, LETTERS + '-_')}",
            f"sk-{_of(c, 20)}T3BlbkFJ{_of(c, 20)}",
        ]
    ),
    "Anthropic": lambda c: f"sk-ant-api03-{_of(c, 93, LETTERS + '-_')}AA",
    "Google": lambda c: f"AIza{_of(c, 35, LETTERS + '-_')}",
    "AWS": lambda c: f"AKIA{_of(c, 16, string.ascii_uppercase + '234567')}",
    "GitHub": lambda c: c.choice([f"ghp_{_of(c, 36)}", f"github_pat_{_of(c, 22)}_{_of(c, 59)}"]),
    "Slack": lambda c: f"xoxb-{_of(c, 12, string.digits)}-{_of(c, 12, string.digits)}-{_of(c, 24)}",
    "Stripe": lambda c: c.choice([f"sk_live_{_of(c, 24)}", f"rk_live_{_of(c, 99)}"]),
    "JWT": _jwt,
    "private key": _private_key,
    "password=": _password,
}


def with_secret(kind: str, ordinary: list[str], count: int, seed: int = 7) -> list[str]:
    """Ordinary texts with one secret of a kind between two of their words."""
    chance = random.Random(f"{seed} {kind}")
    made = []
    for number in range(count):
        words = ordinary[(number * 37) % len(ordinary)][:400].split(" ")
        words.insert(chance.randint(0, len(words)), SECRETS[kind](chance))
        made.append(" ".join(words))
    return made


# Disguises


def _between(mark: str) -> Callable[[str], str]:
    return mark.join


_ALIKE = str.maketrans("aeopcxiAEOPC", "аеорсхіАЕОРС")
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_TAGS = {code: code + 0xE0000 for code in range(0x20, 0x7F)}
_LEET = str.maketrans("aeiost", "431057")

DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "zero-width spaces between letters": _between("\u200b"),
    "look-alike Cyrillic letters": lambda text: text.translate(_ALIKE),
    "fullwidth letters": lambda text: text.translate(_WIDE),
    "invisible tag letters": lambda text: "Hello! " + text.translate(_TAGS),
    "base64": lambda text: "attachment: " + base64.b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: "attachment: " + text.encode().hex(),
    "UPPER CASE": str.upper,
    "leet": lambda text: text.translate(_LEET),
    "s p a c e d": _between(" "),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "reversed": lambda text: text[::-1],
}


def in_documents(attacks: list[str], documents: list[str], seed: int = 3) -> list[str]:
    """Each attack within a passage of a document, at a place of chance."""
    chance = random.Random(seed)
    made = []
    for attack in attacks:
        document = chance.choice(documents)
        place = document.find(" ", chance.randint(0, max(0, len(document) - 2)))
        place = len(document) if place < 0 else place
        made.append(f"{document[:place]} {attack[:1000]} {document[place:]}")
    return made


def pages(ordinary: list[str], count: int, length: int = 2_000) -> list[str]:
    """Texts of one length, of ordinary ones joined."""
    whole = "\n".join(ordinary)
    return [whole[start : start + length] for start in range(0, count * length, length)]


def share(check: Callable[[str], bool], texts: list[str]) -> float:
    return mean([check(text) for text in texts])


def mean(flags: list[bool]) -> float:
    return sum(flags) / max(1, len(flags))
