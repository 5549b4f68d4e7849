"""The `llmwatch` command. Each command is a function of parsed arguments that returns an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

import llmwatch
from llmwatch.cli import (
    board,
    breakers,
    calibrate,
    canary,
    costs,
    datasets,
    demo,
    doctor,
    drift,
    erase,
    forward,
    gameday,
    labels,
    look,
    move,
    run,
    score,
    serve,
    slices,
    up,
    upkeep,
    watch,
)
from llmwatch.cli.codes import OK, USAGE, WRONG
from llmwatch.errors import InvalidName, LlmwatchError, QueryRefused, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXIT_CODES = "exit codes: 0 done; 1 what was asked about is wrong; 2 wrong usage; 3 done in part, run it again"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the entry point of `llmwatch`."""
    given = make_parser().parse_args(arguments)
    try:
        code: int = given.run(given)
        sys.stdout.flush()
    except (InvalidName, QueryRefused, SettingsError) as error:
        return _failed(error, USAGE)
    except LlmwatchError as error:
        return _failed(error, WRONG)
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return 130
    return code


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmwatch",
        description="Look at, query and look after an llmwatch store.",
        epilog=_EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"llmwatch {llmwatch.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in (
        demo,
        look,
        upkeep,
        move,
        erase,
        doctor,
        up,
        run,
        serve,
        board,
        score,
        costs,
        drift,
        forward,
        calibrate,
        labels,
        watch,
        slices,
        canary,
        breakers,
        datasets,
        gameday,
    ):
        group.add_to(commands)
    return parser


def _failed(error: LlmwatchError, code: int) -> int:
    from llmwatch.cli.output import say

    say(f"llmwatch: {error}")
    return code
