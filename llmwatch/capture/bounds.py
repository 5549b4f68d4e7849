"""Cutting what is too large, so that the rest stays useful and the cut says how much is gone."""

from __future__ import annotations

from typing import Any

import orjson

from llmwatch.capture.tag import MARK

_SHARE = 160  # bytes: room for the marker of a cut and some of what it was
_LONG_KEY = 1000


def size(value: Any) -> int:
    return len(orjson.dumps(value))


def cut_text(text: str, limit: int) -> str:
    """The beginning of a text, and how much is missing, in at most `limit` bytes of JSON."""
    total, keep = len(text), max(0, min(len(text), limit - 60))
    while True:
        # The text may come straight from the caller: what UTF-8 cannot hold counts like `?` here.
        head = text[:keep].encode("utf-8", "replace").decode()
        shown = f"{text[:keep]}… [cut: {total - keep} of {total} characters]"
        over = size(head) + 58 - limit
        if over <= 0 or keep == 0:
            return shown
        keep = max(0, min(keep - 1, keep - over // 6, int(keep * (limit - 60) / (size(head) + 1))))


def fit_json(data: bytes, limit: int) -> bytes:
    """JSON that is too long, cut to `limit` bytes (a marker alone when not even that fits)."""
    out = orjson.dumps(_fit(orjson.loads(data), limit))
    return out if len(out) <= limit else orjson.dumps(_gone(len(data)))


def fit_fields(data: bytes, limit: int, total: int) -> bytes:
    """An object with each value cut to `limit` and then the whole to `total` bytes."""
    fields = orjson.loads(data)
    fields = {name: _fit(value, limit) for name, value in fields.items()}
    out = orjson.dumps(fields)
    return out if len(out) <= total else fit_json(out, total)


def _gone(was: int, kind: Any = None) -> dict[str, Any]:
    return {MARK: "cut", "bytes": was} | ({"was": kind} if type(kind) is str else {})


def _fit(value: Any, budget: int) -> Any:
    was = size(value)
    if was <= budget:
        return value
    if type(value) is str:
        return cut_text(value, budget)
    if type(value) is list:
        return _fit_list(value, budget, was)
    if type(value) is dict and (MARK not in value or value[MARK] in ("exception", "object")):
        return _fit_dict(value, budget)
    # A marker with a part missing would not come back as anything.
    return _gone(was, value.get(MARK) if type(value) is dict else None)


def _fit_list(values: list[Any], budget: int, was: int) -> list[Any]:
    room = max(0, budget - _SHARE)
    if was // len(values) < _SHARE // 4:  # many small ones: keep as many of the first as fit
        count = len(values) * room // was
        while count and size(values[:count]) > room:
            count = count * 9 // 10
        kept = values[:count]
    else:
        first = values[: budget // 2]
        share, count = _share([size(value) + 1 for value in first], room)
        kept = [_fit(value, share) for value in first[:count]]
    dropped = len(values) - len(kept)
    return [*kept, {MARK: "cut", "items": dropped, "of": len(values)}] if dropped else kept


def _fit_dict(fields: dict[str, Any], budget: int) -> dict[str, Any]:
    entries = [(k, v) for k, v in fields.items() if len(k) <= _LONG_KEY][: budget // 4]
    costs = [size(key) + 2 for key, _ in entries]
    sizes = [size(value) + cost for (_, value), cost in zip(entries, costs, strict=True)]
    share, count = _share(sizes, max(0, budget - _SHARE))
    pairs = zip(entries[:count], costs, strict=False)
    kept = {key: _fit(value, max(share - cost, _SHARE // 2)) for (key, value), cost in pairs}
    dropped = len(fields) - len(kept)
    if dropped:
        kept[_free_name(fields)] = {MARK: "cut", "keys": dropped, "of": len(fields)}
    return kept


def _free_name(fields: dict[str, Any]) -> str:
    name = "_cut"
    while name in fields:
        name = "_" + name
    return name


def _share(sizes: list[int], room: int) -> tuple[int, int]:
    """The most bytes each may have so that all fit, and how many of the first are kept."""
    count, needed = 0, 0
    for wanted in sizes:
        needed += min(wanted, _SHARE)
        if needed > room:
            break
        count += 1
    left, remaining = room, count
    for wanted in sorted(sizes[:count]):
        if wanted * remaining > left:
            return max(_SHARE, left // remaining), count
        left, remaining = left - wanted, remaining - 1
    return room, count
