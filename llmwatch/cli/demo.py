"""`demo`: two weeks of a made-up help desk with incidents in them, then live; offline, in a directory of its own."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from llmwatch.cli.codes import OK, WRONG

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from llmwatch.demo.place import Place
    from llmwatch.demo.terminal import Terminal
    from llmwatch.demo.two_weeks import Plan

_HEADLESS_S = 5.0


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        help="see everything at work, offline, in a minute",
        description="Plays two weeks of a shop's help desk with five incidents in them, shows what llmwatch made of "
        "each, and goes on live until Ctrl-C. Nothing of this machine's settings or logins counts, nothing leaves it.",
        epilog="exit codes: 0 each incident raised its alert once; 1 one did not",
    )
    parser.add_argument(
        "--headless", action="store_true", help="no board and no browser, and end after the story"
    )
    parser.add_argument(
        "--for", dest="lasting", type=float, metavar="SECONDS",
        help="how long it goes on live (default: until Ctrl-C; 5 when headless or not in a terminal)",
    )  # fmt: skip
    parser.add_argument(
        "--speed", type=_positive, default=1.0, metavar="X",
        help="live questions a second (default: 1)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="another seed is another two weeks")
    parser.add_argument("--port", type=int, help="the board's (default: 8420, or any that is free)")
    parser.add_argument("--no-open", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--dir", default="llmwatch-demo", help="where it happens; made anew (default: %(default)s)"
    )
    parser.set_defaults(run=demo)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value <= 20:
        raise ValueError(text)
    return value


def demo(given: argparse.Namespace) -> int:
    """Exits with 1 when an incident did not raise its alert exactly once."""
    from llmwatch import clock
    from llmwatch.demo import live, place, traffic
    from llmwatch.demo.terminal import Terminal
    from llmwatch.demo.two_weeks import Plan

    if not given.headless:
        live.check_board()
    terminal = Terminal()
    terminal.begin(given.seed)
    now = clock.now_us()
    plan = Plan(now, given.seed, incidents=traffic.two_weeks(now))
    with _told_to_stop(), place.made_anew(given.dir) as here, place.secluded(here):
        try:
            return _demo(given, plan, here, terminal)
        except KeyboardInterrupt:
            terminal.say("ended before it was whole; the next demo begins anew")
            return 130


def _demo(given: argparse.Namespace, plan: Plan, here: Place, terminal: Terminal) -> int:
    from llmwatch.demo import incidents, live, two_weeks

    threading.Thread(target=_import_what_takes_long, daemon=True).start()
    messages = two_weeks.replay(plan, here, terminal.stage)
    incidents.board().save(store=here.store.root)
    told = list(incidents.told(plan.incidents, messages))
    with ExitStack() as until_the_end:
        address = None
        if not given.headless:
            with terminal.stage("started the board"):
                address = until_the_end.enter_context(live.board(here, given.port))
        terminal.story(told, address)
        terminal.visible(address)
        if address and not given.no_open and sys.stdout.isatty():
            live.open_in_browser(f"{address}{told[-1].path}")
        answered = _live(given, plan, here, terminal)
    terminal.end(here, answered)
    return OK if all(one.times == 1 for one in told) else WRONG


def _import_what_takes_long() -> None:
    """What going live needs, while another process rehearses."""
    import openai
    import weave

    del openai, weave


def _live(given: argparse.Namespace, plan: Plan, here: Place, terminal: Terminal) -> int:
    """Go on until the time is over, or somebody says so; gives how many questions were answered."""
    from llmwatch.demo import live

    lasting = given.lasting
    if lasting is None and (given.headless or not sys.stdout.isatty()):
        lasting = _HEADLESS_S
    with live.going_on(plan, here, given.speed) as going, terminal.live(lasting) as seen:
        end = float("inf") if lasting is None else time.monotonic() + lasting
        try:
            going.run(lambda: time.monotonic() >= end, seen)
        except KeyboardInterrupt:
            terminal.say("ending ...")
    return going.answered


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does, so that nothing that was started is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
