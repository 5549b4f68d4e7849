"""`run`: a program with its calls recorded, without an edit of it."""

from __future__ import annotations

import atexit
import re
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch import settings
from llmwatch.cli.codes import OK, WRONG
from llmwatch.cli.output import say

if TYPE_CHECKING:
    import argparse
    from types import TracebackType

    from llmwatch.backend.callers import Callers
    from llmwatch.store import Project

_MOST_SUGGESTED = 3


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        help="run a Python program with its model calls recorded",
        description="Runs a program as `python` would (its arguments, output and exit code are its own) and records "
        "the calls it makes with openai and the other clients that Weave knows. Afterwards it says where "
        "@traced would show more.",
    )
    parser.add_argument(
        "--project", help="project or entity/project (default: as set, or the program's name)"
    )
    parser.add_argument(
        "--store", metavar="DIR", help="the store's directory (default: LLMWATCH_STORE, ...)"
    )
    parser.add_argument("program", type=Path, help="a Python file")
    parser.add_argument("arguments", nargs="...", help="what follows is the program's own")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Exits as the program does; with 1 when there is no such program."""
    program: Path = given.program
    if not program.is_file():
        say(f"llmwatch: there is no program {program}")
        return WRONG
    _record(program, given)
    sys.argv = [str(program), *given.arguments]
    sys.path.insert(0, str(program.resolve().parent))
    try:
        runpy.run_path(str(program), run_name="__main__")
    except KeyboardInterrupt as error:
        return _ended_by(error, 130)
    except Exception as error:  # noqa: BLE001 - the program's own, told as Python would
        return _ended_by(error, 1)
    return OK


def _record(program: Path, given: argparse.Namespace) -> None:
    """Begin to record, and have it told when all is over: after the program's threads and exit handlers."""
    import llmwatch
    from llmwatch import clock
    from llmwatch.backend import callers, session

    named = given.project or (None if _is_set("project") else project_name(program))
    store = {} if given.store is None else {"store": given.store}
    llmwatch.init(named, **store)
    assert session._session is not None
    callers.watched = callers.Callers(program.resolve().parent)
    atexit.register(_tell, session._session.project, clock.now_us(), callers.watched)


def _is_set(name: str) -> bool:
    return bool(getattr(settings.load(), name) != getattr(settings.Settings(), name))


def project_name(program: Path) -> str:
    """A project's name from a program's.

    >>> project_name(Path("my app.py"))
    'my-app'
    """
    return re.sub(r"[^A-Za-z0-9._-]+|^[._-]+|[._-]+$", "-", program.stem).strip("-._") or "program"


def _ended_by(error: BaseException, code: int) -> int:
    """Show the program's error as Python does, from the program's first line on."""
    trace = _of_the_program(error.__traceback__)
    sys.excepthook(type(error), error.with_traceback(trace), trace)
    return code


def _of_the_program(trace: TracebackType | None) -> TracebackType | None:
    ours = {__file__, runpy.__file__, "<frozen runpy>"}
    while trace is not None and trace.tb_frame.f_code.co_filename in ours:
        trace = trace.tb_next
    return trace


def _tell(project: Project, since_us: int, found: Callers) -> None:
    from llmwatch.backend import session

    if session._session is not None:  # the program may have moved to another project
        project = session._session.project
        session._session.client.flush()
    count = _recorded(project, since_us)
    if not count:
        say(f"llmwatch: no calls were recorded in {project.id}")
        return
    calls = "1 call was" if count == 1 else f"{count} calls were"
    say(f"llmwatch: {calls} recorded in {project.id}: llmwatch tail {project.id}/traces")
    suggested = [
        f"{caller} ({times} {'call' if times == 1 else 'calls'})"
        for caller, times in found.counts.most_common(_MOST_SUGGESTED)
    ]
    if suggested:
        say(f"llmwatch: @traced would show what these were called with: {', '.join(suggested)}")


def _recorded(project: Project, since_us: int) -> int:
    """How many calls there are since the program began, of whatever process of its."""
    from llmwatch.stream.query import Reader

    reader = Reader(project)
    try:
        sql = 'SELECT count(*) FROM "{}" WHERE op_name IS NOT NULL AND epoch_us(ts) >= ?'
        tables = project.tables()
        return sum(
            int(reader.execute(sql.format(name), [since_us], tables=(name,)).rows[0][0])
            for name in tables
        )
    finally:
        reader.close()
