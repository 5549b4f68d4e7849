"""How rows are forwarded, as the settings files say it: the table `[forward]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmwatch import settings
from llmwatch.errors import SettingsError

if TYPE_CHECKING:
    from llmwatch.forward.sampler import AdaptiveSampler
    from llmwatch.store import Project

NAME = "forward"
"""The forwarder's name among the followers of a table."""
BACKLOG_GB = 5.0
"""How much of the store rows that wait for W&B may keep from the retention."""
HERE_ONLY = frozenset({"metrics", "alerts", "drift", "breakers", "system"})
"""Tables of what llmwatch says itself, of rows, breakers and the machine: W&B gets the rows, and metrics by a wandb run when
one is asked for."""
_KNOWN = ("sampler", "backlog_gb")


def tables_of(project: Project) -> list[str]:
    """Those whose rows are sent."""
    return [table for table in project.tables() if table not in HERE_ONLY]


def chosen(sampler: AdaptiveSampler | None) -> dict[str, Any]:
    """The sampler and the other options, for the project's note: what was given, else the settings files."""
    told, where = settings.section("forward")
    unknown = set(told) - set(_KNOWN)
    if unknown:
        raise SettingsError(f"there is no {', '.join(sorted(unknown))} in [forward] ({where})")
    options = {"backlog_gb": _number(told.get("backlog_gb", BACKLOG_GB), where)}
    return {"sampler": _sampler(sampler, told.get("sampler"), where), "options": options}


def _sampler(given: AdaptiveSampler | None, told: Any, where: str) -> dict[str, Any] | None:
    if given is not None:
        return given.to_dict()
    if told in (None, False, "none"):
        return None
    from llmwatch.forward.sampler import AdaptiveSampler

    if told in (True, "adaptive"):
        return AdaptiveSampler().to_dict()
    if not isinstance(told, dict):
        raise SettingsError(f'sampler in {where} is "adaptive" or a table; got {told!r}')
    return AdaptiveSampler.from_dict(told).to_dict()


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise SettingsError(f"backlog_gb in {where} cannot be {value!r}: it is a number of GiB")
    return float(value)
