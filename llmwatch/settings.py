"""Every setting: its name, its default, where its value comes from, and what it means."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llmwatch.errors import InvalidName, SettingsError
from llmwatch.names import check_name

if TYPE_CHECKING:
    from collections.abc import Mapping

Destination = Literal["auto", "local", "wandb", "both"]
Fsync = Literal["group", "row", "off"]


@dataclass(frozen=True)
class Settings:
    """The settings of a process. Make one with `load`; read the process's own with `current`."""

    store: str | None = None
    project: str = "monitoring"
    entity: str = "local"
    destination: Destination = "auto"
    worker: bool = True
    worker_idle_s: float = 120
    segment_mb: float = 32
    segment_age_s: float = 30
    fsync: Fsync = "group"
    field_limit_kb: int = 1024
    row_limit_kb: int = 16384
    redact: tuple[str, ...] = ()
    retention_days: float = 90
    max_store_gb: float = 20
    compact_every_s: float = 2
    vacuum_after_s: float = 3600


@dataclass(frozen=True)
class Setting:
    """One row of the table that the settings, their checks and their documentation are made from."""

    name: str
    type: str
    doc: str
    choices: tuple[str, ...] = ()
    also_env: str = ""

    @property
    def env(self) -> str:
        return f"LLMWATCH_{self.name.upper()}"

    @property
    def default(self) -> Any:
        return getattr(Settings, self.name)


TABLE = (
    Setting(
        "store",
        "path",
        "Directory that holds everything recorded. When it is not given: `.llmwatch/` in the project root above the "
        "working directory (a parent with `llmwatch.toml`, `pyproject.toml` or `.git`), else the user's data directory.",
    ),
    Setting(
        "project",
        "name",
        "Project of tables that are named without one. `WANDB_PROJECT` is taken when `LLMWATCH_PROJECT` is not set.",
        also_env="WANDB_PROJECT",
    ),
    Setting("entity", "name", "Entity (team or user) of projects that are named without one."),
    Setting(
        "destination",
        "choice",
        "Where records go: `local` keeps them in the store; `wandb` and `both` also send them to Weights & Biases; "
        "`auto` is `wandb` when you are logged in there (a key in the environment counts when `auto` was said, not as the "
        "default), else `local`.",
        ("auto", "local", "wandb", "both"),
    ),
    Setting("worker", "bool", "Start the background worker when something is recorded."),
    Setting(
        "worker_idle_s",
        "number",
        "The worker exits after this long with nothing to do, in seconds.",
    ),
    Setting("segment_mb", "number", "A spool segment is sealed at this size, in MiB."),
    Setting("segment_age_s", "number", "A spool segment is sealed at this age, in seconds."),
    Setting(
        "fsync",
        "choice",
        "When rows are forced to the disk: `group` soon after and off the caller's path; `row` before the call that "
        "wrote the row returns; `off` leaves it to the operating system. A killed process loses nothing in any of them.",
        ("group", "row", "off"),
    ),
    Setting(
        "field_limit_kb",
        "whole number",
        "A value larger than this is cut, with a marker that says how much, in KiB.",
    ),
    Setting(
        "row_limit_kb", "whole number", "All values of one row together are cut to this, in KiB."
    ),
    Setting(
        "redact",
        "names",
        "Taken out of every call before it is written, besides credentials: the values of keys and arguments of these names, "
        "and, with `pii`, mail addresses, phone, card and identity numbers. In the environment, separated by commas.",
    ),
    Setting("retention_days", "number", "Rows older than this are removed; 0 keeps them for ever."),
    Setting(
        "max_store_gb",
        "number",
        "The oldest rows are removed when the store is larger, in GiB; 0 is no limit.",
    ),
    Setting(
        "compact_every_s",
        "number",
        "How often the worker looks for segments to compact, in seconds.",
    ),
    Setting(
        "vacuum_after_s",
        "number",
        "Files that the lake no longer refers to are deleted after this long, in seconds.",
    ),
)

_BY_NAME = {setting.name: setting for setting in TABLE}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
SECTIONS = ("prices", "budgets", "drift", "scorers", "scoring", "forward", "watch")
"""Tables of the settings files that are a capability's own; each checks what is in its own when it reads it."""
ROOT_ENV = "LLMWATCH_SETTINGS_ROOT"
PROJECT_MARKS = ("llmwatch.toml", "pyproject.toml", ".git")

_current: Settings | None = None


def current() -> Settings:
    """The settings of this process, loaded the first time they are asked for."""
    global _current
    if _current is None:
        _current = load()
    return _current


def use(settings: Settings | None) -> Settings | None:
    """Make these the settings of the process (None: load them anew when next asked). Returns the ones before."""
    global _current
    before, _current = _current, settings
    return before


def load(**overrides: Any) -> Settings:
    """Settings from, in this order: arguments, `LLMWATCH_*`, `llmwatch.toml`, `pyproject.toml`, defaults.

    An argument that is None counts as not given.
    """
    values: dict[str, Any] = {}
    root = project_root()
    if root is not None:
        for path, above in reversed(_files(root)):
            values.update(_from_file(path, above))
    values.update(_from_environment(os.environ))
    given = {name: value for name, value in overrides.items() if value is not None}
    values.update(_checked_all(given, "as an argument"))
    return Settings(**values)


def was_given(name: str) -> bool:
    """Whether the environment or a settings file says this setting, rather than leaving the default."""
    if os.environ.get(_BY_NAME[name].env):
        return True
    root = project_root()
    return root is not None and any(name in _from_file(*file) for file in _files(root))


def files() -> list[Path]:
    """The settings files that say something, the one that wins first."""
    root = project_root()
    found = _files(root) if root is not None else ()
    return [path for path, above in found if path.is_file() and _table(_read_toml(path), above, path)]


def section(name: str) -> tuple[dict[str, Any], str]:
    """A capability's own table of the settings files, and where it stands: `llmwatch.toml` before `pyproject.toml`."""
    root = _root_of_sections()
    for path, above in _files(root) if root is not None else ():
        if path.is_file():
            found = _table(_read_toml(path), (*above, name), path)
            if found:
                return found, str(path)
    return {}, ""


def listed(name: str) -> tuple[list[dict[str, Any]], str]:
    """As `section`, of an array of tables: each `[[name]]` of the file that has some."""
    root = _root_of_sections()
    for path, above in _files(root) if root is not None else ():
        if path.is_file() and (found := _table(_read_toml(path), above, path).get(name)):
            if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
                raise SettingsError(f"{name} in {path} is a list of tables: write [[{name}]]")
            return found, str(path)
    return [], ""


def as_markdown() -> str:
    """The table of settings, as `docs/reference/settings.md` shows it."""
    lines = ["| setting | environment | default | type | what it means |", "|---|---|---|---|---|"]
    for setting in TABLE:
        kind = ", ".join(f"`{choice}`" for choice in setting.choices) or setting.type
        default = "" if setting.default in (None, ()) else f"`{str(setting.default).lower()}`"
        lines.append(f"| `{setting.name}` | `{setting.env}` | {default} | {kind} | {setting.doc} |")
    return "\n".join(lines) + "\n"


def project_root(start: Path | None = None) -> Path | None:
    """The nearest directory, from `start` (the working directory) upwards, that looks like a project's root."""
    try:
        here = start or Path.cwd()
    except FileNotFoundError:  # the working directory was deleted
        return None
    for directory in (here, *here.parents):
        if any((directory / mark).exists() for mark in PROJECT_MARKS):
            return directory
    return None


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for setting in TABLE:
        for env in filter(None, (setting.env, setting.also_env)):
            if environment.get(env) and setting.name not in found:
                found[setting.name] = _checked(
                    setting.name, environment[env], f"environment variable {env}"
                )
    return found


def _root_of_sections() -> Path | None:
    """Told to the worker, which runs elsewhere than the process that started it."""
    told = os.environ.get(ROOT_ENV)
    return Path(told) if told else project_root()


def _files(root: Path) -> tuple[tuple[Path, tuple[str, ...]], ...]:
    """The settings files of a project and the table of each that is ours, the one that wins first."""
    return ((root / "llmwatch.toml", ()), (root / "pyproject.toml", ("tool", "llmwatch")))


def _table(values: Any, names: tuple[str, ...], path: Path) -> dict[str, Any]:
    for name in names:
        values = values.get(name, {})
        if not isinstance(values, dict):
            raise SettingsError(f"{name} in {path} is a table: write [{name}]")
    return dict(values)


def _from_file(path: Path, above: tuple[str, ...]) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found = _table(_read_toml(path), above, path)
    values = {name: value for name, value in found.items() if name not in SECTIONS}
    checked = _checked_all(values, f"in {path}")
    if checked.get(
        "store"
    ):  # a path in a file is meant from that file, wherever the process was started
        checked["store"] = str(path.parent / Path(checked["store"]).expanduser())
    return checked


def _read_toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"cannot read settings from {path}: {error}") from error
    return values


def _checked_all(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    return {name: _checked(name, value, f"{name} {source}") for name, value in values.items()}


def _checked(name: str, value: Any, where: str) -> Any:
    setting = _BY_NAME.get(name)
    if setting is None:
        raise SettingsError(f"there is no setting {name!r} ({where}){_nearest(name)}")
    try:
        return _CHECKS[setting.type](setting, value)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where} cannot be {value!r}: {error}") from error


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, _BY_NAME, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _path(_: Setting, value: Any) -> str:
    return str(os.fspath(value))


def _name(setting: Setting, value: Any) -> str:
    try:
        return check_name(value, setting.name)
    except InvalidName as error:
        raise ValueError(str(error)) from error


def _names(_: Setting, value: Any) -> tuple[str, ...]:
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, (list, tuple)) or not all(isinstance(name, str) for name in given):
        raise ValueError("it is a list of names")
    return tuple(name.strip() for name in given if name.strip())


def _choice(setting: Setting, value: Any) -> str:
    if value not in setting.choices:
        raise ValueError(f"it is one of {', '.join(setting.choices)}")
    return str(value)


def _bool(_: Setting, value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE + _FALSE:
        raise ValueError("it is true or false")
    return word in _TRUE


def _number(_: Setting, value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError("it is a number")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError("it is a number") from None
    if not 0 <= number < float("inf"):
        raise ValueError("it is 0 or more")
    return int(number) if number.is_integer() else number


def _whole_number(setting: Setting, value: Any) -> int:
    number = _number(setting, value)
    if not isinstance(number, int) or number < 1:
        raise ValueError("it is a whole number of at least 1")
    return number


_CHECKS = {
    "path": _path,
    "name": _name,
    "names": _names,
    "choice": _choice,
    "bool": _bool,
    "number": _number,
    "whole number": _whole_number,
}

assert [field.name for field in fields(Settings)] == [setting.name for setting in TABLE]
