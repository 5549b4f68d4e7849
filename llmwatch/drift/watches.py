"""Which columns are watched row by row: each `[[drift.watch]]` of the settings files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmwatch import settings
from llmwatch.drift.finding import MINIMUM_ROWS
from llmwatch.errors import SettingsError
from llmwatch.names import TableName, parse_table

RUN_LENGTH = 100_000
LEARN = 2000
_KNOWN = {"table", "signals", "run_length", "learn"}


@dataclass(frozen=True)
class Watch:
    """A table, the signals that are watched in it, and how."""

    table: TableName
    signals: tuple[str, ...] = ("prompt_length",)
    run_length: int = RUN_LENGTH
    """False alarms of a signal are at least so many rows apart on average."""
    learn: int = LEARN
    """Rows that are learnt from before anything is said."""


def configured() -> list[Watch]:
    """The watches that the settings files ask for; `SettingsError` for one that cannot be."""
    told, where = settings.section("drift")
    if unknown := told.keys() - {"watch", "job"}:
        raise SettingsError(f"[drift] in {where} has no setting {', '.join(sorted(unknown))}")
    watches = told.get("watch", [])
    if not isinstance(watches, list) or not all(isinstance(one, dict) for one in watches):
        raise SettingsError(f"watch in {where} is a list of tables: write [[drift.watch]]")
    return [_watch(one, where) for one in watches]


def _watch(told: dict[str, Any], where: str) -> Watch:
    if unknown := told.keys() - _KNOWN:
        raise SettingsError(f"[[drift.watch]] in {where} has no {', '.join(sorted(unknown))}")
    if "table" not in told:
        raise SettingsError(f"[[drift.watch]] in {where} names no table")
    signals = told.get("signals", ["prompt_length"])
    if not signals or not isinstance(signals, list) or not all(type(one) is str for one in signals):
        raise SettingsError(f"signals in {where} is a list of names, not {signals!r}")
    return Watch(
        parse_table(told["table"]),
        tuple(signals),
        _rows("run_length", told.get("run_length", RUN_LENGTH), 1, where),
        _rows("learn", told.get("learn", LEARN), MINIMUM_ROWS, where),
    )


def _rows(name: str, value: Any, least: int, where: str) -> int:
    if type(value) is not int or value < least:
        raise SettingsError(
            f"{name} in {where} is a number of rows, {least} or more, not {value!r}"
        )
    return value
