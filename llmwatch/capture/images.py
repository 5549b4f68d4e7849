"""What each kind of Python value is recorded as, one level deep: the table behind `docs/reference/capture.md`."""

from __future__ import annotations

import array
import collections
import collections.abc
import datetime as dt
import decimal
import enum
import fractions
import inspect
import math
import pathlib
import re
import traceback
import types
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmwatch.capture import foreign, frames, media
from llmwatch.capture.keys import clean_text, int_text, key_text
from llmwatch.capture.tag import Tag, class_name, lineage, package_and_name, tag

Handler = Callable[[Any, "Path | None"], Any]

_SECRET = re.compile("key|token|secret|passw|auth|credential|cookie", re.IGNORECASE)
_FIELDS = 32
_FIELD_TEXT = 1000
_FRAMES = 20
_INT64 = (-(1 << 63), (1 << 64) - 1)


def image_of(value: Any, directory: Path | None) -> Any:
    """A value of JSON, or a container or tag whose contents may need this again. Never raises."""
    try:
        return _handler(type(value))(value, directory)
    except Exception as error:  # noqa: BLE001 - the value's own code ran here, and may raise anything
        return unrecorded(value, error)


def unrecorded(value: Any, error: BaseException) -> Tag:
    """The marker of a value whose own code failed while it was looked at."""
    reason = {"reason": class_name(type(error)), "message": _message(error)}
    return Tag("unrecorded", {"class": class_name(type(value)), **reason})


def finite(number: float) -> float | str:
    """The number, or the name of what JSON has no number for."""
    number = float.__float__(number)
    if math.isfinite(number):
        return number
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"  # noqa: PLR0124


def integer(number: int) -> int | Tag:
    """The number, or a tag that holds its digits when 64 bits do not."""
    number = int.__int__(number)
    return number if _INT64[0] <= number <= _INT64[1] else tag("int", value=int_text(number))


_handlers: dict[type, Handler] = {}


def _handler(cls: type) -> Handler:
    found = _handlers.get(cls)
    if found is None:
        if len(_handlers) > 4096:  # classes made at run time must not be kept for ever
            _handlers.clear()
        found = _handlers[cls] = _find_handler(cls)
    return found


def _find_handler(cls: type) -> Handler:
    for ancestor in lineage(cls)[:-1]:
        known = BY_CLASS.get(ancestor) or BY_NAME.get(package_and_name(ancestor))
        if known:
            return known
        for attribute, handler in BY_ATTRIBUTE.items():
            if attribute in vars(ancestor):
                return handler
    return _iterator if any("__next__" in vars(c) for c in lineage(cls)) else _object


def _datetime(value: Any, _: Path | None) -> str:
    return str(value.isoformat())


def _timedelta(value: dt.timedelta, _: Path | None) -> str:
    """ISO 8601, as `P1DT2H0M3.5S`; a negative one has its sign in front."""
    sign, value = ("-", -value) if value < dt.timedelta(0) else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    return f"{sign}P{value.days}DT{minutes // 60}H{minutes % 60}M{seconds}{fraction}S"


def _text_of(value: Any, _: Path | None) -> str:
    return clean_text(str(value))


def _str(value: str, _: Path | None) -> str:
    return clean_text(value)


def _enum(value: enum.Enum, directory: Path | None) -> Any:
    return value.value if _is_json(value.value) else image_of(value.value, directory)


def _is_json(value: Any) -> bool:
    return value is None or type(value) in (str, bool, dict, list, tuple)


def _float(value: float, _: Path | None) -> float | str:
    return finite(value)


def _int(value: int, _: Path | None) -> int | Tag:
    return integer(value)


def _ordered(value: Any, _: Path | None) -> dict[Any, Any]:
    return dict(collections.OrderedDict.items(value))


def _dict(value: Any, _: Path | None) -> dict[Any, Any]:
    return dict(dict.items(value))


def _mapping(value: Any, _: Path | None) -> dict[Any, Any]:
    return dict(value.items())


def _list(value: Any, _: Path | None) -> list[Any]:
    return list(list.__iter__(value))


def _tuple(value: Any, _: Path | None) -> Any:
    """A named tuple by its names, as a dict: they are what a reader will ask for."""
    names = vars(type(value)).get("_fields")
    values = list(tuple.__iter__(value))
    if type(names) is tuple and len(names) == len(values):
        return dict(zip(names, values, strict=True))
    return values


def _items(value: Any, _: Path | None) -> list[Any]:
    return list(value)


def _set(value: Any, _: Path | None) -> list[Any]:
    """In an order that does not change from run to run."""
    items = list(frozenset.__iter__(value) if isinstance(value, frozenset) else set.__iter__(value))
    kinds = {type(item) for item in items}
    if kinds <= {int, float, bool} or (len(kinds) == 1 and kinds <= {str, bytes}):
        return sorted(items)
    return sorted(items, key=lambda item: (class_name(type(item)), key_text(item)))


def _error(value: BaseException, _: Path | None) -> Tag:
    frames_ = traceback.extract_tb(value.__traceback__, limit=-_FRAMES)
    lines = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames_]
    fields = {"class": class_name(type(value)), "message": _message(value)}
    return Tag("exception", fields | ({"traceback": lines} if lines else {}))


def _message(error: BaseException) -> str:
    """`str(error)`: what printing the error would run anyway, unless that fails too."""
    try:
        return clean_text(str(error))[:10_000]
    except Exception as failure:  # noqa: BLE001 - the user's __str__
        return f"<its text could not be made: {class_name(type(failure))}>"


def _class(value: type, _: Path | None) -> Tag:
    return tag("class", name=class_name(value))


def _module(value: types.ModuleType, _: Path | None) -> Tag:
    return tag("module", name=key_text(types.ModuleType.__getattribute__(value, "__name__")))


def _function(value: Any, _: Path | None) -> Tag:
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "?")
    return tag("function", name=f"{module}.{name}" if type(module) is str else str(name))


def _iterator(value: Any, _: Path | None) -> Tag:
    """Said to be there, never consumed: the caller will want what is in it."""
    name = inspect.getattr_static(value, "__qualname__", None)
    named = getattr(value, "__qualname__", None) if name is not None else None
    return Tag("iterator", {"class": class_name(type(value))} | ({"name": named} if named else {}))


def _fields_of(value: Any, names: list[str]) -> dict[str, Any]:
    """The named attributes; one that cannot be read says so and costs no other."""
    found: dict[str, Any] = {}
    for name in names:
        try:
            found[name] = getattr(value, name)
        except AttributeError:
            continue  # a field that was never set
        except Exception as error:  # noqa: BLE001 - a property of the user's
            found[name] = unrecorded(value, error)
    return found


def _dataclass(value: Any, _: Path | None) -> dict[str, Any]:
    fields = type(value).__dataclass_fields__
    return _fields_of(
        value, [name for name, field in fields.items() if field._field_type.name == "_FIELD"]
    )


def _attrs(value: Any, _: Path | None) -> dict[str, Any]:
    return _fields_of(value, [field.name for field in type(value).__attrs_attrs__])


def _pydantic(value: Any, _: Path | None) -> dict[Any, Any]:
    """As the model dumps itself (its own exclusions hold); its bare fields when that fails."""
    try:
        dumped = value.model_dump(warnings=False) if hasattr(value, "model_dump") else value.dict()
        return dict(dumped)
    except Exception:  # noqa: BLE001 - serializers are the user's code
        return dict(object.__getattribute__(value, "__dict__"))


def _object(value: Any, _: Path | None) -> Tag:
    """Any other object: its class, and its public attributes that are plain values.

    Its `repr` is not asked: it may take for ever, and could not be stopped on the caller's thread.
    Attributes that sound like a secret are named, not recorded.
    """
    name = class_name(type(value))
    fields = _plain_fields(_vars(value))
    return Tag("object", {"class": name} | ({"fields": fields} if fields else {}))


def _vars(value: Any) -> dict[str, Any]:
    try:
        found = object.__getattribute__(value, "__dict__")
    except Exception:  # noqa: BLE001 - no __dict__, or one of the user's own making
        return {}
    return found if type(found) is dict else {}


def _plain_fields(found: dict[Any, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in list(found.items()):
        if len(fields) == _FIELDS:
            break
        if type(name) is not str or name.startswith("_"):
            continue
        if _SECRET.search(name):
            fields[name] = "<not recorded: named like a secret>"
        elif type(value) is str:
            fields[name] = value[:_FIELD_TEXT]
        elif value is None or type(value) in (bool, int, float):
            fields[name] = value
    return {clean_text(name): value for name, value in fields.items()}


def _none(_value: Any, _: Path | None) -> None:
    return None


BY_CLASS: dict[type, Handler] = {
    str: _str, int: _int, float: _float, dict: _dict, list: _list, tuple: _tuple,
    collections.OrderedDict: _ordered, collections.UserDict: _mapping, collections.ChainMap: _mapping,
    types.MappingProxyType: _mapping, collections.abc.Mapping: _mapping, collections.deque: _items,
    collections.UserList: _items, array.array: _items, set: _set, frozenset: _set,
    collections.abc.KeysView: _items, collections.abc.ValuesView: _items, collections.abc.ItemsView: _items,
    type({}.keys()): _items, type({}.values()): _items, type({}.items()): _items,
    dt.datetime: _datetime, dt.date: _datetime, dt.time: _datetime, dt.timedelta: _timedelta,
    decimal.Decimal: _text_of, fractions.Fraction: _text_of, complex: _text_of, uuid.UUID: _text_of,
    pathlib.PurePath: _text_of, range: _text_of, type(...): _text_of, type(NotImplemented): _text_of,
    enum.Enum: _enum, BaseException: _error, type: _class, types.ModuleType: _module,
    types.FunctionType: _function, types.BuiltinFunctionType: _function, types.MethodType: _function,
    types.GeneratorType: _iterator, types.CoroutineType: _iterator, types.AsyncGeneratorType: _iterator,
    bytes: media.bytes_image, bytearray: media.bytes_image, memoryview: media.bytes_image,
    media.Audio: media.audio_image, media.Media: media.media_image,
}  # fmt: skip

BY_NAME: dict[tuple[str, str], Handler] = {
    ("pydantic", "BaseModel"): _pydantic,
    ("numpy", "ndarray"): media.array_image,
    ("numpy", "generic"): media.scalar_image,
    ("pandas", "NAType"): _none,
    ("PIL", "Image"): media.picture_image,
    ("matplotlib", "Figure"): media.figure_image,
    ("pandas", "DataFrame"): frames.pandas_frame,
    ("pandas", "Series"): frames.pandas_series,
    ("pandas", "Index"): _items,
    ("polars", "DataFrame"): frames.polars_frame,
    ("polars", "Series"): frames.polars_series,
    ("wandb", "Image"): foreign.wandb_image,
    ("wandb", "Audio"): foreign.wandb_audio,
    ("wandb", "Video"): foreign.wandb_file,
    ("wandb", "Html"): foreign.wandb_html,
    ("wandb", "Table"): foreign.wandb_table,
    ("wandb", "Media"): foreign.wandb_file,
    ("weave", "Audio"): foreign.weave_audio,
    ("weave", "Content"): foreign.weave_content,
    ("weave", "Markdown"): foreign.weave_markdown,
    ("rich", "Markdown"): foreign.weave_markdown,
}

BY_ATTRIBUTE: dict[str, Handler] = {
    "__dataclass_fields__": _dataclass,
    "__attrs_attrs__": _attrs,
}
