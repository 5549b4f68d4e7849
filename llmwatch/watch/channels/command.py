"""A command of the person's own: the message as JSON on its standard input. No shell, so no text is ever part of one."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import orjson

from llmwatch.watch.channels.protocol import Undelivered
from llmwatch.watch.messages import Message
from llmwatch.watch.wording import one_line


@dataclass(frozen=True)
class Command:
    """Runs `run` (a list: the program and its arguments); what takes longer than `timeout_s` is ended."""

    run: tuple[str, ...] = ()
    name: str = "command"
    timeout_s: float = 15.0
    severities: tuple[str, ...] = ("P0", "P1", "P2")
    resolved: bool = False

    def send(self, message: Message) -> None:
        told = {
            "LLMWATCH_ALERT_KIND": message.kind,
            "LLMWATCH_ALERT_SEVERITY": message.severity,
            "LLMWATCH_ALERT_TITLE": message.title,
        }
        given(self.run, orjson.dumps(message.as_dict()), told, self.timeout_s)


def given(run: Sequence[str], body: bytes, environment: dict[str, str], timeout_s: float) -> None:
    """Run a program on a body; `Undelivered` when it could not be started, failed, or took too long."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as said:
        stdin.write(body)
        stdin.seek(0)
        try:
            process = subprocess.Popen(
                list(run), stdin=stdin, stdout=said, stderr=said,
                env={**os.environ, **environment}, start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise Undelivered(one_line(f"could not be started: {error}", 300), final=True) from None
        code = _ended(process, timeout_s)
        if code:
            said.seek(0)
            told = said.read(2000).decode("utf-8", "replace").strip()
            raise Undelivered(one_line(f"ended with {code}: {told}", 300))


def _ended(process: subprocess.Popen[bytes], timeout_s: float) -> int:
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise Undelivered(f"took longer than {timeout_s:g} s") from None
