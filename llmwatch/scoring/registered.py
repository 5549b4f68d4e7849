"""Scorers that `@traced(scorers=[...])` names: a small file each in the project, for the worker to find.

Rows carry only names: what a worker imports is told by the process of the person who decorated, never by a row.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.scoring.spec import Spec, short_name
from llmwatch.store import ensure

if TYPE_CHECKING:
    from llmwatch.store import Project

logger = logging.getLogger("llmwatch")


def register(project: Project, op_name: str, scorers: Sequence[Any]) -> None:
    """Have these scorers score the rows of an op; says which cannot be found by another process."""
    for scorer in scorers:
        told = place_of(scorer)
        if told is None:
            logger.warning(
                "scorer %r of %s is in no module that the worker can import, so live rows are not scored by it. "
                "Move it to a module, or score past rows with llmwatch.score(...)",
                getattr(scorer, "__name__", type(scorer).__name__),
                op_name,
            )
            continue
        _keep(project, {**told, "ops": [short_name(op_name)]})


def _keep(project: Project, told: dict[str, Any]) -> None:
    text = orjson.dumps(told, option=orjson.OPT_SORT_KEYS)
    path = directory(project) / f"{hashlib.sha256(text).hexdigest()[:24]}.json"
    ensure(path.parent)
    with suppress(FileNotFoundError):
        os.utime(path)  # told again: it is the newest once more
        return
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.touch(mode=0o600)
    draft.write_bytes(text)
    draft.replace(path)


def directory(project: Project) -> Path:
    return project.path / "scorers"


def read(project: Project) -> list[Spec]:
    """The scorers registered in a project, each with all its ops. An op that was given a scorer of one name
    with other settings since, as code is edited, has the newest."""
    together: dict[bytes, dict[str, Any]] = {}
    taken: set[tuple[str, str]] = set()
    for path in sorted(directory(project).glob("*.json"), key=_told_at, reverse=True):
        told = orjson.loads(path.read_bytes())
        ops = {(told["name"], op) for op in told.pop("ops", [])} - taken
        if ops:
            taken |= ops
            key = orjson.dumps(told, option=orjson.OPT_SORT_KEYS)
            same = together.setdefault(key, {**told, "ops": []})
            same["ops"] = sorted({*same["ops"], *(op for _, op in ops)})
    return [Spec.read(told, str(directory(project))) for told in together.values()]


def _told_at(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def place_of(scorer: Any) -> dict[str, Any] | None:
    """`use`, `settings`, `name` and `paths` of a scorer; None when no other process can import it."""
    from llmwatch.scorers.protocol import name_of

    made = hasattr(
        type(scorer), "model_fields"
    )  # a weave.Scorer: its class, and what it was made with
    target = scorer if isinstance(scorer, type) or not made else type(scorer)
    function = getattr(target, "resolve_fn", target)  # of an op
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    found = sys.modules.get(module or "")
    if not name or "<locals>" in name or found is None or module in ("__main__", "__mp_main__"):
        return None
    told: dict[str, Any] = {
        "use": f"{module}:{name}",
        "name": name_of(scorer),
        "paths": _paths(found),
    }
    if made and target is not scorer:
        try:
            told["settings"] = orjson.loads(orjson.dumps(_given(scorer)))
        except TypeError:
            return None
    return told


def _given(scorer: Any) -> dict[str, Any]:
    given: dict[str, Any] = scorer.model_dump(exclude_unset=True, exclude_none=True, mode="json")
    return {name: value for name, value in given.items() if name != "ref"}


def _paths(module: Any) -> list[str]:
    """The directory from which the module's outermost package is imported."""
    file = getattr(module, "__file__", None)
    if file is None:
        return []
    depth = module.__name__.count(".") + (1 if Path(file).name == "__init__.py" else 0)
    return [str(Path(file).resolve().parents[depth])]
