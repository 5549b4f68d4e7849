"""Which runs the worker makes, and when: each `[[drift.job]]` of the settings files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from llmwatch import settings
from llmwatch.errors import SettingsError
from llmwatch.names import TableName, parse_table

EVERY = "1h"
_FLAGS = {
    "baseline": "--baseline",
    "window": "--window",
    "slice": "--slice",
    "embedder": "--embedder",
    "text": "--text",
    "where": "--where",
    "by": "--by",
    "alpha": "--alpha",
}


@dataclass(frozen=True)
class Job:
    """A run of `llmwatch drift` every so often."""

    table: TableName
    every_us: int
    arguments: tuple[str, ...]

    @property
    def key(self) -> str:
        """The same for the same job, whenever it is read."""
        said = orjson.dumps([str(self.table), *self.arguments])
        return hashlib.blake2b(said, digest_size=8).hexdigest()


def jobs() -> list[Job]:
    """The jobs that the settings files ask for; `SettingsError` for one that cannot be."""
    told, where = settings.section("drift")
    listed = told.get("job", [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise SettingsError(f"job in {where} is a list of runs: write [[drift.job]]")
    return [_job(one, where) for one in listed]


def _job(told: dict[str, Any], where: str) -> Job:
    from llmwatch.drift.windows import duration_us

    if unknown := told.keys() - {"table", "every", "signals", "every_call", *_FLAGS}:
        raise SettingsError(f"[[drift.job]] in {where} has no {', '.join(sorted(unknown))}")
    if "table" not in told:
        raise SettingsError(f"[[drift.job]] in {where} names no table")
    signals = told.get("signals", [])
    if not isinstance(signals, list) or not all(isinstance(one, str) for one in signals):
        raise SettingsError(f"signals in {where} is a list of names, not {signals!r}")
    arguments = [f"{flag}={told[name]}" for name, flag in _FLAGS.items() if name in told]
    arguments += [f"--signal={signal}" for signal in signals]
    arguments += ["--every-call"] if told.get("every_call") else []
    return Job(parse_table(told["table"]), duration_us(told.get("every", EVERY)), tuple(arguments))
