"""Field paths of Weave's query language, and fields as SQL that can be cast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from llmwatch.backend.fragments import Fragment, sql, value

Kind = Literal["text", "double", "int", "bool", "time"]


@dataclass(frozen=True)
class Field:
    """A field in SQL. `text` covers JSON values too, which are text until they are cast.

    A field with several values (the feedback of a call) has them `among` the rows of a `FROM ...`: a
    condition on it holds when it holds for any of them.
    """

    sql: Fragment
    kind: Kind = "text"
    among: Fragment | None = None

    def holds(self, condition: Fragment) -> Fragment:
        """A condition on the field, over all of its values."""
        if self.among is None:
            return condition
        return sql("(SELECT bool_or({}) {})", condition, self.among)

    @property
    def one(self) -> Fragment:
        """The field's one value; the greatest where it has several."""
        return self.sql if self.among is None else sql("(SELECT max({}) {})", self.sql, self.among)


def split(path: str) -> list[str]:
    r"""The parts of a dotted path; a backslash keeps a dot inside a key, brackets keep a whole name.

    >>> split(r"inputs.a\.b.c d")
    ['inputs', 'a.b', 'c d']
    >>> split("feedback.[wandb.runnable.x].payload.output")
    ['feedback', '[wandb.runnable.x]', 'payload', 'output']
    """
    parts: list[str] = []
    part, i = "", 0
    while i < len(path):
        if path.startswith("\\.", i):
            part, i = part + ".", i + 2
        elif path[i] == "[" and not part and "]" in path[i:]:
            end = path.index("]", i) + 1
            part, i = path[i:end], end
        elif path[i] == ".":
            parts, part, i = [*parts, part], "", i + 1
        else:
            part, i = part + path[i], i + 1
    return [*parts, part]


def pointer(keys: list[str]) -> str:
    """The JSON pointer of a path, which takes any key, and a number as key or index alike.

    >>> pointer(["a/b", "0"])
    '/a~1b/0'
    """
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys) or "$"


def json_text(column: Fragment | str, keys: list[str]) -> Fragment:
    """The value at a path of a JSON column, as text; NULL where there is none."""
    return sql("json_extract_string({}, {})", column, value(pointer(keys)))


def as_number(text: Fragment | str) -> Fragment:
    """`text` as a number, NULL where it is none ('nan' and 'inf' are words here)."""
    number = sql("try_cast({} AS DOUBLE)", text)
    return sql("(CASE WHEN isfinite({}) THEN {} END)", number, number)


def cast(field: Field, to: Kind) -> Fragment:
    """The field as another kind: NULL where it cannot be that."""
    if field.kind == to:
        return field.sql
    text = _text_of(field)
    if to == "text":
        return text
    if to == "double":
        return field.sql if field.kind == "int" else as_number(text)
    if to == "int":
        # by way of a double only what is no whole number as it stands: a double loses large ones
        return sql(
            "(CASE WHEN regexp_full_match({}, '-?[0-9]+') THEN try_cast({} AS HUGEINT) "
            "ELSE try_cast(trunc({}) AS HUGEINT) END)",
            text,
            text,
            as_number(text),
        )
    if to == "bool":
        return sql("(CASE {} WHEN 'true' THEN true WHEN 'false' THEN false END)", text)
    return sql("try_cast({} AS TIMESTAMPTZ)", text)


def _text_of(field: Field) -> Fragment:
    if field.kind == "time":
        return sql("strftime({}, '%Y-%m-%dT%H:%M:%S.%fZ')", field.sql)
    if field.kind == "text":
        return field.sql
    return sql("CAST({} AS VARCHAR)", field.sql)


def literal_for(kind: Kind, given: Any) -> Fragment:
    """A literal beside a field of a fixed kind: NULL where it cannot be compared with it."""
    if kind == "time" and isinstance(given, (int, float)) and not isinstance(given, bool):
        return Fragment("make_timestamptz(CAST(? AS BIGINT))", (int(given * 1_000_000),))
    if kind == "time":
        return Fragment("try_cast(CAST(? AS VARCHAR) AS TIMESTAMPTZ)", (str(given),))
    if kind == "bool":
        return Fragment("CAST(? AS BOOLEAN)", (given if isinstance(given, bool) else None,))
    return Fragment("CAST(? AS DOUBLE)", (_number(given),))


def _number(given: Any) -> float | None:
    try:
        return float(given)
    except (TypeError, ValueError, OverflowError):
        return None
