"""Saved boards: a file for each version, beside the tables of their project."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch.board import spec
from llmwatch.errors import InvalidBoard, NotFound
from llmwatch.store import ensure

if TYPE_CHECKING:
    from llmwatch.board.spec import Board
    from llmwatch.store import Project


class SavedMeanwhile(InvalidBoard):
    """Somebody else saved the board after it was loaded: saving would undo what they did."""


def save(project: Project, board: Board, *, based_on: int | None = None) -> int:
    """Write the next version of a board; with `based_on`, only when that is the newest one."""
    checked = spec.parse(board.to_json())
    directory = ensure(_directory(project) / checked.name)
    newest = max(_versions(directory), default=0)
    if based_on is not None and based_on != newest:
        raise SavedMeanwhile(
            f"version {newest} of {checked.name!r} was saved meanwhile (yours began at {based_on}): "
            "load it again, or save under another name"
        )
    return _write(directory, replace(checked, version=newest + 1))


def load(project: Project, name: str, version: int | None = None) -> Board:
    """A saved board, the newest version unless one is named."""
    directory = _directory(project) / spec.parse({"name": name, "panels": []}).name
    versions = _versions(directory)
    if not versions or (version is not None and version not in versions):
        known = ", ".join(names(project)) or "none"
        raise NotFound(f"there is no board {name!r} in {project.id}; saved there: {known}")
    number = version or max(versions)
    board = spec.parse((directory / f"{number}.json").read_text(encoding="utf-8"))
    return replace(board, version=number)


def names(project: Project) -> list[str]:
    """The boards that are saved in a project."""
    try:
        entries = sorted(_directory(project).iterdir())
    except FileNotFoundError:
        return []
    return [entry.name for entry in entries if _versions(entry)]


def history(project: Project, name: str) -> list[dict[str, Any]]:
    """The versions of a board with when each was saved, newest first."""
    directory = _directory(project) / name
    return [
        {"version": n, "saved_at": int((directory / f"{n}.json").stat().st_mtime * 1e6)}
        for n in sorted(_versions(directory), reverse=True)
    ]


def _directory(project: Project) -> Path:
    return project.path / "boards"


def _versions(directory: Path) -> list[int]:
    try:
        return [int(path.stem) for path in directory.glob("[0-9]*.json") if path.stem.isdigit()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _write(directory: Path, board: Board) -> int:
    """Written whole under a dot name, then linked into view: of two that save at once, one gets the next number."""
    temporary = directory / f".{secrets.token_hex(8)}"
    try:
        while True:
            text = json.dumps(board.to_json(), indent=2, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")
            temporary.chmod(0o600)
            try:
                os.link(temporary, directory / f"{board.version}.json")
                return board.version
            except FileExistsError:
                board = replace(board, version=board.version + 1)
    finally:
        temporary.unlink(missing_ok=True)
