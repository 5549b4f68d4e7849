"""How rules stand in a project, kept between looks: tracks of alerts, and messages that are still to be sent."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from llmwatch import faults
from llmwatch.store import Project, ensure
from llmwatch.watch.alerts import Key, Track
from llmwatch.watch.messages import Message

_VERSION = 1


@dataclass
class Delivery:
    """A message on its way to one channel."""

    channel: str
    message: Message
    tries: int = 0
    next_us: int = 0
    first_us: int = 0


@dataclass
class Standing:
    """Everything that a look at the rules begins with."""

    tracks: dict[str, Track] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    told_us: int | None = None
    """Up to when what was said in `metrics` had been read."""
    muted: list[str] = field(default_factory=list)
    """Alerts of which the history says that they were silenced."""
    dismissed: list[str] = field(default_factory=list)
    """Rows of people's that were followed."""

    def track(self, key: Key) -> Track:
        return self.tracks.setdefault(key.text, Track())


def load(project: Project) -> Standing | None:
    """The standing as it was kept; None where there is none, or none that can be read."""
    path = _path(project)
    if not path.exists():
        return None
    with faults.contained(
        f"{path} could not be read; the alerts that fire are taken from the history"
    ):
        return _parsed(orjson.loads(path.read_bytes()))
    return None


def save(project: Project, standing: Standing) -> None:
    """Keep it: whole or not at all."""
    path = _path(project)
    ensure(path.parent)
    draft = path.with_suffix(f".{os.getpid()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(orjson.dumps(_told(standing)))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _path(project: Project) -> Path:
    return project.path / "positions" / "alerts" / "standing.json"


def _told(standing: Standing) -> dict[str, Any]:
    return {
        "v": _VERSION,
        "tracks": {key: track.as_dict() for key, track in standing.tracks.items()},
        "deliveries": [
            {**vars(one), "message": one.message.as_dict()} for one in standing.deliveries
        ],
        "told_us": standing.told_us,
        "muted": standing.muted[-1000:],
        "dismissed": standing.dismissed[-1000:],
    }


def _parsed(told: dict[str, Any]) -> Standing:
    return Standing(
        {key: Track.from_dict(track) for key, track in told["tracks"].items()},
        [
            Delivery(**{**one, "message": Message.from_dict(one["message"])})
            for one in told["deliveries"]
        ],
        told["told_us"],
        told["muted"],
        told["dismissed"],
    )
