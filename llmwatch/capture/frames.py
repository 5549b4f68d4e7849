"""pandas and polars frames and series: Parquet where it keeps every value, else their columns as JSON."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import orjson

from llmwatch.capture.files import keep
from llmwatch.capture.media import INLINE_BYTES, INLINE_ITEMS
from llmwatch.capture.tag import Tag, tag

_PARQUET_KINDS = "biuf"


def pandas_frame(value: Any, directory: Path | None) -> Tag:
    about = {"library": "pandas", "rows": len(value), "columns": list(value.columns)}
    about |= {"dtypes": [str(dtype) for dtype in value.dtypes], "index": _index(value.index)}
    short = about["index"] is None or len(value) <= INLINE_ITEMS
    if directory is not None and short and _parquet_keeps(value):
        return tag("frame", **about, **keep(directory, _pandas_parquet(value), "parquet"))
    data = [value.iloc[:, n].tolist() for n in range(value.shape[1])]
    return _as_json(about, {"data": data, "index": about.pop("index")}, directory)


def _as_json(about: dict[str, Any], values: dict[str, Any], directory: Path | None) -> Tag:
    """Columns as JSON: on the line when they are short, else in a file."""
    from llmwatch.capture.encode import encode

    data = encode(values, media=directory, limit=1 << 40)  # no bound: the file is for what is long
    if len(data) <= INLINE_BYTES or directory is None:
        return tag("frame", **about, **values)
    return tag("frame", **about, **keep(directory, data, "json"))


def pandas_series(value: Any, directory: Path | None) -> Tag:
    framed = pandas_frame(value.to_frame(name="value"), directory)
    return tag("series", **framed.fields, name=value.name)


def _index(index: Any) -> Any:
    """A plain range is left out: it is what a frame has anyway."""
    import pandas as pd

    plain = type(index) is pd.RangeIndex and index.start == 0 and index.step == 1
    if plain and index.name is None:
        return None
    names = list(index.names)
    values = [list(key) for key in index] if index.nlevels > 1 else index.tolist()
    return {"names": names, "levels": index.nlevels, "dtype": str(index.dtype), "values": values}


def _parquet_keeps(value: Any) -> bool:
    """Whether Parquet by way of DuckDB gives back what went in: numbers, text and plain times do."""
    return value.shape[1] > 0 and all(
        str(dtype) in ("str", "datetime64[us]", "datetime64[ns]")
        or (
            getattr(dtype, "kind", "O") in _PARQUET_KINDS
            and str(dtype)[0] in "biuf"
            and str(dtype) != "float16"
        )
        for dtype in value.dtypes
    )


def _pandas_parquet(value: Any) -> bytes:
    import duckdb

    plain = value.set_axis([f"c{n}" for n in range(value.shape[1])], axis=1).reset_index(drop=True)
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as connection:
        path = Path(scratch) / "frame.parquet"
        connection.from_df(plain).write_parquet(str(path))
        return path.read_bytes()


def polars_frame(value: Any, directory: Path | None) -> Tag:
    about = {"library": "polars", "rows": value.height, "columns": value.columns}
    about |= {"dtypes": [str(dtype) for dtype in value.dtypes]}
    if directory is not None and not any(dtype.is_object() for dtype in value.dtypes):
        buffer = io.BytesIO()
        value.write_parquet(buffer)
        return tag("frame", **about, **keep(directory, buffer.getvalue(), "parquet"))
    data = [column.to_list() for column in value.get_columns()]
    return _as_json(about, {"data": data}, directory)


def polars_series(value: Any, directory: Path | None) -> Tag:
    framed = polars_frame(value.to_frame(), directory)
    return tag("series", **framed.fields, name=value.name)


def restore(fields: dict[str, Any], path: Path | None) -> Any:
    """The frame of a marker whose inline parts are already decoded."""
    if path is not None and path.suffix == ".json":
        from llmwatch.capture.decode import decode

        fields = {**fields, **decode(orjson.loads(path.read_bytes()), media=path.parent.parent)}
        path = None
    return (_polars if fields["library"] == "polars" else _pandas)(fields, path)


def _polars(fields: dict[str, Any], path: Path | None) -> Any:
    import polars as pl

    if path is not None:
        return pl.read_parquet(path)
    return pl.DataFrame(dict(zip(fields["columns"], fields["data"], strict=True)), strict=False)


def _pandas(fields: dict[str, Any], path: Path | None) -> Any:
    import pandas as pd

    if path is not None:
        frame = _read_parquet(path)
    else:
        frame = pd.DataFrame(dict(enumerate(fields["data"])))
    for n, dtype in enumerate(fields["dtypes"]):
        frame = frame.astype({frame.columns[n]: dtype})
    frame.columns = pd.Index([tuple(c) if isinstance(c, list) else c for c in fields["columns"]])
    if fields.get("index"):
        frame.index = _restore_index(fields["index"])
    return frame


def _read_parquet(path: Path) -> Any:
    import duckdb

    with duckdb.connect() as connection:
        return connection.read_parquet(str(path)).df()


def _restore_index(index: dict[str, Any]) -> Any:
    import pandas as pd

    names = index["names"]
    if index["levels"] > 1:
        return pd.MultiIndex.from_tuples([tuple(key) for key in index["values"]], names=names)
    return pd.Index(index["values"], name=names[0]).astype(index["dtype"])


def restore_series(fields: dict[str, Any], path: Path | None) -> Any:
    frame = restore(fields, path)
    if fields["library"] == "polars":
        return frame.to_series(0).alias(fields.get("name", ""))
    return frame.iloc[:, 0].rename(fields.get("name"))
