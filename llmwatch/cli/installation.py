"""What `llmwatch doctor` asks of the machine, the installed packages and the settings, before it looks at a store."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys
from typing import TYPE_CHECKING

from llmwatch import settings
from llmwatch.cli.findings import Finding
from llmwatch.errors import LlmwatchError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from packaging.requirements import Requirement

SHOWN = ("weave", "duckdb", "deltalake", "orjson")
IMPORTED = ("orjson", "numpy", "scipy.stats", "duckdb", "deltalake", "openai", "wandb", "weave")
"""Those with compiled parts or many of their own packages: what is there need not work."""
FOR_DEVELOPERS = frozenset({"all", "dev", "docs", "frameworks"})
IMPORT_S = 180

_IMPORTER = """
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
for name in sys.argv[1:]:
    print(json.dumps([name, None]), flush=True)
    try: importlib.import_module(name)
    except BaseException as error: print(json.dumps([name, f"{type(error).__name__}: {error}"]), flush=True)
print(json.dumps(["", None]), flush=True)
"""


def checks() -> Iterator[Finding]:
    yield python_and_system()
    yield packages()
    yield imports()
    yield extras()
    yield from settings_files()


def python_and_system() -> Finding:
    said = f"Python {platform.python_version()} on {platform.system()} {platform.release()}"
    if sys.platform == "win32":
        return Finding(
            "system", "wrong", f"{said}: llmwatch records on Linux and macOS only; use WSL"
        )
    return Finding("system", "ok", said)


# --- packages ----------------------------------------------------------------------------


def packages() -> Finding:
    """Whether what llmwatch requires is there, in versions that it works with."""
    try:
        wanted = _required()
    except ImportError:
        return Finding("packages", "wrong", "packaging is missing: pip install packaging")
    problems = _problems(wanted)
    if problems:
        return Finding(
            "packages", "wrong", f"{'; '.join(problems.values())}: pip install {_quoted(problems)}"
        )
    return Finding("packages", "ok", ", ".join(f"{name} {_version(name)}" for name in SHOWN))


def _required(extra: str = "") -> list[Requirement]:
    """What llmwatch, or one of its extras, says that it needs here; of a checkout that is not installed: some names."""
    from packaging.requirements import Requirement

    try:
        lines = importlib.metadata.requires("llmwatch") or []
    except importlib.metadata.PackageNotFoundError:
        lines = [] if extra else list(SHOWN)
    wanted = [Requirement(line) for line in lines]
    marked = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": extra})]
    return [one for one in marked if not extra or not _is_for_all(one)]


def _is_for_all(one: Requirement) -> bool:
    return one.marker is None or one.marker.evaluate({"extra": ""})


def _problems(wanted: list[Requirement]) -> dict[str, str]:
    """What is wrong with each that is wrong, by what pip is to be asked for."""
    return {f"{one.name}{one.specifier}": said for one in wanted if (said := _problem(one))}


def _quoted(requirements: Iterable[str]) -> str:
    """For a shell. Not llmwatch itself, which need not have come from an index."""
    return " ".join(f'"{requirement}"' for requirement in requirements)


def _problem(one: Requirement) -> str | None:
    version = _version(one.name)
    if version is None:
        return f"{one.name} is missing"
    if not one.specifier.contains(version, prereleases=True):
        return f"{one.name} is {version}, and has to be {one.specifier}"
    return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def imports() -> Finding:
    """Whether packages load, each tried in a process that may crash over it."""
    asked = subprocess.run(
        [sys.executable, "-c", _IMPORTER, *IMPORTED],
        check=False, capture_output=True, text=True, timeout=IMPORT_S,
    )  # fmt: skip
    told = [json.loads(line) for line in asked.stdout.splitlines() if line.startswith("[")]
    failed = {name: said for name, said in told if said}
    if not told or told[-1][0]:
        failed[told[-1][0] if told else "Python"] = f"the process ended with {asked.returncode}"
    if failed:
        each = "; ".join(f"{name}: {said}" for name, said in failed.items())
        again = _quoted(sorted(name.partition(".")[0] for name in failed))
        return Finding(
            "imports",
            "wrong",
            f"cannot be imported: {each}. Install anew: pip install --force-reinstall --no-deps {again}",
        )
    return Finding("imports", "ok", "everything that recording and reading need can be imported")


def extras() -> Finding:
    """Which optional parts are there. One that is not is no fault; one that is too old is."""
    wanted = {name: _required(name) for name in _extras()}
    absent = [
        name for name, needs in wanted.items() if any(not _version(one.name) for one in needs)
    ]
    here = [name for name in wanted if name not in absent]
    old = {name: said for name in here if (said := _problems(wanted[name]))}
    if old:
        each = (
            f"{'; '.join(said.values())} for {name}: pip install {_quoted(said)}"
            for name, said in old.items()
        )
        return Finding("extras", "warning", "; ".join(each))
    told = f"installed: {', '.join(here) or 'none'}"
    if absent:
        told += f'; not: {", ".join(absent)} (pip install "llmwatch[NAME]" where you want one)'
    return Finding("extras", "ok", told)


def _extras() -> list[str]:
    try:
        named = importlib.metadata.metadata("llmwatch").get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [name for name in named if name not in FOR_DEVELOPERS]


# --- settings ----------------------------------------------------------------------------


def settings_files() -> Iterator[Finding]:
    """Each setting, section and entry that cannot be; until the plain settings are right, nothing else is read."""
    problems: list[LlmwatchError] = []
    try:
        settings.load()
        for read in _sections():
            _collect(read, problems)
    except SettingsError as error:
        problems.append(error)
    for problem in dict.fromkeys(str(problem) for problem in problems):
        yield Finding("settings", "wrong", problem)
    if not problems:
        yield Finding("settings", "ok", _where_from())


def _collect(read: Callable[[list[LlmwatchError]], object], problems: list[LlmwatchError]) -> None:
    try:
        read(problems)
    except LlmwatchError as error:
        problems.append(error)


def _sections() -> Iterator[Callable[[list[LlmwatchError]], object]]:
    """What reads each section of the settings files, as the worker does; `append` takes what stands by itself."""
    from llmwatch.drift import schedule, watches
    from llmwatch.forward import options
    from llmwatch.scorers import budgets, own_prices
    from llmwatch.scoring import configured
    from llmwatch.watch import declarations, default_sets, rules
    from llmwatch.watch.channels import configured as channels
    from llmwatch.watch.sinks import options as sinks

    yield lambda problems: rules.usable(problems.append)
    yield lambda problems: declarations.usable(problems.append)
    yield lambda problems: channels.usable(wrong=problems.append)
    yield lambda _: default_sets.wanted()
    yield lambda _: sinks.wandb()
    yield lambda _: sinks.system()
    yield lambda _: watches.configured()
    yield lambda _: schedule.jobs()
    yield lambda _: configured.declared()
    yield lambda _: options.chosen(None)
    yield lambda _: budgets.declared()
    yield lambda _: own_prices.from_settings()


def _where_from() -> str:
    files = ", ".join(map(str, settings.files()))
    return f"from {files}" if files else "no settings file; defaults and the environment"
