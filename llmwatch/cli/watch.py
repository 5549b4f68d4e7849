"""`watch`, `alerts` and `report`: metrics kept up to date, rules looked at, and what became of them."""

from __future__ import annotations

import getpass
import json
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from llmwatch import clock, settings
from llmwatch.cli import chosen
from llmwatch.cli.codes import INCOMPLETE, OK
from llmwatch.cli.output import print_json, print_line, print_table, progress, say
from llmwatch.cli.times import when
from llmwatch.store import Project, Store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from llmwatch.errors import SettingsError
    from llmwatch.stream.query import Reader
    from llmwatch.watch.channels.protocol import Channel
    from llmwatch.watch.rounds import Round
    from llmwatch.watch.rules import Rule
    from llmwatch.watch.sets import MetricSet

FIRING = 4
"""The exit code of `watch --once` when an alert fires."""
_EXIT_CODES = (
    "Metric sets and rules are [[watch.metrics]] and [[watch.rules]] of llmwatch.toml. Without a set of the table traces, "
    "its latency, errors, cost and confidence are watched by default (default_metrics = false under [watch]: they are not). "
    "Exit codes: 0 nothing fires; 4 an alert fires; 3 a message could not be sent, or an entry of the settings is wrong "
    "and left out; 1, 2 as everywhere"
)


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "watch", help="look at the rules, and tell of alerts", epilog=_EXIT_CODES
    )
    parser.add_argument("project", nargs="?", help="one project (default: all)")
    parser.add_argument("--once", action="store_true", help="look one time, and end")
    parser.add_argument("--every", metavar="1m", default="30s", help="how often (default: 30s)")
    parser.add_argument(
        "--backtest", metavar="14d", help="when rules would have fired since then; tells nobody"
    )
    parser.add_argument(
        "--prometheus",
        metavar="HOST:PORT",
        help="also serve metrics for Prometheus there; :9464 is loopback. Off loopback scrapers need a token "
        "(LLMWATCH_TOKEN, or the one that is printed)",
    )
    parser.add_argument(
        "--grafana", action="store_true", help="print a dashboard to import into Grafana, and end"
    )
    parser.set_defaults(run=watch)
    chosen.add_store(parser)
    chosen.add_json(parser)
    _add_alerts(commands)
    _add_report(commands)


def _add_alerts(commands: Any) -> None:
    parser = commands.add_parser("alerts", help="list, silence and resolve alerts")
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    parser.set_defaults(run=list_, project=None, since="7d", firing=False, store=None, json=False)
    listed = actions.add_parser(
        "list", help="alerts of the last week, the newest last (the default)"
    )
    listed.add_argument("project", nargs="?")
    listed.add_argument("--since", metavar="7d", default="7d")
    listed.add_argument("--firing", action="store_true", help="only those that fire now")
    listed.set_defaults(run=list_)
    silence_ = actions.add_parser("silence", help="have nobody told of a rule's alerts for a while")
    silence_.add_argument("project")
    silence_.add_argument("rule", help="the rule's name, or a pattern: 'slow*'; the id with --end")
    silence_.add_argument("--for", dest="lasting", metavar="2h", default="2h")
    silence_.add_argument("--group", default="", help="only groups that have this in them")
    silence_.add_argument("--reason", default="")
    silence_.add_argument("--end", action="store_true", help="end the silence with this id")
    silence_.set_defaults(run=silence)
    resolve_ = actions.add_parser("resolve", help="say that an alert is over")
    resolve_.add_argument("project")
    resolve_.add_argument("alert", help="its id, or the name of its rule")
    resolve_.set_defaults(run=resolve)
    for one in (listed, silence_, resolve_):
        chosen.add_store(one)
        chosen.add_json(one)


def _add_report(commands: Any) -> None:
    parser = commands.add_parser("report", help="what a week was like")
    parser.add_argument("project")
    parser.add_argument("--weekly", action="store_true", help="the last seven days (the default)")
    parser.add_argument(
        "--until", metavar="TIME", type=when, help="where the week ends (default: now)"
    )
    parser.add_argument(
        "--html", metavar="FILE", help="write it as one page that needs nothing else"
    )
    parser.add_argument("--email", action="store_true", help="send it by the email channels")
    parser.set_defaults(run=report)
    chosen.add_store(parser)
    chosen.add_json(parser)


# --- watch ---------------------------------------------------------------------------------


def _dashboard() -> Any:
    """The figures of /metrics as Grafana draws them, over a Prometheus that scrapes it."""
    from importlib.resources import files

    return json.loads((files("llmwatch.watch.sinks") / "grafana.json").read_text(encoding="utf-8"))


def watch(given: argparse.Namespace) -> int:
    """Exits with 4 when an alert fires."""
    if given.grafana:
        print_json(_dashboard())
        return OK
    from llmwatch.drift.windows import duration_us
    from llmwatch.watch.channels import configured
    from llmwatch.watch.rules import usable

    wrong = _Wrong()
    rules = usable(wrong)
    sets = _sets(wrong)
    channels = configured.usable(chosen.store(given).root, wrong)
    if given.backtest:
        return max(_backtest(given, rules, sets), wrong.code)
    pause = duration_us(given.every) / 1e6
    if given.prometheus:
        from llmwatch.watch.sinks import prometheus

        said = prometheus.serve_aside(chosen.store(given), given.prometheus)
        say(f"Prometheus scrapes {said}")
    try:
        while True:
            code = _look(given, rules, sets, channels)
            if given.once:
                return max(code, wrong.code)
            time.sleep(pause)
    except KeyboardInterrupt:
        say("")
        return OK


def _look(
    given: argparse.Namespace, rules: list[Rule], sets: list[MetricSet], channels: list[Channel]
) -> int:
    here = chosen.store(given)
    _keep_metrics(here, sets, told=given.once)
    code = OK
    for project in _watched(given):
        code = max(code, _round(project, rules, channels, given))
    return code


class _Wrong:
    """Entries of the settings that cannot be: each is said, and the watch goes on without it."""

    def __init__(self) -> None:
        self.code = OK

    def __call__(self, error: SettingsError) -> None:
        self.code = INCOMPLETE
        say(f"llmwatch: left out: {error}")


def _sets(wrong: _Wrong) -> list[MetricSet]:
    from llmwatch.watch import default_sets
    from llmwatch.watch.declarations import usable

    found = usable(wrong)
    if not found and default_sets.wanted():
        say("No metric set is declared: calls are watched by the default one.")
    return found


def _keep_metrics(here: Store, sets: list[MetricSet], *, told: bool) -> None:
    """Bring the metrics up to date, unless the store's worker does."""
    from llmwatch.stream import fork
    from llmwatch.watch.subscriber import Watch
    from llmwatch.worker import lock

    held = lock.try_take(here)
    if held is None:
        return
    try:
        loaded = settings.load(store=str(here.root))
        if told:
            with progress("bringing the metrics up to date, in minutes") as passed:
                Watch(sets, passed).finish(here, loaded)
        else:
            Watch(sets).finish(here, loaded)
    finally:
        fork.let_go(held)


def _watched(given: argparse.Namespace) -> list[Project]:
    from llmwatch.watch.alerting import is_watched

    found = [project for project in chosen.projects(given) if is_watched(project)]
    if not found:
        say(
            "No metrics yet: there is no table traces with calls, and no table of [[watch.metrics]] in llmwatch.toml."
        )
    return found


def _round(
    project: Project, rules: list[Rule], channels: list[Channel], given: argparse.Namespace
) -> int:
    from llmwatch.watch import sending
    from llmwatch.watch.alerting import alone
    from llmwatch.watch.rounds import look

    with alone(project) as free, _reading(project) as reader:
        if not free:
            say(f"{project.id}: another process looks at the rules just now")
            return INCOMPLETE
        found = look(reader, rules, channels)
        left = sending.send(project, channels, once=given.once)
    _tell(project, found, given)
    for delivery in left if given.once else ():
        say(f"{project.id}: the message of {delivery.message.rule!r} to {delivery.channel} waits")
    return FIRING if found.firing else INCOMPLETE if left and given.once else OK


def _tell(project: Project, found: Round, given: argparse.Namespace) -> None:
    from llmwatch.watch.messages import place
    from llmwatch.watch.rounds import describe
    from llmwatch.watch.series import in_words
    from llmwatch.watch.wording import time as said_time

    if given.json:
        print_json({"project": project.id, **describe(found)})
        return
    if given.once:
        rows = [
            (track.severity, rule.name, key.source.table, in_words(key.source.group), track.said, said_time(track.fired_us), rule.suggestion)
            for rule, key, track in sorted(found.firing, key=lambda one: one[2].severity)
        ]  # fmt: skip
        if rows:
            print_table(("severity", "rule", "table", "group", "what", "since", "next step"), rows)
        else:
            print_line(f"{project.id}: nothing fires")
        return
    for one in found.changed:
        print_line(
            f"{said_time(one.change.at_us)}  {one.track.severity} {one.change.state}: {one.rule.name} "
            f"({project.id}/{place(one.key)}) {one.change.said}"
        )


def _backtest(given: argparse.Namespace, rules: list[Rule], sets: list[MetricSet]) -> int:
    from llmwatch.drift.windows import duration_us
    from llmwatch.watch.backtest import backtest, in_words
    from llmwatch.watch.default_sets import of_project

    until = clock.now_us()
    from_us = until - duration_us(given.backtest)
    for project in chosen.projects(given):
        with _reading(project) as reader:
            outcomes = backtest(reader, rules, from_us, until, of_project(project, sets), progress)
        if given.json:
            print_json({"project": project.id, "rules": [one.as_dict() for one in outcomes]})
            continue
        print_line(f"{project.id}, the last {given.backtest}")
        rows = [
            (one.rule.severity, one.rule.name, *_said(one.as_dict()), in_words(one))
            for one in outcomes
        ]
        head = ("severity", "rule", "days known", "alerts", "a week", "hours firing", "last")
        print_table((*head, "at most one a week with"), rows)
    return OK


def _said(told: dict[str, Any]) -> tuple[Any, ...]:
    if not told["windows"]:
        return "no data", None, None, None, None
    last = told["fired"][-1][:16].replace("T", " ") if told["fired"] else None
    return told["days"], told["alerts"], told["a_week"], told["firing_hours"], last


# --- alerts --------------------------------------------------------------------------------


def list_(given: argparse.Namespace) -> int:
    from llmwatch.watch import history
    from llmwatch.watch.series import in_words
    from llmwatch.watch.wording import length
    from llmwatch.watch.wording import time as said_time

    found, silences = [], []
    for project in chosen.projects(given):
        with _reading(project) as reader:
            found += [(project.id, one) for one in history.alerts(reader, when(given.since))]
            silences += [(project.id, one) for one in history.silences(reader, clock.now_us())]
    if given.firing:
        found = [one for one in found if one[1].state == "firing"]
    if given.json:
        told = [{"project": project, **vars(one)} for project, one in found]
        print_json({"alerts": told, "silences": [{"project": p, **vars(s)} for p, s in silences]})
        return OK
    rows = [
        (one.id, project, one.severity, one.rule, one.state, one.table, in_words(one.group), said_time(one.fired_us),
         length((one.resolved_us or clock.now_us()) - one.fired_us), one.said, _told(one))
        for project, one in found
    ]  # fmt: skip
    if rows:
        print_table(
            (
                "id",
                "project",
                "severity",
                "rule",
                "state",
                "table",
                "group",
                "since",
                "lasted",
                "what",
                "told",
            ),
            rows,
        )
    else:
        say("no alerts")
    for place, one in silences:
        print_line(
            f"silenced until {said_time(one.until_us)}: {one.rule} in {place} ({one.id}) {one.reason}"
        )
    return OK


def _told(alert: Any) -> str:
    parts = [f"{alert.messages} sent"] if alert.messages else []
    parts += [f"{alert.failed} failed"] if alert.failed else []
    parts += ["silenced"] if alert.silenced else []
    return ", ".join(parts)


def silence(given: argparse.Namespace) -> int:
    from llmwatch.drift.windows import duration_us
    from llmwatch.watch.history import Log
    from llmwatch.watch.wording import time as said_time

    log = Log(chosen.project(chosen.store(given), given.project))
    if given.end:
        log.unsilence(given.rule, _person())
        print_line(f"{given.rule} is over")
    else:
        until = clock.now_us() + duration_us(given.lasting)
        id_ = log.silence(given.rule, until, given.group, given.reason, _person())
        print_line(f"{given.rule} is silenced until {said_time(until)} ({id_})")
    log.close()
    return OK


def resolve(given: argparse.Namespace) -> int:
    from llmwatch.watch import history

    project = chosen.project(chosen.store(given), given.project)
    with _reading(project) as reader:
        found = history.find(reader, given.alert)
    log = history.Log(project)
    for alert in found:
        log.dismissed_by(alert, _person())
        print_line(
            f"{alert.id} ({alert.rule}) is resolved; it comes back only after it was really over"
        )
    log.close()
    return OK


# --- report --------------------------------------------------------------------------------


def report(given: argparse.Namespace) -> int:
    from pathlib import Path

    from llmwatch.watch.weekly import week
    from llmwatch.watch.weekly_page import page
    from llmwatch.watch.weekly_text import as_text, letter

    here = chosen.store(given)
    project = chosen.project(here, given.project)
    until = given.until or datetime.now(timezone.utc)
    with _reading(project) as reader:
        found = week(reader, until)
    if given.html:
        Path(given.html).write_text(page(found), encoding="utf-8")
        say(f"written: {given.html}")
    if given.json:
        print_json(found.as_dict())
    else:
        for line in as_text(found):
            print_line(line)
    return _mailed(letter(found), found.id, here) if given.email else OK


def _mailed(mail: Any, id_: str, here: Store) -> int:
    from llmwatch.watch.channels.configured import configured
    from llmwatch.watch.channels.mail import Mail
    from llmwatch.watch.channels.protocol import Undelivered

    channels = [one for one in configured(here.root) if isinstance(one, Mail)]
    if not channels:
        say("llmwatch: no channel of the type email is declared: write [[watch.channels]]")
        return INCOMPLETE
    code = OK
    for channel in channels:
        try:
            channel.post(mail, id_)
            say(f"sent to {', '.join(channel.to)}")
        except Undelivered as error:
            say(f"llmwatch: {channel.name}: {error}")
            code = INCOMPLETE
    return code


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user, as in a container
        return "somebody"


@contextmanager
def _reading(project: Project) -> Iterator[Reader]:
    from llmwatch.stream.query import Reader

    reader = Reader(project)
    try:
        yield reader
    finally:
        reader.close()
