"""A project that is meant for W&B, its forwarder, and what arrived: short ways to say so in tests."""

from __future__ import annotations

from dataclasses import replace

import llmwatch
from llmwatch import StreamTable, destination, settings
from llmwatch.forward.forwarder import Forwarder
from llmwatch.forward.trouble import Backoff
from llmwatch.store import open_store

PROJECT = "team/bot"


class Sending:
    """`init`, `send` and look. The forwarder is made anew when `restart` is called, as after a kill."""

    def __init__(self, server, store, **options):
        self.server, self.store, self._options = server, store, options
        self._forwarder = None
        self.time = 0.0

    def __enter__(self):
        llmwatch.init("bot", destination="wandb", **self._options)
        return self

    def __exit__(self, *_):
        self.restart()

    @property
    def project(self):
        return open_store(self.store).project("local", "bot")

    def table(self, name="answers"):
        return StreamTable(f"local/bot/{name}")

    @property
    def forwarder(self):
        if self._forwarder is None:
            wanted = replace(destination.read(self.project), paused="")
            backoff = Backoff(now=lambda: self.time, chance=lambda: 1.0)
            self._forwarder = Forwarder(self.project, settings.current(), wanted, backoff=backoff)
        return self._forwarder

    def restart(self):
        if self._forwarder is not None:
            self._forwarder.close()
            self._forwarder = None

    def send(self, **options):
        """One pass, whatever there is to wait for."""
        self.time += 1000
        return self.forwarder.run(**options)

    def send_all(self, most=200, **options):
        """Passes until there is nothing to do."""
        for _ in range(most):
            if not self.send(**options) and self.forwarder.problem is None:
                return
        raise AssertionError(f"not all was sent: {self.forwarder.problem}")

    @property
    def calls(self):
        return self.server.kept.calls_of(PROJECT)

    @property
    def feedback(self):
        return self.server.kept.feedback_of(PROJECT)

    @property
    def twice(self):
        """Rows and feedback that arrived more than once."""
        return {
            what: n
            for what, n in self.server.kept.duplicates.items()
            if what[0] in {"call", "feedback"}
        }
