"""Which store, projects and tables the arguments of a command are about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmwatch import settings
from llmwatch.errors import InvalidName, NotFound, StoreError
from llmwatch.names import parse_table
from llmwatch.store import Store, locate

if TYPE_CHECKING:
    import argparse

    from llmwatch.store import Project
    from llmwatch.stream.table import StreamTable


def add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store", metavar="DIR", help="the store's directory (default: LLMWATCH_STORE, ...)"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for a script")


def store(given: argparse.Namespace) -> Store:
    """The store, which has to be there: looking at a mistyped one must not make it."""
    root = locate(given.store)
    if not root.is_dir():
        raise StoreError(f"there is no store at {root}")
    return Store(root)


def projects(given: argparse.Namespace) -> list[Project]:
    """The project the arguments name, or all of them."""
    here = store(given)
    return here.projects() if given.project is None else [project(here, given.project)]


def project(here: Store, text: str) -> Project:
    """The project written as `project` or `entity/project`, which has to be there."""
    entity, slash, name = text.rpartition("/")
    if "/" in entity:
        raise InvalidName(f"{text!r} is not a project: write 'project' or 'entity/project'")
    found = here.project(entity if slash else settings.current().entity, name)
    if not found.path.is_dir():
        raise NotFound(f"there is no project {found.id} in {here.root}")
    return found


def table(given: argparse.Namespace) -> StreamTable:
    """The table the arguments name, which has to be there."""
    from llmwatch.stream.table import StreamTable

    here, name = store(given), parse_table(given.table)
    there = here.project(name.entity, name.project)
    if name.table not in there.tables():
        known = [f"{there.id}/{other}" for there in here.projects() for other in there.tables()]
        raise NotFound(
            f"there is no table {name} in {here.root}; there is: {', '.join(known) or 'none'}"
        )
    # looking at a table has nothing of it sent, wherever this shell's own records go
    settings.use(replace(settings.current(), destination="local"))
    return StreamTable(str(name), store=here.root)
