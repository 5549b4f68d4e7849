"""Cells in the store: one line of the internal table `_parts` for a metric set, a minute (or hour) and a group-by.

A line replaces the one before it for the same place: what a minute holds is made anew from its rows when a late row or label
changes it. An hour's line is what its minutes' lines held when it was written, and counts as long as none of them is newer.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import clock
from llmwatch.store import PARTS
from llmwatch.stream import spool
from llmwatch.watch.windows import HOUR_US, MINUTE_US, Window

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader
    from llmwatch.watch.cells import Groups, Maker

MINUTE, HOUR = "minute", "hour"
_READ = (
    f'SELECT kind, epoch_us(started_at), arg_max(embedding, prompt_tokens) FROM main."{PARTS}" '
    "WHERE version = ? AND op_name = ? AND ts >= make_timestamptz(?::BIGINT) "
    "AND kind || epoch_us(started_at)::VARCHAR IN (SELECT unnest(?::VARCHAR[])) GROUP BY ALL"
)
_NEWEST = (
    f'SELECT kind, epoch_us(started_at), max(prompt_tokens) FROM main."{PARTS}" '
    "WHERE version = ? AND op_name = ? AND ts >= make_timestamptz(?::BIGINT) "
    "AND started_at >= make_timestamptz(?::BIGINT) AND started_at < make_timestamptz(?::BIGINT) GROUP BY ALL"
)
_CLOCKS_APART_US = 26 * HOUR_US
"""Cells of a time are written after it, but for clocks that are ahead by up to this."""


def write(
    project: Project,
    settings: Settings,
    key: str,
    level: str,
    cells: Iterable[tuple[int, int, Mapping[str, Any]]],
    turn: int,
) -> None:
    """Write the cells of (start, group-by) places; `turn` is higher than that of any line before."""
    writer = spool.writer(project, PARTS, settings)
    for start_us, number, groups in cells:
        packed = zlib.compress(orjson.dumps(groups), 1)
        line = {
            "id": clock.new_id(),
            "kind": level,
            "version": key,
            "op_name": str(number),
            "started_at": start_us,
            "prompt_tokens": turn,
            "embedding": base64.b64encode(packed).decode("ascii"),
        }
        writer.append("row", orjson.dumps(line))


def read(reader: Reader, maker: Maker, number: int, window: Window) -> dict[int, Groups]:
    """The cells of a group-by whose minutes lie in a window, whole hours where they are up to date, by their starts."""
    since = window.start_us - _CLOCKS_APART_US
    about = [maker.key, str(number), since]
    newest = reader.execute(_NEWEST, [*about, window.start_us, window.end_us], [PARTS]).rows
    minutes = {at: turn for kind, at, turn in newest if kind == MINUTE}
    whole = _good_hours({at: turn for kind, at, turn in newest if kind == HOUR}, minutes, window)
    wanted = [f"{HOUR}{at}" for at in whole]
    wanted += [f"{MINUTE}{at}" for at in minutes if at // HOUR_US * HOUR_US not in whole]
    found = reader.execute(_READ, [*about, wanted], [PARTS]).rows if wanted else []
    return {at: orjson.loads(zlib.decompress(packed)) for _, at, packed in found}


def minutes_made(reader: Reader, maker: Maker, window: Window) -> list[int]:
    """The minutes of a window that have a line: no other had a row."""
    about = [maker.key, "0", window.start_us - _CLOCKS_APART_US, window.start_us, window.end_us]
    found = reader.execute(_NEWEST, about, [PARTS]).rows
    return [at for kind, at, _ in found if kind == MINUTE]


def read_minutes(reader: Reader, maker: Maker, number: int, hour_us: int) -> dict[int, Groups]:
    """The minutes of an hour, as they were last written."""
    wanted = [f"{MINUTE}{at}" for at in range(hour_us, hour_us + HOUR_US, MINUTE_US)]
    about = [maker.key, str(number), hour_us - _CLOCKS_APART_US, wanted]
    found = reader.execute(_READ, about, [PARTS]).rows
    return {at: orjson.loads(zlib.decompress(packed)) for _, at, packed in found}


def _good_hours(hours: Mapping[int, int], minutes: Mapping[int, int], window: Window) -> set[int]:
    """The hours wholly inside the window that hold all that their minutes do."""
    newest: dict[int, int] = {}
    for at, turn in minutes.items():
        hour = at // HOUR_US * HOUR_US
        newest[hour] = max(turn, newest.get(hour, 0))
    return {
        hour
        for hour, turn in hours.items()
        if turn >= newest.get(hour, 0)
        and window.start_us <= hour
        and hour + HOUR_US <= window.end_us
    }
