"""`forward`: how sending to W&B stands, what it would send, and sending now."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from llmwatch import clock, destination, settings
from llmwatch.cli import chosen
from llmwatch.cli.codes import INCOMPLETE, OK, USAGE
from llmwatch.cli.output import print_json, print_line, print_table, say, size

if TYPE_CHECKING:
    import argparse

    from llmwatch.forward.estimate import Estimate
    from llmwatch.forward.status import Status
    from llmwatch.store import Project

_LONGEST_WAIT_S = 5.0


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "forward", help="sending to W&B: how it stands, what it takes, and doing it now"
    )
    parser.add_argument("project", nargs="?", help="project or entity/project (default: all)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--status", action="store_true", help="what was sent, what waits and why (the default)"
    )
    what.add_argument(
        "--estimate", action="store_true", help="rows and bytes a day, from the last day's records"
    )
    what.add_argument("--once", action="store_true", help="send what there is, here, and end")
    what.add_argument("--retry-dead", action="store_true", help="try what W&B refused once more")
    parser.set_defaults(run=forward)
    chosen.add_store(parser)
    chosen.add_json(parser)


def forward(given: argparse.Namespace) -> int:
    """Exits with 3 when something still waits after `--once` or `--retry-dead`."""
    projects = chosen.projects(given)
    if given.estimate:
        return _estimate(projects, as_json=given.json)
    if given.once or given.retry_dead:
        return _send(projects, again=given.retry_dead)
    return _status(projects, as_json=given.json)


# --- status ------------------------------------------------------------------------------


def _status(projects: list[Project], *, as_json: bool) -> int:
    from llmwatch.forward.status import status

    found = [status(project, settings.current()) for project in projects]
    if as_json:
        print_json([asdict(one) for one in found])
    for one in () if as_json else found:
        _print_status(one)
    return OK


def _print_status(one: Status) -> None:
    print_line(f"{one.project} -> {one.destination}: {one.standing}")
    if one.sent:
        counts = {name: count for name, count in one.sent.items() if name != "bytes"}
        told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        print_line(f"  sent: {told}; {size(one.sent.get('bytes', 0))}")
    if behind := {name: count for name, count in one.waiting.items() if count}:
        print_line(
            "  waiting: " + ", ".join(f"about {count} in {name}" for name, count in behind.items())
        )
    if one.sampling:
        told = ", ".join(f"{name} {value:g}" for name, value in one.sampling.items())
        print_line(f"  traces: {told}")
    _print_problems(one)


def _print_problems(one: Status) -> None:
    if one.problem:
        print_line(f"  last problem: {one.problem} (next try in {one.next_try_in_s or 0:.0f} s)")
    if one.last_success:
        print_line(f"  last success: {(clock.now_us() - one.last_success) / 1e6:.0f} s ago")
    if one.dropped_rows:
        print_line(
            f"  dropped: {one.dropped_rows} rows were removed by retention before they were sent"
        )
    if one.refused:
        print_line(
            f"  refused by W&B: {one.refused} (`llmwatch forward --retry-dead` tries them again)"
        )
        for refused in one.refused_latest:
            print_line(
                f"    {refused['kind']} {refused['id']} {refused['source']}: {refused['reason']}"
            )


# --- estimate ----------------------------------------------------------------------------


def _estimate(projects: list[Project], *, as_json: bool) -> int:
    from llmwatch.forward.estimate import estimate

    found = [
        (project, one)
        for project in projects
        for one in estimate(project, settings.current(), _sampler(project))
    ]
    if as_json:
        print_json([{"project": project.id, **asdict(one)} for project, one in found])
    else:
        columns = ["project", "table", "rows a day", "bytes a day", "media a day", "estimated"]
        print_table(columns, [[project.id, *_shown(one)] for project, one in found])
    return OK


def _sampler(project: Project) -> Any:
    from llmwatch.forward.sampler import AdaptiveSampler

    told = destination.read(project).sampler
    return None if told is None else AdaptiveSampler.from_dict(told)


def _shown(one: Estimate) -> list[str]:
    if one.rows_a_day is None:
        return [one.table, "unknown", "unknown", "unknown", one.note]
    sizes = [size(value) for value in (one.bytes_a_day or 0, one.media_bytes_a_day or 0)]
    return [one.table, f"{one.rows_a_day:,.0f}", *sizes, one.note]


# --- sending -----------------------------------------------------------------------------


def _send(projects: list[Project], *, again: bool) -> int:
    meant = [project for project in projects if destination.read(project).periods]
    if not meant:
        say(
            "llmwatch: nothing here is meant for W&B; llmwatch.init(..., destination='wandb') says so"
        )
        return USAGE
    if os.environ.get("WANDB_MODE", "").lower() in {"offline", "disabled"}:
        say(f"llmwatch: WANDB_MODE={os.environ['WANDB_MODE']}: nothing is sent")
        return USAGE
    return max(_send_project(project, again=again) for project in meant)


def _send_project(project: Project, *, again: bool) -> int:
    from llmwatch.forward.forwarder import Forwarder
    from llmwatch.forward.subscriber import alone

    wanted = destination.read(project)
    if not wanted.on:
        say(f"{project.id}: no longer meant for W&B; only deletions of what was sent are")
    with alone(project) as free:
        # asking for it is what an offline mode waits for
        forwarder = Forwarder(project, settings.current(), replace(wanted, paused=""))
        try:
            if again:
                say(f"{project.id}: {forwarder.state.revive()} refused things are tried again")
            if not free:
                say(f"{project.id}: the worker is at it")
                return INCOMPLETE
            return _until_sent(project, forwarder)
        finally:
            forwarder.close()


def _until_sent(project: Project, forwarder: Any) -> int:
    """Passes until nothing is left; ends when W&B has to be waited for longer than a few seconds."""
    while forwarder.run() or forwarder.problem:
        if forwarder.backoff.wait_s > _LONGEST_WAIT_S or forwarder.is_locked_out:
            say(f"{project.id}: {forwarder.problem}; the rest waits")
            return INCOMPLETE
        time.sleep(forwarder.backoff.wait_s)
    sent = forwarder.state.counts()
    print_line(f"{project.id}: everything is sent, {sent.get('rows', 0):.0f} rows so far")
    return OK
