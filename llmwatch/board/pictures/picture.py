"""A finished picture: shows itself in a notebook, and can be written to a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Picture:
    """An SVG that needs nothing else; readable on light and dark pages."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Picture of {len(self.svg):,} characters of SVG>"

    def save(self, path: str | Path) -> Path:
        """Write it to a file; returns where it is."""
        written = Path(path)
        written.write_text(self.svg, encoding="utf-8")
        return written
