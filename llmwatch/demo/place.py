"""Where a demo happens: a directory with a settings file and a store, made anew each time, and nothing of this machine's settings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import llmwatch
from llmwatch import settings
from llmwatch.demo.rehearsal import PROJECT
from llmwatch.errors import StoreError
from llmwatch.store import Project, Store, open_store
from llmwatch.stream import fork

DIRECTORY = "llmwatch-demo"
_MARK = ".made-by-llmwatch-demo"
_OF_THE_MACHINE = ("LLMWATCH_", "WANDB_", "WEAVE_", "OPENAI_")


@dataclass(frozen=True)
class Place:
    """The directory of a demo."""

    root: Path

    @property
    def store(self) -> Store:
        return open_store(self.root / ".llmwatch")

    @property
    def project(self) -> Project:
        return self.store.project("local", PROJECT)


@contextmanager
def made_anew(directory: str | Path) -> Iterator[Place]:
    """The directory as it is at the beginning of a demo; one that another demo runs in, or that is none of ours, is refused."""
    root = Path(directory).absolute()
    if root.exists() and any(root.iterdir()) and not (root / _MARK).is_file():
        raise StoreError(f"{root} is not empty and no demo made it: give another with --dir")
    root.mkdir(parents=True, exist_ok=True)
    (root / _MARK).touch()
    with fork.alone(root / _MARK) as free:
        if not free:
            raise StoreError(f"a demo runs in {root}: end it, or give another with --dir")
        shutil.rmtree(root / ".llmwatch", ignore_errors=True)
        told = files("llmwatch.demo") / "llmwatch.toml"
        (root / "llmwatch.toml").write_text(told.read_text(encoding="utf-8"), encoding="utf-8")
        yield Place(root)


@contextmanager
def secluded(place: Place) -> Iterator[None]:
    """Inside, the settings are the demo's: no key, login or variable of this machine counts, here and in child processes."""
    environment, directory = dict(os.environ), Path.cwd()
    for name in [name for name in os.environ if name.startswith(_OF_THE_MACHINE)]:
        del os.environ[name]
    os.environ |= {
        "LLMWATCH_STORE": str(place.store.root),
        "LLMWATCH_DESTINATION": "local",
        "LLMWATCH_ENTITY": "local",
        "LLMWATCH_WORKER": "false",
        settings.ROOT_ENV: str(place.root),
        "PYTHONPATH": _python_path(),
    }
    os.chdir(place.root)
    before = settings.use(None)
    try:
        yield
    finally:
        settings.use(before)
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)


def _python_path() -> str:
    """Child processes run elsewhere: what is relative to here must not be, and llmwatch may not be installed."""
    own = str(Path(llmwatch.__file__).resolve().parents[1])
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return os.pathsep.join([own, *(str(Path(each).absolute()) for each in given)])
