"""`wandb.alert`: W&B mails or slacks whoever asked it to. In a process of its own, which can be ended when W&B hangs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import orjson

from llmwatch.store import ensure
from llmwatch.watch.channels.command import given
from llmwatch.watch.messages import Message

_LEVELS = {"P0": "ERROR", "P1": "WARN", "P2": "INFO"}
_PROGRAM = """
import json, sys
import wandb
told = json.load(sys.stdin)
settings = wandb.Settings(silent=True, console="off", x_disable_stats=True, init_timeout=20)
run = wandb.init(settings=settings, **told["run"])
run.alert(title=told["title"], text=told["text"], level=told["level"], wait_duration=0)
run.finish()
"""


@dataclass(frozen=True)
class WandbAlert:
    """Sends an alert from a short run of the job type `llmwatch-alerts`, with wandb's own key and mode
    (`WANDB_API_KEY`, `WANDB_MODE`). `project` and `entity` are W&B's; `dir` is where the run's files lie."""

    name: str = "wandb"
    project: str = "llmwatch"
    entity: str = ""
    dir: str = ""
    timeout_s: float = 60.0
    severities: tuple[str, ...] = ("P0", "P1", "P2")
    resolved: bool = False

    def send(self, message: Message) -> None:
        run = {"project": self.project, "job_type": "llmwatch-alerts"}
        run |= {key: value for key in ("entity", "dir") if (value := getattr(self, key))}
        if self.dir:
            ensure(Path(self.dir))
        told = {
            "run": run,
            "title": message.title[:64],
            "text": "\n".join([message.title, *message.lines()]),
            "level": _LEVELS[message.severity],
        }
        given((sys.executable, "-c", _PROGRAM), orjson.dumps(told), {}, self.timeout_s)
