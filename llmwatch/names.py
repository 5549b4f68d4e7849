"""Names of entities, projects and tables: how they are written, and which ones every file system can hold."""

from __future__ import annotations

import re
from typing import NamedTuple

from llmwatch.errors import InvalidName

MAX_LENGTH = 128

_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_RESERVED_ON_WINDOWS = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))]
)


class TableName(NamedTuple):
    """A table's whole name; `str()` of it is `entity/project/table`."""

    entity: str
    project: str
    table: str

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.table}"


def check_name(part: str, what: str) -> str:
    """Return the name as it is, or say why it cannot be one.

    >>> check_name("support-bot", "project")
    'support-bot'
    """
    if not isinstance(part, str):
        raise InvalidName(f"{what} name must be text, not {type(part).__name__}")
    if not _VALID.fullmatch(part):
        raise InvalidName(
            f"{part!r} cannot be a {what} name: use 1 to {MAX_LENGTH} letters, digits, '.', '_' and '-', "
            "beginning with a letter or a digit"
        )
    if part.endswith("."):
        raise InvalidName(f"{part!r} cannot be a {what} name: it ends in a dot")
    if part.partition(".")[0].lower() in _RESERVED_ON_WINDOWS:
        raise InvalidName(f"{part!r} cannot be a {what} name: Windows reserves it for a device")
    return part


def parse_table(text: str, *, project: str | None = None, entity: str | None = None) -> TableName:
    """Read `"table"`, `"project/table"` or `"entity/project/table"`.

    Parts that are not in the text come from the arguments, then from the settings.

    >>> str(parse_table("team/bot/traces"))
    'team/bot/traces'
    """
    if not isinstance(text, str):
        raise InvalidName(f"table name must be text, not {type(text).__name__}")
    parts = text.split("/")
    if len(parts) > 3:
        raise InvalidName(
            f"{text!r} is not a table: write 'table', 'project/table' or 'entity/project/table'"
        )
    in_text: list[str | None] = [None] * (3 - len(parts)) + list(parts)
    return TableName(
        check_name(_once(in_text[0], entity, "entity", text), "entity"),
        check_name(_once(in_text[1], project, "project", text), "project"),
        check_name(parts[-1], "table"),
    )


def _once(in_text: str | None, argument: str | None, what: str, text: str) -> str:
    if in_text is not None and argument is not None:
        raise InvalidName(f"the {what} is given twice: in {text!r} and as {what}={argument!r}")
    given = in_text if in_text is not None else argument
    return given if given is not None else _from_settings(what)


def _from_settings(what: str) -> str:
    from llmwatch import settings

    current = settings.current()
    return current.entity if what == "entity" else current.project
