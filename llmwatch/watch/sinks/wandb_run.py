"""The run of one day at W&B, online or in a directory: opened where it stood, and logged to step by step."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llmwatch
from llmwatch.stream import copies
from llmwatch.watch.sinks.options import COLUMNS
from llmwatch.watch.sinks.points import TIME

if TYPE_CHECKING:
    from llmwatch.store import Project
    from llmwatch.watch.sinks.journal import Journal
    from llmwatch.watch.sinks.options import WandbOptions

REQUESTS = "production/requests"
_LONGEST_TAG = 64


class DayRun:
    """A wandb run. `next_step` is the first step of the journal that it does not hold yet."""

    def __init__(self, project: Project, options: WandbOptions, journal: Journal, day: str) -> None:
        self.day, self._journal = day, journal
        self._offline = options.mode == "offline"
        self._id = f"llmwatch-{journal.identity()}-{day.replace('-', '')}"
        self._directory = Path(options.directory or project.path)
        if self._offline:
            self._drop_unclosed()
        self._run = self._opened(project, options)
        self._table: Any = None
        self._midnight_s = datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()
        self.first_step = journal.sent(day) if self._offline else int(self._run.starting_step)
        self.next_step = self.first_step

    def log(self, values: Mapping[str, Any], versions: Collection[str]) -> None:
        """Log the next step. One of which nothing is left is an empty line: steps and lines stay one to one."""
        told = {TIME: self._midnight_s, **{n: _shown(value) for n, value in values.items()}}
        rows = told.pop(REQUESTS, None)
        if rows:
            told[REQUESTS] = self._with(rows)
        for version in sorted(versions):
            self._tag(f"version:{version}")
        self._run.log(told, step=self.next_step, commit=True)
        self.next_step += 1

    def finish(self) -> None:
        """Close the run; what an offline one holds is complete from then on."""
        self._run.finish()
        self._journal.set_sent(self.day, self.next_step)
        if self._offline:
            for directory in self._directories():
                if not copies.is_closed(directory):
                    copies.close(directory, self.first_step)

    def _opened(self, project: Project, options: WandbOptions) -> Any:
        import wandb

        run = wandb.init(
            mode=options.mode,
            project=options.project or project.name,
            entity=options.entity,
            id=self._id,
            resume="allow",
            name=f"watch {self.day}",
            group=f"llmwatch {project.id}",
            job_type="watch",
            tags=[tag[:_LONGEST_TAG] for tag in ("llmwatch", self.day, *options.tags)],
            config={
                "llmwatch_version": llmwatch.__version__,
                "project": project.id,
                "day": self.day,
            },
            dir=str(self._directory),
            reinit="create_new",
            settings=_settings(),
        )
        run.define_metric(TIME, hidden=True)
        run.define_metric("*", step_metric=TIME)
        return run

    def _with(self, rows: list[list[Any]]) -> Any:
        """The table with more rows: W&B gets the new ones only."""
        import wandb

        if self._table is None:
            self._table = wandb.Table(
                columns=list(COLUMNS), log_mode="INCREMENTAL", allow_mixed_types=True
            )
        for row in rows:
            self._table.add_data(*map(_shown, row))
        return self._table

    def _tag(self, tag: str) -> None:
        short = tag[:_LONGEST_TAG]
        if short not in (self._run.tags or ()):
            self._run.tags = (*(self._run.tags or ()), short)

    # --- offline directories ----------------------------------------------------------------

    def _directories(self) -> list[Path]:
        return copies.directories(self._directory, self._id)

    def _drop_unclosed(self) -> None:
        """A directory whose process died may lack its last lines: it is written anew, unless it was uploaded."""
        for directory in self._directories():
            if not copies.is_closed(directory) and not copies.is_uploaded(directory):
                shutil.rmtree(directory, ignore_errors=True)


def _shown(value: Any) -> Any:
    """A picture as an image of W&B's; anything else as it is."""
    import wandb

    if type(value).__module__.partition(".")[0] == "PIL" or hasattr(value, "getbbox"):
        return wandb.Image(value)
    return value


def _settings() -> Any:
    """Nothing of the machine or its code goes along: no console, git, packages, statistics."""
    import wandb

    return wandb.Settings(
        console="off",
        silent=True,
        save_code=False,
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        init_timeout=60,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )
