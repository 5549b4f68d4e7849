"""The help centre of Fernlight, a shop that does not exist: short documents, and how people ask for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_HEADING = re.compile(r"^## (?P<id>[a-z-]+): (?P<title>.+)$")
NEW = "glow"
"""Documents whose id begins so are about a product that is launched in the course of the demo."""


@dataclass(frozen=True)
class Document:
    """One page of the help centre."""

    id: str
    title: str
    text: str
    questions: tuple[str, ...]
    """Ways in which people ask for it."""

    @property
    def section(self) -> str:
        return self.id.partition("-")[0]


@cache
def documents() -> tuple[Document, ...]:
    """Every page.

    >>> documents()[0].title
    'Where your order is'
    """
    text = (files("llmwatch.demo") / "help_centre.md").read_text(encoding="utf-8")
    return tuple(_document(part) for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:])


def _document(part: str) -> Document:
    heading, text, *asked = part.strip().splitlines()
    found = _HEADING.match(heading)
    assert found is not None, heading
    questions = tuple(line[2:] for line in asked if line.startswith("- "))
    return Document(found["id"], found["title"], text, questions)
