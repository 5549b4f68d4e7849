"""What a check of `llmwatch doctor` has to say, and the boundary that keeps one check's trouble from the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Checked = TypeVar("Checked")


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    about: str
    level: Literal["ok", "warning", "wrong"]
    said: str


def found_by(check: Callable[[Checked], Finding], checked: Checked, name: str = "") -> Finding:
    """What a check finds, which is also that it cannot look: a broken machine is what `doctor` is for."""
    about = f"{name} {check.__name__}".replace("_", " ").strip()
    try:
        return check(checked)
    except PermissionError as error:
        return Finding(
            about,
            "wrong",
            f"{error.filename} cannot be read by this user: run doctor as the one who records, or take it back "
            f"(sudo chown -R $USER {error.filename})",
        )
    except Exception as error:  # noqa: BLE001 - whatever is broken, the other checks are to be made
        return Finding(about, "wrong", f"could not be looked at: {type(error).__name__}: {error}")
