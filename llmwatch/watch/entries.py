"""Entries of the settings files, each by itself: one that cannot be disables itself and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from llmwatch import faults
from llmwatch.errors import SettingsError

T = TypeVar("T")
Wrong = Callable[[SettingsError], None]


def say(error: SettingsError) -> None:
    """What becomes of an entry that cannot be, where nobody waits for an answer: it is in the worker's log."""
    faults.report(f"the watch goes on without it: {error}")


def read(
    entries: Any, key: str, where: str, make: Callable[[Mapping[str, Any], str], T]
) -> list[T | SettingsError]:
    """Each table of `[[watch.<key>]]`, or why it cannot be."""
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        return [SettingsError(f"{key} in {where} is a list of tables: write [[watch.{key}]]")]
    return [_made(one, where, make) for one in entries]


def once(
    found: Iterable[T | SettingsError], name: Callable[[T], str], what: str
) -> list[T | SettingsError]:
    """The same, an error in place of one that has the name of one before it."""
    seen: set[str] = set()
    kept: list[T | SettingsError] = []
    for one in found:
        if not isinstance(one, SettingsError) and name(one) in seen:
            kept.append(SettingsError(f"there are two {what} named {name(one)!r}"))
            continue
        kept.append(one)
        if not isinstance(one, SettingsError):
            seen.add(name(one))
    return kept


def all_of(found: Iterable[T | SettingsError]) -> list[T]:
    """Those entries; the first error is raised."""
    kept: list[T] = []
    for one in found:
        if isinstance(one, SettingsError):
            raise one
        kept.append(one)
    return kept


def good(found: Iterable[T | SettingsError], wrong: Wrong = say) -> list[T]:
    """The entries that can be; `wrong` is told of each other one."""
    kept: list[T] = []
    for one in found:
        if isinstance(one, SettingsError):
            wrong(one)
        else:
            kept.append(one)
    return kept


def _made(
    one: Mapping[str, Any], where: str, make: Callable[[Mapping[str, Any], str], T]
) -> T | SettingsError:
    try:
        return make(one, where)
    except SettingsError as error:
        return error
