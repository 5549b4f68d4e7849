"""Saving, listing and deleting baselines, as people ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch import settings as settings_
from llmwatch.drift import baselines
from llmwatch.drift.baselines import Baseline
from llmwatch.drift.job import Options, Run, reading_from
from llmwatch.errors import InvalidName, SettingsError
from llmwatch.names import check_name, parse_table
from llmwatch.store import BASELINES, open_store
from llmwatch.stream.columns import literal

if TYPE_CHECKING:
    from llmwatch.drift.embedders import Embedder
    from llmwatch.drift.frames import Frame
    from llmwatch.store import Project


def save_baseline(
    name: str,
    data: Any = None,
    *,
    table: str | None = None,
    window: str | float | timedelta = "7d",
    until: datetime | str | float | None = None,
    project: str | None = None,
    store: str | Path | None = None,
    embedder: str | Embedder | None = None,
    text: str | None = None,
    where: str | None = None,
    every_call: bool = False,
    statistics: Mapping[str, Any] | None = None,
) -> Baseline:
    """Save what prompts are like under the next version of `name`.

    Either `data`, a golden dataset: a JSON lines, CSV or Parquet file, a `weave.Dataset`, or any iterable of
    mappings; or a stretch of a `table`. `text` names the field that holds the prompt where that is not plain.

    `statistics` are all that is left of rows that are gone: a mean and a standard deviation of each signal.

    `save_baseline("golden", "golden.jsonl", project="support-bot")`
    `save_baseline("july", table="support-bot/traces", window="30d", until="2026-08-01")`
    """
    if sum(one is not None for one in (data, table, statistics)) != 1:
        raise SettingsError(
            "a baseline is made of data, of a table or of statistics: give one of them"
        )
    if statistics is not None:
        return _of_statistics(name, statistics, _project(project, store))
    options = Options(
        window=window, until=until, embedder=embedder, text=text, where=where, every_call=every_call,
        signals=("all",), most_prompts=baselines.MOST,
    )  # fmt: skip
    if table is not None:
        return _of_table(name, table, project, store, options)
    return _of_data(name, data, _project(project, store), options)


def saved_baselines(
    project: str | None = None, *, store: str | Path | None = None
) -> list[Baseline]:
    """The baselines saved in a project, by name and version."""
    with reading_from(_project(project, store)) as reader:
        return baselines.listed(reader)


def delete_baseline(
    name: str, project: str | None = None, *, store: str | Path | None = None
) -> list[Baseline]:
    """Physically remove `name@2`, or every version of `name`; returns what was removed."""
    from llmwatch.stream.erase import erase

    opened = _project(project, store)
    with reading_from(opened) as reader:
        baselines.find(reader, name)  # or say that it is not there
        kept_name, _, version = name.partition("@")
        gone = [
            one
            for one in baselines.listed(reader)
            if one.name == kept_name and version in {"", str(one.version)}
        ]
    where = f"display_name = {literal(kept_name)}"
    erase(
        opened, f"{where} AND version = {literal(version)}" if version else where, table=BASELINES
    )
    return gone


def _of_table(
    name: str, table: str, project: str | None, store: str | Path | None, options: Options
) -> Baseline:
    where = parse_table(table, project=project)
    opened = open_store(store).project(where.entity, where.project)
    with reading_from(opened) as reader:
        current = settings_.current()
        run = Run(reader, current, where.table, options)
        frame, window = run.kept()
        return baselines.save(
            opened,
            current,
            reader,
            name,
            frame,
            embedder=run.identity,
            source=f"{where.table}, {window}",
        )


def _of_data(name: str, data: Any, project: Project, options: Options) -> Baseline:
    from llmwatch.drift import embedders
    from llmwatch.drift.embedding import embedded

    records, source = baselines.records_of(data)
    frame: Frame = baselines.of_records(records, options.text)
    embedder = embedders.chosen(options.embedder)
    current = settings_.current()
    with reading_from(project) as reader:
        frame = embedded(frame, embedder, reader, current)
        return baselines.save(
            project, current, reader, name, frame, embedder=embedder.identity, source=source
        )


def _of_statistics(name: str, given: Mapping[str, Any], project: Project) -> Baseline:
    from llmwatch.drift import summaries
    from llmwatch.drift.frames import Frame

    known = summaries.checked(given)
    with reading_from(project) as reader:
        return baselines.save(
            project, settings_.current(), reader, name, Frame(0),
            embedder=None, source="given statistics", summary=known,
        )  # fmt: skip


def _project(text: str | None, store: str | Path | None) -> Project:
    """The project written as `project` or `entity/project`, or the one of the settings."""
    current = settings_.current()
    entity, _, name = (text or current.project).rpartition("/")
    if "/" in entity:
        raise InvalidName(f"{text!r} is not a project: write 'project' or 'entity/project'")
    return open_store(store).project(
        check_name(entity or current.entity, "entity"), check_name(name, "project")
    )
