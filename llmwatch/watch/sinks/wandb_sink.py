"""The wandb sink as a subscriber of the worker: starts the process that talks to wandb, and replaces one that hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from llmwatch import faults
from llmwatch.errors import LlmwatchError
from llmwatch.watch.sinks import options
from llmwatch.watch.sinks.daily import every

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Store

_LOOK_EVERY_S = 5.0
HUNG_S = 300.0
"""A child that says nothing for so long is killed; the next one sends what it did not."""
_END_S, _ONCE_S = 30.0, 300.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 5.0, 900.0


class WandbSink:
    """Keeps one child at work while the settings files ask for a run. Nothing here waits for wandb."""

    name = "wandb run"

    def __init__(self) -> None:
        self._next = 0.0
        self._wait_s = _FIRST_WAIT_S
        self._child: Child | None = None

    def tick(self, store: Store, settings: Settings) -> bool:
        del settings
        if self._child is not None:
            return self._looked_after(self._child)
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _LOOK_EVERY_S
        if options.wandb() is None or not any(every(store.projects())):
            return False
        self._child = Child(store)
        return True

    def stop(self) -> None:
        """Let the child finish its runs, for so long as a person would wait."""
        child, self._child = self._child, None
        if child is not None:
            self._let_go(child, child.end(_END_S))

    def finish(self, store: Store, settings: Settings) -> None:
        """Everything that is due, now: for a worker that runs once."""
        del settings
        if options.wandb() is None or not any(every(store.projects())):
            return
        child, self._child = self._child or Child(store, once=True), None
        self._let_go(child, child.end(_ONCE_S))

    def _looked_after(self, child: Child) -> bool:
        code = child.code()
        if code is None and child.is_hung():
            child.kill()
            code = child.code()
        if code is None:
            self._wait_s = _FIRST_WAIT_S if child.turns else self._wait_s
            return child.was_busy()
        self._child = None
        self._next = time.monotonic() + self._wait_s
        self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)
        self._let_go(child, code)
        return False

    def _let_go(self, child: Child, code: int) -> None:
        said = child.said() if code else ""
        child.close()
        if code:
            faults.report(
                "the wandb run could not be logged to; nothing is lost, metrics wait in the store",
                LlmwatchError(said or f"the process ended with {code}"),
            )


class Child:
    """The process, with wandb's own processes in one group, so that all of them end together."""

    def __init__(self, store: Store, *, once: bool = False) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        command = [sys.executable, "-m", "llmwatch.watch.sinks.wandb_child"]
        self._process = subprocess.Popen(
            [*command, "--store", str(store.root), *(["--once"] if once else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "LLMWATCH_WORKER": "false"},
            start_new_session=True,
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._heard = time.monotonic()
        self.turns = 0
        self._busy = True

    def code(self) -> int | None:
        self._listen()
        return self._process.poll()

    def is_hung(self) -> bool:
        return time.monotonic() - self._heard > HUNG_S

    def was_busy(self) -> bool:
        return self._busy

    def said(self) -> str:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 2000))
        return self._errors.read().decode("utf-8", "replace").strip()

    def end(self, seconds: float) -> int:
        """Close its input and wait; kill it when it takes longer."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._process.wait()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Let go of the pipes of a process that ended."""
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with suppress(BlockingIOError):
            heard = os.read(self._process.stdout.fileno(), 65536)
            if heard:
                self._heard = time.monotonic()
                self.turns += len(heard)
                self._busy = heard.endswith(b"+")
