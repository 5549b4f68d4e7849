"""The records of a JSON lines, CSV or Parquet file, one by one, each with its line; a bad one with why it is bad."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import orjson

from llmwatch.errors import StoreError
from llmwatch.stream.duck import LONGEST_LINE, connect

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
_FLOAT = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
_NAMES = {list: "an array", str: "a text", bool: "a boolean", type(None): "null"}
_BOOLEAN = {"true": True, "false": False, "True": True, "False": False}


@dataclass(frozen=True)
class Bad:
    """Why a record was left out."""

    why: str


Numbered = Iterator[tuple[int, dict[str, Any] | Bad]]


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked when it is gzip, whatever its name."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if packed:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            yield file


def lines(file: IO[bytes], *, blank: bool = False) -> Iterator[tuple[int, bytes | Bad]]:
    """The lines, without blank ones unless asked for; the last one may lack its newline."""
    number = 0
    while True:
        number += 1
        try:
            line = file.readline(LONGEST_LINE)
            cut = len(line) == LONGEST_LINE and not line.endswith(b"\n")
            while cut and (more := file.readline(LONGEST_LINE)) and not more.endswith(b"\n"):
                pass
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            yield number, Bad(f"the file is damaged from here on: {error}")
            return
        if not line:
            return
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if cut:
            yield number, Bad(f"the line is longer than {LONGEST_LINE >> 20} MiB")
        elif blank or line.strip():
            yield number, line


def parsed(line: bytes | Bad) -> Any:
    """The JSON of a line, or why it is none."""
    if isinstance(line, Bad):
        return line
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        torn = "" if line.endswith(b"\n") else "; the file ends in the middle of it"
        return Bad(f"it is not JSON: {error}{torn}")


def json_records(file: IO[bytes]) -> Numbered:
    for number, line in lines(file):
        value = parsed(line)
        if not isinstance(value, (dict, Bad)):
            value = Bad(f"it is not a JSON object but {_NAMES.get(type(value), 'a number')}")
        yield number, value


# --- CSV ---------------------------------------------------------------------------------


def csv_records(path: Path, *, text: bool = False) -> Numbered:
    """The records under the header. A column of which every value is a number, or true or false, is read as
    that unless `text`; an empty value is None."""
    types = {} if text else _types(path)
    for number, record in _texts(path):
        if isinstance(record, Bad):
            yield number, record
        else:
            yield number, {key: _typed(value, types.get(key)) for key, value in record.items()}


def _types(path: Path) -> dict[str, str]:
    """The columns that hold more than text: what fits every value of the file."""
    found: dict[str, str] = {}
    for _, record in _texts(path):
        for key, value in record.items() if isinstance(record, dict) else ():
            if value and found.get(key) != "text":
                found[key] = _wider(found.get(key), _type(value))
    return found


def _type(value: str) -> str:
    if _INTEGER.fullmatch(value):
        return "integer"
    if _FLOAT.fullmatch(value):
        return "float"
    return "boolean" if value in _BOOLEAN else "text"


def _wider(known: str | None, new: str) -> str:
    if known in (None, new):
        return new
    return "float" if {known, new} == {"integer", "float"} else "text"


def _typed(value: str, type_: str | None) -> Any:
    if not value:
        return None
    if type_ == "integer":
        return int(value)
    if type_ == "float":
        return float(value)
    return _BOOLEAN[value] if type_ == "boolean" else value


def _texts(path: Path) -> Numbered:
    """The records with their values as text."""
    with opened(path) as file:
        found = _Fields(file)
        header = next(found, None)
        if header is None:
            return
        names = header[1]
        _check_header(path, names)
        for number, fields in found:
            if fields:  # a blank line has none
                yield number, _record(cast("list[str]", names), fields)


def _check_header(path: Path, names: Sequence[str] | Bad) -> None:
    if isinstance(names, Bad):
        raise StoreError(f"{path}: the header cannot be read: {names.why}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StoreError(f"{path}: the header names {twice[0]!r} twice; rename one of the columns")
    if not all(names):
        raise StoreError(f"{path}: column {list(names).index('') + 1} of the header has no name")


def _record(names: list[str], fields: list[str] | Bad) -> dict[str, Any] | Bad:
    if isinstance(fields, Bad):
        return fields
    if len(fields) != len(names):
        return Bad(f"it has {len(fields)} values where the header has {len(names)}")
    record = dict(zip(names, fields, strict=True))
    for name, value in record.items():
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            return Bad(f"{name!r} is not UTF-8")
    return record


class _Fields:
    """The fields of each record, with the line it begins on. After a bad one it goes on at the next line, so that
    a quote that is never closed does not take the rest of the file with it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._lines = lines(file, blank=True)
        self._again: deque[tuple[int, str]] = deque()
        self._taken: list[tuple[int, str]] = []
        self._damage: Bad | None = None
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))

    def __iter__(self) -> _Fields:
        return self

    def __next__(self) -> tuple[int, list[str] | Bad]:
        self._taken = []
        try:
            fields = next(csv.reader(self._feed(), strict=True))
        except StopIteration:
            if self._damage is None:
                raise
            why, self._damage = self._damage, None
            return 0, why
        except csv.Error as error:
            self._again.extendleft(reversed(self._taken[1:]))
            return self._taken[0][0], Bad(f"it is not CSV: {error}")
        return self._taken[0][0], fields

    def _feed(self) -> Iterator[str]:
        while (line := self._next_line()) is not None:
            self._taken.append(line)
            yield line[1]

    def _next_line(self) -> tuple[int, str] | None:
        if self._again:
            return self._again.popleft()
        for number, line in self._lines:
            if isinstance(line, Bad):
                self._damage = line
                return None
            return number, line.decode("utf-8", "surrogateescape")
        return None


# --- Parquet -----------------------------------------------------------------------------


def parquet_records(path: Path) -> Numbered:
    """The records of a Parquet file, counted from 1."""
    import duckdb

    from llmwatch.stream.columns import literal
    from llmwatch.stream.query import streamed

    connection = connect()
    try:
        sql = f"SELECT * FROM read_parquet({literal(str(path))})"
        yield from enumerate(streamed(connection, sql), 1)
    except duckdb.Error as error:
        raise StoreError(f"{path} cannot be read as Parquet: {error}") from error
    finally:
        connection.close()
