"""Write docs/reference/python.md from the docstrings of what llmwatch exports: `python docs/make_reference.py`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llmwatch
from llmwatch import canary, datasets, drift, scorers, slices, testing, watch

PAGE = Path(__file__).with_name("reference") / "python.md"
PARTS = (llmwatch, watch, drift, slices, canary, datasets, scorers, testing)
HEAD = """# The Python reference

Made from the docstrings by `python docs/make_reference.py`. What is not here is not public, and may change in any release.
"""
_EXAMPLE = re.compile(r"(?:^>>> .*\n(?:.+\n)*)+", re.MULTILINE)
_ARGUMENT = re.compile(r"^([a-z_]+(?:, [a-z_]+)*): ", re.MULTILINE)
_UNSAID = (inspect.Signature.empty, None, "None")


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_part(part) for part in PARTS)


def _part(part: Any) -> str:
    told = "" if part is llmwatch else _told(part)
    return f"\n## `{part.__name__}`\n\n{told}" + "".join(
        _name(part, name) for name in sorted(_names(part), key=str.lower)
    )


def _names(part: Any) -> list[str]:
    """Its exported names, but for modules, which have parts of their own."""
    exported = getattr(part, "__all__", [])
    return [name for name in exported if not inspect.ismodule(getattr(part, name))]


def _name(part: Any, name: str) -> str:
    thing = getattr(part, name)
    heading = f"### `{name}`\n\n"
    if not callable(thing):
        return f"{heading}`{type(thing).__name__}`: `{thing!r}`\n\n" if _short(thing) else heading
    said = f"{heading}{_signature(name, thing)}{_told(thing)}"
    return said + "".join(_members(thing)) if inspect.isclass(thing) else said


def _short(thing: Any) -> bool:
    return len(repr(thing)) < 100


def _signature(name: str, thing: Any) -> str:
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        return ""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    # Not "python": snippets of that name are run, and a signature is none.
    return f"```py\n{_wrapped(name, signature)}\n```\n\n"


def _wrapped(name: str, signature: inspect.Signature) -> str:
    """One line, or a line a parameter where that is too long."""
    parameters = list(_parameters(signature))
    after = (
        ""
        if signature.return_annotation in _UNSAID
        else f" -> {_said(signature.return_annotation)}"
    )
    flat = f"{name}({', '.join(parameters)}){after}"
    if len(flat) <= 100:
        return flat
    return f"{name}(\n" + "".join(f"    {each},\n" for each in parameters) + f"){after}"


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    starred = positional = False
    for parameter in signature.parameters.values():
        if positional and parameter.kind is not parameter.POSITIONAL_ONLY:
            yield "/"
        positional = parameter.kind is parameter.POSITIONAL_ONLY
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            yield "*"
        starred = starred or parameter.kind in {parameter.VAR_POSITIONAL, parameter.KEYWORD_ONLY}
        yield _parameter(parameter)


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    typed = "" if parameter.annotation is parameter.empty else f": {_said(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}{typed}"
    default = "..." if "<" in repr(parameter.default) else repr(parameter.default)
    return f"{parameter.name}{typed} = {default}" if typed else f"{parameter.name}={default}"


def _said(annotation: Any) -> str:
    """A type as it is written."""
    if isinstance(annotation, str):
        return annotation.strip("'")
    return inspect.formatannotation(annotation)


def _members(thing: type) -> Iterator[str]:
    """Public methods and properties that the class itself defines and explains."""
    for name, member in vars(thing).items():
        function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        is_property = isinstance(member, property)
        if name.startswith("_") or not (is_property or inspect.isfunction(function)):
            continue
        told = inspect.getdoc(member if is_property else function)
        if told:
            shown = name if is_property else f"{name}(...)"
            yield f"* `.{shown}`: {_prose(told.split(chr(10) * 2)[0]).replace(chr(10), ' ')}\n"
    yield "\n"


def _told(thing: Any) -> str:
    told = inspect.getdoc(thing)
    if not told or (inspect.isclass(thing) and "__doc__" not in vars(thing)):
        return ""
    return f"{_prose(told)}\n\n"


def _prose(told: str) -> str:
    """A docstring as Markdown: its arguments as a list, its doctests as code."""
    told = _ARGUMENT.sub(r"* `\1`: ", told)
    fenced = _EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", told + "\n")
    return fenced.strip()


if __name__ == "__main__":
    main()
