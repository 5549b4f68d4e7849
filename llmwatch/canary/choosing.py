"""`llmwatch.canary.choose`: who gets the new version, by a hash of their key, and rows that say so."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from llmwatch import faults
from llmwatch.tracing.context import context

if TYPE_CHECKING:
    from typing_extensions import Self

_CAUSE = "a canary's share cannot be read, so everybody gets the old version"


@dataclass(frozen=True)
class Choice:
    """The version that a key gets. True for the new one; as a block, rows recorded inside carry the version.

    >>> choice = choose("u7", share=1.0)
    >>> bool(choice), choice.version
    (True, 'canary')
    """

    version: str
    new: bool
    _entered: list[context] = field(default_factory=list, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.new

    def __str__(self) -> str:
        return self.version

    def __enter__(self) -> Self:
        block = context(version=self.version)
        block.__enter__()
        self._entered.append(block)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entered.pop().__exit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)


def choose(
    key: Any,
    share: float = 0.01,
    *,
    old: str = "stable",
    new: str = "canary",
    name: str | None = None,
) -> Choice:
    """The version for a key (a user, a session): the same one each time, in every process.

    When `share` grows, only keys that are needed for it move from the old to the new version, and when it shrinks, only
    those back. Another `new` (or `name`) chooses other keys, so that it is not always the same people who try things out.
    A key that is None gets the old version. Takes microseconds, remembers nothing, and never raises: with a share that is
    none between 0 and 1, everybody gets the old version and the fault is logged.

        with llmwatch.canary.choose(user_id, share=.05, old="v1", new="v2") as choice:
            answer(question, prompt=PROMPTS[choice.version])
    """
    is_new = key is not None and place(key, name if name is not None else new) < _share(share)
    return Choice(new if is_new else old, is_new)


def place(key: Any, name: str = "canary") -> float:
    """Where a key lies between 0 and 1; it is chosen where that is under the share.

    >>> place("u7") == place("u7"), place("u7") == place("u7", "another")
    (True, False)
    """
    said = f"{name}\0{key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "big") / 2**64


def _share(share: Any) -> float:
    try:
        value = float(share)
    except (TypeError, ValueError) as error:
        faults.report(_CAUSE, error)
        return 0.0
    if not 0 <= value <= 1:
        faults.report(
            _CAUSE, ValueError(f"share is a part between 0 and 1, such as .05, not {share!r}")
        )
        return 0.0
    return value
