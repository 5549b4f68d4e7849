"""Which functions of a program call what Weave patched, with nothing traced around: noted for `llmwatch run`."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType


@dataclass(frozen=True)
class Caller:
    """A function of the program."""

    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.name}"


class Callers:
    """The callers found below a directory, and how many calls each made outside any other call."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()
        self._known: dict[Any, Caller | None] = {}
        self.counts: Counter[Caller] = Counter()

    def note(self, *, nested: bool) -> dict[str, Any]:
        """The attributes of a call that begins now."""
        caller = self._nearest(sys._getframe(1))
        if caller is None:
            return {}
        if not nested and caller.name != "<module>":
            self.counts[caller] += 1
        return {"llmwatch": {"caller": f"{caller.file}:{caller.name}"}}

    def _nearest(self, frame: FrameType | None) -> Caller | None:
        while frame is not None:
            code = frame.f_code
            if code not in self._known:
                self._known[code] = self._of_the_program(code)
            if (caller := self._known[code]) is not None:
                return caller
            frame = frame.f_back
        return None

    def _of_the_program(self, code: Any) -> Caller | None:
        path = Path(code.co_filename)
        if code.co_filename.startswith("<") or {"site-packages", "dist-packages"} & {*path.parts}:
            return None
        path = path.resolve()
        if not path.is_relative_to(self._directory) or path.is_relative_to(_OURS):
            return None
        file = path.relative_to(self._directory).as_posix()
        return Caller(file, code.co_firstlineno, _name(code))


_OURS = Path(__file__).resolve().parents[1]


def _name(code: Any) -> str:
    name: str = getattr(code, "co_qualname", code.co_name)  # since Python 3.11
    return name.rsplit(".<locals>.", maxsplit=1)[-1]


watched: Callers | None = None
"""Set while a program is watched."""
