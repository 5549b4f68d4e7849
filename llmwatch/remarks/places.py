"""Which project what is said goes to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch import settings
from llmwatch.errors import InvalidName
from llmwatch.store import open_store

if TYPE_CHECKING:
    from llmwatch.store import Project


def project_of(named: str | None, store: str | Path | None = None) -> Project:
    """The project of this name (`project` or `entity/project`); without one that of `init`, else of the settings."""
    if named is None and store is None and (here := _initialised()) is not None:
        return here
    now = settings.current()
    entity, slash, name = (named or now.project).rpartition("/")
    if "/" in entity:
        raise InvalidName(f"{named!r} is not a project: write 'project' or 'entity/project'")
    return open_store(store).project(entity if slash else now.entity, name)


def _initialised() -> Project | None:
    import sys

    if "llmwatch.tracing.recorder" not in sys.modules:
        return None
    from llmwatch.tracing import recorder

    active = recorder.active()
    return None if active is None else active.project
