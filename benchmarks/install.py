"""What installing llmwatch costs: megabytes, packages, and processor time of the import, beside its peers in the same run.

    python benchmarks/install.py                   # fresh environments: llmwatch, each extra, langfuse, mlflow, arize-phoenix, weave
    python benchmarks/install.py --quick --check   # the environment that runs this: llmwatch beside weave, which it stands on

Each package is installed into an environment of its own, which is made for it and removed; extras into copies of that of llmwatch,
so that a figure is what the extra adds. Megabytes are of the files of the package and of all that it requires, compiled modules
included. Times are processor time over that of an empty Python, the median of rounds that go through all of them in turn. "Ready" is
an import, what sets tracing up, and one call of a traced function: llmwatch and mlflow record it in an empty directory of this machine,
langfuse and phoenix hand it to the thread that would send it to a server, which is another installation.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
PEERS = ("langfuse", "mlflow", "arize-phoenix", "weave")
NOT_FOR_USERS = {"dev", "docs", "frameworks"}
NOWHERE = "http://127.0.0.1:9"
IMPORTS = {"arize-phoenix": "import phoenix"}
TRACED = "\ndef answer(question): return question\nanswer('Why?')\nimport os; os._exit(0)"
READY = {
    "llmwatch": "import llmwatch; llmwatch.init('bench', destination='local')\n@llmwatch.traced"
    + TRACED,
    "langfuse": "from langfuse import observe\n@observe()" + TRACED,
    "mlflow": "import mlflow\n@mlflow.trace" + TRACED,
    "arize-phoenix": "from phoenix.otel import register\n"
    f"tracer = register(endpoint='{NOWHERE}/v1/traces', batch=True, verbose=False).get_tracer('bench')\n@tracer.chain"
    + TRACED,
}
SETTINGS = {
    "LLMWATCH_WORKER": "false",
    "LANGFUSE_PUBLIC_KEY": "pk",
    "LANGFUSE_SECRET_KEY": "sk",
    "LANGFUSE_HOST": NOWHERE,
}
IMPORT_AT_MOST = 0.2
"""Of the import of the quickest peer."""
SIZE_AT_MOST = 1.0
"""Of the largest peer's megabytes: weave, DuckDB, delta-rs and SciPy are what llmwatch is made of, and none of them is small."""


@dataclass
class Installed:
    """What one environment showed of the package it was made for."""

    name: str
    python: Path
    version: str = ""
    direct: int = 0
    packages: int = 0
    mb: float = 0.0
    imports: list[float] = field(default_factory=list)
    readies: list[float] = field(default_factory=list)

    def looked_at(self, requirement: str) -> Installed:
        told = json.loads(_output([self.python, __file__, "--inside", requirement]))
        self.version, self.direct = told["version"], told["direct"]
        self.packages, self.mb = told["packages"], told["mb"]
        return self

    def time(self, scratch: Path) -> None:
        empty = _cpu_ms(self.python, "pass", scratch)
        code = IMPORTS.get(self.name, f"import {self.name}")
        self.imports.append(_cpu_ms(self.python, code, scratch) - empty)
        if self.name in READY:
            self.readies.append(_cpu_ms(self.python, READY[self.name], scratch) - empty)


# Inside an environment


def inside(requirement: str) -> None:
    """Print what the package of a requirement, installed here, brings with it."""
    from pip._vendor.packaging.requirements import Requirement

    wanted = Requirement(requirement)
    found: dict[str, metadata.Distribution] = {}
    direct = _required(wanted.name, set(wanted.extras))
    waiting = [(wanted.name, frozenset(wanted.extras))]
    done: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in done:
            continue
        done.add((name, extras))
        found[name] = metadata.distribution(name)
        waiting += _required(name, set(extras))
    own = len({name for name, _ in direct} - {_plain(wanted.name)})
    size = sum(_bytes(distribution) for distribution in found.values())
    version = found[wanted.name].version
    told = {"version": version, "direct": own, "packages": len(found) - 1, "mb": size / 1e6}
    print(json.dumps(told))


def _required(name: str, extras: set[str]) -> list[tuple[str, frozenset[str]]]:
    from pip._vendor.packaging.requirements import Requirement

    wanted = [Requirement(line) for line in metadata.requires(name) or ()]
    return [
        (_plain(one.name), frozenset(one.extras))
        for one in wanted
        if one.marker is None
        or any(one.marker.evaluate({"extra": extra}) for extra in (extras or {""}))
    ]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _bytes(distribution: metadata.Distribution) -> int:
    paths = [Path(str(file.locate())) for file in distribution.files or ()]
    if any(path.name == "direct_url.json" and '"editable"' in path.read_text() for path in paths):
        paths += (ROOT / "llmwatch").rglob("*[!c]")  # without what Python compiled since
    return sum(path.stat().st_size for path in paths if path.is_file())


# From outside


def install(name: str, requirement: str, place: Path, based_on: Path | None = None) -> Installed:
    """A package in an environment made for it, or in a copy (by links) of another one."""
    if based_on is None:
        _output([sys.executable, "-m", "venv", place])
    else:
        shutil.copytree(based_on, place, symlinks=True, copy_function=os.link)
    python = place / "bin" / "python"
    _output([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", requirement])
    print(f"installed {requirement.replace(str(ROOT), 'llmwatch')}", file=sys.stderr, flush=True)
    return Installed(name, python).looked_at(requirement.replace(str(ROOT), "llmwatch"))


def extras(python: Path) -> list[str]:
    code = "from importlib import metadata as m; print(*m.metadata('llmwatch').get_all('Provides-Extra'))"
    return [name for name in _output([python, "-c", code]).split() if name not in NOT_FOR_USERS]


def _cpu_ms(python: Path, code: str, scratch: Path) -> float:
    with tempfile.TemporaryDirectory(dir=scratch) as empty:
        settings = {**SETTINGS, "LLMWATCH_STORE": f"{empty}/store", "HOME": empty}
        process = subprocess.Popen(
            [python, "-c", code],
            cwd=empty, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{python}: this failed with {process.returncode}:\n{code}")
    return (used.ru_utime + used.ru_stime) * 1000


def _output(command: list[object]) -> str:
    done = subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"{command} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def timed(measured: list[Installed], rounds: int, scratch: Path) -> None:
    for number in range(rounds + 1):
        for one in measured:
            one.time(scratch)
            if number == 0:  # modules are compiled and files come into memory
                one.imports.clear()
                one.readies.clear()


def show(measured: list[Installed]) -> None:
    print("| | direct | packages | MB | import, ms | ready, ms |\n|---|---|---|---|---|---|")
    for one in measured:
        ready = f"{median(one.readies):,.0f}" if one.readies else "needs a login"
        print(
            f"| {one.name} {one.version} | {one.direct} | {one.packages} | {one.mb:,.0f} | {median(one.imports):,.0f} | {ready} |"
        )


def show_extras(core: Installed, added: list[Installed]) -> None:
    print("\n| extra | packages more | MB more |\n|---|---|---|")
    for one in added:
        print(f"| {one.name} | {one.packages - core.packages} | {one.mb - core.mb:,.0f} |")


def everything(scratch: Path) -> tuple[list[Installed], list[Installed]]:
    """llmwatch, its peers, and its extras."""
    core = install("llmwatch", str(ROOT), scratch / "llmwatch")
    added = []
    for extra in extras(core.python):
        place = scratch / f"extra-{extra}"
        added.append(install(extra, f"{ROOT}[{extra}]", place, scratch / "llmwatch"))
        shutil.rmtree(place)
    peers = [install(name, name, scratch / name) for name in PEERS]
    return [core, *peers], added


def bars(measured: list[Installed], whole: bool) -> tuple[bool, str]:
    ours, *peers = measured
    quickest = min(median(peer.imports) for peer in peers)
    share = median(ours.imports) / quickest
    said = f"import {share:.2f} of the quickest peer's (bar {IMPORT_AT_MOST})"
    if not whole:
        return share <= IMPORT_AT_MOST, said
    size = ours.mb / max(peer.mb for peer in peers)
    met = share <= IMPORT_AT_MOST and size <= SIZE_AT_MOST
    return met, f"{said}; {size:.2f} of the largest peer's megabytes (bar {SIZE_AT_MOST})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="nothing is installed; under 45 s")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bar is missed")
    parser.add_argument("--rounds", type=int, help="of imports (9, or 3 with --quick)")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        inside(given.inside)
        return 0
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        if given.quick:
            here = Path(sys.executable)
            measured = [Installed(name, here).looked_at(name) for name in ("llmwatch", "weave")]
            added: list[Installed] = []
        else:
            measured, added = everything(scratch)
        timed(measured, given.rounds or (3 if given.quick else 9), scratch)
    show(measured)
    if added:
        show_extras(measured[0], added)
    met, said = bars(measured, whole=not given.quick)
    print(("met: " if met else "MISSED: ") + said)
    return 1 if given.check and not met else 0


if __name__ == "__main__":
    sys.exit(main())
