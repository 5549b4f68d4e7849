"""Where a project's records go: what was asked for, what was decided, and the durable note of it that the worker reads.

Consent is explicit. `destination="wandb"` (or `"both"`) sends; `"local"` does not; `"auto"` sends where the person
is logged in to W&B (`wandb login`), and where a key is in the environment only if somebody said `"auto"`: as a mere
default, a key that is there for something else changes nothing. No key is ever written here.
"""

from __future__ import annotations

import configparser
import json
import netrc
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from llmwatch import clock
from llmwatch.store import ensure

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project

DEFAULT_BASE_URL = "https://api.wandb.ai"
HOSTED_TRACE_URL = "https://trace.wandb.ai"
LOCAL_ENTITY = "local"


@dataclass(frozen=True)
class Decision:
    """What became of the `destination` setting in this process, and why."""

    sends: bool
    why: str = ""
    paused: str = ""
    explicit: bool = False
    """Whether somebody said so: only then may an earlier wish be taken back."""


@dataclass(frozen=True)
class Wanted:
    """The durable note in a project: since when it is forwarded, where to, and how.

    `periods` are the times, in microseconds, in which records were meant for W&B: [begin, end], the end None
    while it goes on. What was recorded outside of them was recorded for this machine only, and stays.
    """

    periods: tuple[tuple[int, int | None], ...] = ()
    entity: str = ""
    project: str = ""
    base_url: str = DEFAULT_BASE_URL
    trace_url: str = HOSTED_TRACE_URL
    paused: str = ""
    sampler: dict[str, Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def on(self) -> bool:
        return bool(self.periods) and self.periods[-1][1] is None

    def covers(self, us: int) -> bool:
        """Whether what was recorded at this time is meant to be sent."""
        return any(begin <= us and (end is None or us < end) for begin, end in self.periods)

    @property
    def begins(self) -> int:
        return self.periods[0][0] if self.periods else 0


def decide(settings: Settings, *, said: bool) -> Decision:
    """What `settings.destination` means here. `said` is whether somebody gave it, rather than left the default."""
    if settings.destination == "local":
        return Decision(False, explicit=True)
    paused = _paused()
    if settings.destination in {"wandb", "both"}:
        return Decision(True, paused=paused, explicit=True)
    found = credentials()
    if found == "login" or (found == "environment" and said):
        return Decision(
            True, why="you are logged in" if found == "login" else "a key is set", paused=paused
        )
    if found == "environment":
        return Decision(
            False, why="WANDB_API_KEY is set; destination='wandb' would send rows there"
        )
    return Decision(False)


def _paused() -> str:
    return "WANDB_MODE=offline" if os.environ.get("WANDB_MODE", "").lower() == "offline" else ""


def credentials(base: str | None = None) -> str | None:
    """Where W&B's credentials are, as wandb looks for them: "login", "environment" or None. Reads no network."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return "environment"
    return "login" if _netrc_has(urlparse(base or base_url()).netloc) else None


def _netrc_has(host: str) -> bool:
    for name in ("~/.netrc", "~/_netrc"):
        with suppress(OSError, netrc.NetrcParseError, RuntimeError):
            if netrc.netrc(str(Path(name).expanduser())).authenticators(host):
                return True
    return False


def base_url() -> str:
    """W&B's address, as Weave finds it: the environment, else wandb's settings files, else the hosted service."""
    given = os.environ.get("WANDB_BASE_URL")
    if not given:
        parser = configparser.ConfigParser()
        folder = os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"
        with suppress(configparser.Error, OSError, RuntimeError):
            parser.read([Path(folder).expanduser() / "settings", Path("wandb") / "settings"])
        given = parser.get("default", "base_url", fallback=DEFAULT_BASE_URL)
    return given.rstrip("/")


def trace_url() -> str:
    """The trace server's address, as Weave finds it."""
    public = os.environ.get("WANDB_PUBLIC_BASE_URL", "").rstrip("/") or base_url()
    hosted = HOSTED_TRACE_URL if public == DEFAULT_BASE_URL else f"{public}/traces"
    return os.environ.get("WF_TRACE_SERVER_URL") or hosted


def path_of(project: Project) -> Path:
    return project.path / "forward" / "wanted.json"


def read(project: Project) -> Wanted:
    """The project's note; one that says no when there is none."""
    try:
        told = json.loads(path_of(project).read_bytes())
    except (OSError, ValueError):
        return Wanted()
    known = {name: told[name] for name in Wanted.__dataclass_fields__ if name in told}
    periods = tuple((int(begin), end) for begin, end in told.get("periods", ()))
    return Wanted(**{**known, "periods": periods})


def note(
    project: Project,
    decision: Decision,
    *,
    sampler: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
) -> Wanted:
    """Write down what was decided, for the worker and for later processes. Only an explicit no ends an earlier yes."""
    before = read(project)
    if decision.sends:
        after = _wanted(project, before, decision, sampler, options or {})
    elif decision.explicit and before.on:
        ended = (*before.periods[:-1], (before.periods[-1][0], clock.now_us()))
        after = replace(before, periods=ended)
    else:
        return before
    if after != before:
        _write(path_of(project), after)
    return after


def _wanted(
    project: Project,
    before: Wanted,
    decision: Decision,
    sampler: dict[str, Any] | None,
    options: dict[str, Any],
) -> Wanted:
    begun = before.periods if before.on else (*before.periods, (clock.now_us(), None))
    entity = (
        os.environ.get("WANDB_ENTITY", "") if project.entity == LOCAL_ENTITY else project.entity
    )
    return Wanted(
        periods=begun,
        entity=entity,
        project=project.name,
        base_url=base_url(),
        trace_url=trace_url(),
        paused=decision.paused,
        sampler=sampler,
        options=options,
    )


def _write(path: Path, wanted: Wanted) -> None:
    ensure(path.parent)
    fd, draft = tempfile.mkstemp(prefix=".wanted", dir=path.parent)  # readable by its owner only
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(asdict(wanted), file)
        file.flush()
        os.fsync(file.fileno())
    Path(draft).replace(path)
