"""Boards and traces as still pictures (SVG): for notebooks, reports and pages that run no script.

>>> from llmwatch.board import pictures
>>> pictures.Picture("<svg/>")._repr_svg_()
'<svg/>'
"""

from __future__ import annotations

from llmwatch.board.pictures.board import of_board
from llmwatch.board.pictures.picture import Picture
from llmwatch.board.pictures.trace import of_trace

__all__ = ["Picture", "of_board", "of_trace"]
