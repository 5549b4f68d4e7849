"""What a board is: variables and panels, as JSON that is checked before anything is drawn from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch.board import measures
from llmwatch.errors import InvalidBoard

if TYPE_CHECKING:
    from llmwatch.board.publish import Published
    from llmwatch.store import Project

FORMAT = 1
GRID = 24
"""Columns of the grid that panels lie on; a row of it is about 20 pixels."""
RANGES = ("15m", "1h", "6h", "24h", "7d", "30d", "all", "auto")
UNITS = ("", "ms", "usd", "tokens", "percent", "chars", "bytes")
EVENT_SOURCES = ("scores", "feedback", "labels")
COMPARISONS = ("=", "!=", ">", ">=", "<", "<=", "contains", "in", "null", "not null")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Kind:
    """What a kind of panel needs, may have, and how large it is when nobody says."""

    needs: tuple[str, ...]
    may: tuple[str, ...]
    size: tuple[int, int]


_QUERY = ("where", "source")
KINDS: dict[str, Kind] = {
    "lines": Kind(("measure",), ("by", "unit", "limit", *_QUERY), (12, 11)),
    "bars": Kind(("measure",), ("by", "unit", "limit", *_QUERY), (12, 11)),
    "percentiles": Kind(("column",), ("of", "unit", *_QUERY), (12, 11)),
    "distribution": Kind(("column",), ("unit", *_QUERY), (8, 11)),
    "heatmap": Kind(("column",), ("unit", *_QUERY), (12, 11)),
    "number": Kind(("measure",), ("unit", "better", *_QUERY), (4, 6)),
    "top": Kind(("column",), ("measure", "unit", "limit", *_QUERY), (8, 11)),
    "groups": Kind(("by",), ("measures", "limit", *_QUERY), (24, 12)),
    "rows": Kind((), ("columns", "sort", "roots", *_QUERY), (24, 26)),
    "note": Kind(("text",), (), (24, 4)),
}


@dataclass(frozen=True)
class Panel:
    """One panel: a kind, what it asks of the table, and where on the grid it lies (`at`: x, y, width, height)."""

    id: str
    kind: str
    title: str = ""
    at: tuple[int, int, int, int] | None = None
    measure: str | None = None
    measures: tuple[str, ...] | None = None
    column: str | None = None
    columns: tuple[str, ...] | None = None
    by: str | None = None
    of: tuple[float, ...] | None = None
    where: str | None = None
    source: str | None = None
    unit: str | None = None
    better: str | None = None
    limit: int | None = None
    sort: str | None = None
    roots: bool | None = None
    text: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            k: list(v) if isinstance(v, tuple) else v
            for k, v in asdict(self).items()
            if v not in (None, "")
        }


@dataclass(frozen=True)
class Filter:
    """A chip: a column, a comparison, a value."""

    column: str
    op: str = "="
    value: Any = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Board:
    """A dashboard over a table. Make one here, from a seed (`Board.seed`), or on the page.

    >>> board = Board("latency", table="support-bot/traces")
    >>> board.add("lines", measure="p95(latency_ms)", by="model", title="p95 by model").panels[0].id
    'p95-by-model'
    """

    name: str
    table: str = ""
    title: str = ""
    range: str = "auto"
    filters: list[Filter] = field(default_factory=list)
    where: str = ""
    group: str | None = None
    panels: list[Panel] = field(default_factory=list)
    version: int = 0
    seeded: str | None = None

    def add(self, kind: str, *, title: str = "", id: str | None = None, **more: Any) -> Board:  # noqa: A002
        """Add a panel below what is there; the board itself, so that calls chain."""
        panel_id = id or _free_id(
            title or more.get("measure") or more.get("column") or kind, self.panels
        )
        problems: list[str] = []
        made = _panel(
            {"id": panel_id, "kind": kind, "title": title, **more}, len(self.panels), problems
        )
        _refuse(self.name, problems)
        assert made is not None
        self.panels.append(made)
        return self

    # --- as JSON ---------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The board as JSON, every panel with its place."""
        return {
            "format": FORMAT,
            "name": self.name,
            "title": self.title or self.name,
            "table": self.table,
            "version": self.version,
            "seeded": self.seeded,
            "variables": {
                "range": self.range,
                "filters": [chip.to_json() for chip in self.filters],
                "where": self.where,
                "group": self.group,
            },
            "panels": [panel.to_json() for panel in placed(self.panels)],
        }

    @classmethod
    def from_json(cls, spec: Mapping[str, Any] | str) -> Board:
        """A board from its JSON; `InvalidBoard` says everything that is wrong, panel by panel."""
        return parse(spec)

    def export(self, path: str | Path) -> Path:
        """Write the board to a file that `Board.read` (or the page) takes."""
        written = Path(path)
        written.write_text(
            json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        return written

    @classmethod
    def read(cls, path: str | Path) -> Board:
        """A board from a file that `export` wrote, or a person did."""
        return parse(Path(path).read_text(encoding="utf-8"))

    # --- in the store ----------------------------------------------------------------

    @classmethod
    def seed(cls, seed: str, table: str, *, store: str | Path | None = None) -> Board:
        """A board made from a table's columns: `Board.seed("llm", "support-bot/traces")`."""
        from llmwatch.board import seeds
        from llmwatch.board.source import opened

        with opened(table, store) as source:
            return seeds.make(seed, source)

    def save(self, *, store: str | Path | None = None) -> int:
        """Keep the board in the store of its table; returns its version. Earlier versions stay."""
        from llmwatch.board import saved

        self.version = saved.save(self._project(store), self)
        return self.version

    @classmethod
    def load(cls, name: str, table: str, *, store: str | Path | None = None) -> Board:
        """The newest version of a saved board of the project of `table`."""
        from llmwatch.board import saved

        return saved.load(cls(name, table)._project(store), name)

    def publish(self, *, store: str | Path | None = None, wandb: bool | None = None) -> Published:
        """Save the board as a Weave saved view of its table, in the store and, where the project is sent there, at W&B.

        At W&B there is a workspace over the logged metrics too. `wandb=True` publishes there though rows are not sent.
        """
        from llmwatch.board.publish import publish

        return publish(self, store=store, wandb=wandb)

    def _project(self, store: str | Path | None) -> Project:
        from llmwatch.names import parse_table
        from llmwatch.store import open_store

        where = parse_table(self.table)
        return open_store(store).project(where.entity, where.project)

    def _repr_html_(self) -> str:
        from llmwatch.board.notebook import board_html

        return board_html(self)


# --- checking ------------------------------------------------------------------------------


def parse(spec: Mapping[str, Any] | str) -> Board:
    """A board from JSON that anybody may have written."""
    if isinstance(spec, str):
        try:
            spec = json.loads(spec)
        except ValueError as error:
            raise InvalidBoard(f"a board is JSON; this is not: {error}") from None
    if not isinstance(spec, Mapping):
        raise InvalidBoard("a board is a JSON object with `name` and `panels`")
    problems: list[str] = []
    board = _board(spec, problems)
    _refuse(str(spec.get("name", "")), problems)
    return board


def _board(spec: Mapping[str, Any], problems: list[str]) -> Board:
    if (format_ := spec.get("format", FORMAT)) != FORMAT:
        problems.append(f"format is {format_!r}; this llmwatch reads {FORMAT}")
    variables = spec.get("variables") or {}
    if not isinstance(variables, Mapping):
        problems.append("variables is an object with range, filters, where and group")
        variables = {}
    board = Board(
        name=_checked_name(spec.get("name"), problems),
        table=_text(spec, "table", problems),
        title=_text(spec, "title", problems),
        range=_range(variables.get("range", "auto"), problems),
        filters=list(_filters(variables.get("filters") or [], problems)),
        where=_text(variables, "where", problems),
        group=variables.get("group") or None,
        version=spec["version"] if isinstance(spec.get("version"), int) else 0,
        seeded=spec.get("seeded") if isinstance(spec.get("seeded"), str) else None,
    )
    board.panels = list(_panels(spec.get("panels"), problems))
    return board


def _checked_name(name: Any, problems: list[str]) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problems.append(f"name {name!r} is not one: letters, digits, `.`, `_` and `-`, at most 64")
        return ""
    return name


def _text(spec: Mapping[str, Any], key: str, problems: list[str]) -> str:
    value = spec.get(key) or ""
    if not isinstance(value, str):
        problems.append(f"{key} is text, not {value!r}")
        return ""
    return value


def _range(value: Any, problems: list[str]) -> str:
    if value not in RANGES and not (
        isinstance(value, str) and re.fullmatch(r"\d{16}-\d{16}", value)
    ):
        problems.append(
            f"range {value!r} is none of {', '.join(RANGES)}, nor two times in microseconds as `from-to`"
        )
        return "auto"
    return str(value)


def _filters(found: Any, problems: list[str]) -> Iterator[Filter]:
    for n, chip in enumerate(found if isinstance(found, list) else [found]):
        if not isinstance(chip, Mapping) or not isinstance(chip.get("column"), str):
            problems.append(f"filter {n + 1} is an object with column, op and value")
        elif chip.get("op", "=") not in COMPARISONS:
            problems.append(
                f"filter {n + 1} on {chip['column']!r}: op is one of {', '.join(COMPARISONS)}"
            )
        else:
            yield Filter(chip["column"], chip.get("op", "="), chip.get("value"))


def _panels(found: Any, problems: list[str]) -> Iterator[Panel]:
    if not isinstance(found, list):
        problems.append("panels is a list")
        return
    seen: set[str] = set()
    for n, spec in enumerate(found):
        panel = _panel(spec, n, problems)
        if panel is None:
            continue
        if panel.id in seen:
            problems.append(f"panel {n + 1}: the id {panel.id!r} is taken by another panel")
        seen.add(panel.id)
        yield panel


_LISTS = frozenset({"measures", "columns", "of", "at"})
_FIELDS = {f.name for f in fields(Panel)}


def _panel(spec: Any, n: int, problems: list[str]) -> Panel | None:
    if not isinstance(spec, Mapping):
        problems.append(f"panel {n + 1} is an object with kind, title and at")
        return None
    named = f"panel {n + 1} ({spec.get('id') or spec.get('title') or 'without an id'})"
    before = len(problems)
    kind = KINDS.get(str(spec.get("kind")))
    if kind is None:
        problems.append(f"{named}: kind {spec.get('kind')!r} is none of {', '.join(KINDS)}")
        return None
    problems += [f"{named}: {text}" for text in _wrong(spec, kind)]
    if len(problems) > before:
        return None
    known: dict[str, Any] = {
        k: tuple(v) if k in _LISTS and v is not None else v for k, v in spec.items()
    }
    known["id"] = known.get("id") or f"panel-{n + 1}"
    return Panel(**known)


def _wrong(spec: Mapping[str, Any], kind: Kind) -> Iterator[str]:
    allowed = {"id", "kind", "title", "at", *kind.needs, *kind.may}
    for key in spec:
        if key not in allowed and spec[key] is not None:
            yield f"a {spec['kind']} panel has no {key!r}; it may have {', '.join(sorted(allowed))}"
    for key in kind.needs:
        if not spec.get(key):
            yield f"a {spec['kind']} panel needs {key!r}"
    for key, value in spec.items():
        if value is not None and key in _FIELDS and (said := _wrong_value(key, value)):
            yield said


def _wrong_value(key: str, value: Any) -> str | None:  # noqa: C901, PLR0911 - one line for each field
    if key == "at":
        return _wrong_place(value)
    if key in ("measures", "columns", "of"):
        inner = (int, float) if key == "of" else str
        if not isinstance(value, (list, tuple)) or not all(
            isinstance(item, inner) for item in value
        ):
            return f"{key} is a list, not {value!r}"
        return next(filter(None, map(measures.wrong, value)), None) if key == "measures" else None
    if key == "roots":
        return None if isinstance(value, bool) else "roots is true or false"
    if key == "limit":
        return (
            None
            if isinstance(value, int) and 0 < value <= 1000
            else "limit is a whole number from 1 to 1000"
        )
    if not isinstance(value, str):
        return f"{key} is text, not {value!r}"
    if key == "measure":
        return measures.wrong(value)
    choices = {"unit": UNITS, "better": ("up", "down"), "source": EVENT_SOURCES}.get(key)
    if choices and value not in choices:
        return f"{key} {value!r} is none of {', '.join(filter(None, choices))}"
    return None


def _wrong_place(at: Any) -> str | None:
    if not (isinstance(at, (list, tuple)) and len(at) == 4 and all(type(n) is int for n in at)):
        return f"at is four whole numbers (x, y, width, height), not {at!r}"
    x, y, width, height = at
    if min(x, y) < 0 or width < 2 or height < 2 or x + width > GRID or y > 10_000 or height > 200:
        return f"at {list(at)} does not lie on the grid of {GRID} columns"
    return None


def _refuse(name: str, problems: Sequence[str]) -> None:
    if problems:
        raise InvalidBoard(
            f"the board {name!r} cannot be used:\n  " + "\n  ".join(problems), problems
        )


# --- places --------------------------------------------------------------------------------


def placed(panels: Iterable[Panel]) -> list[Panel]:
    """Every panel with a place: those without one flow left to right below what comes before."""
    done: list[Panel] = []
    x = top = bottom = 0
    for panel in panels:
        if panel.at is None:
            width, height = KINDS[panel.kind].size
            if x + width > GRID:
                x, top = 0, bottom
            panel = replace(panel, at=(x, top, width, height))  # noqa: PLW2901
        assert panel.at is not None
        x, top = panel.at[0] + panel.at[2], panel.at[1]
        bottom = max(bottom, panel.at[1] + panel.at[3])
        done.append(panel)
    return done


def _free_id(text: str, panels: Sequence[Panel]) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "panel"
    taken = {panel.id for panel in panels}
    numbered = (f"{stem}-{n}" for n in range(2, len(taken) + 3))
    return stem if stem not in taken else next(name for name in numbered if name not in taken)
