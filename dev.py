"""Set up and run llmwatch from a checkout, with nothing but Python: `python3 dev.py run`, `python3 dev.py test`.

    run     set up, then `llmwatch demo`: live until Ctrl-C in a terminal, else it ends by itself
    test    set up, then ruff, mypy and the quick tests on this Python
    full    the same with the slow tests
    quick   only the tests that may differ from Python to Python
    frameworks  the tests with Gradio, Streamlit, LangChain and LlamaIndex, in .venv-frameworks
    lint    set up, then ruff and mypy
    bench   set up, then every benchmark with --quick, and a table in build/benchmarks.md (--full: hours)
    setup   only make .venv and install llmwatch into it

Arguments after the command go to pytest, to the demo, or to the benchmarks.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent
OLDEST = (3, 10)


# A file's tests stay in one process; files are spread over the processors.
TESTS_FAILED = 1  # pytest's exit code: others say that it did not come to testing
SPREAD = ("-n", "auto", "--dist", "loadfile")


class Environment:
    """A virtual environment that holds this checkout, set up again only when pyproject.toml changed."""

    def __init__(self, path: Path, extra: str) -> None:
        self.path = path
        self.python = path / "bin" / "python"
        self.extra = extra

    def set_up(self) -> None:
        if self._is_current():
            return
        say(f"setting up {self.path} (llmwatch[{self.extra}], Python {sys.version.split()[0]})")
        say("takes a minute or two, the first time longer: it downloads what llmwatch needs")
        run([sys.executable, "-m", "venv", "--clear", str(self.path)])
        pip = [str(self.python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        run([*pip, "-e", f"{ROOT}[{self.extra}]"])
        self._mark.write_text(self._contents(self.extra))

    @property
    def _mark(self) -> Path:
        return self.path / "llmwatch-set-up"

    def _is_current(self) -> bool:
        enough = {self._contents(self.extra), self._contents("dev")}
        return self._mark.exists() and self._mark.read_text() in enough

    def _contents(self, extra: str) -> str:
        # Settings of tools, which follow, change nothing that is installed.
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("\n[tool.")[0]
        project = hashlib.sha256(project.encode()).hexdigest()
        return f"{sys.version} {ROOT} {extra} {project}"


def main() -> int:
    given, rest = arguments()
    if sys.version_info < OLDEST:
        return fail(f"llmwatch needs Python 3.10 or newer; this is {sys.version.split()[0]}")
    if sys.platform == "win32":
        return fail("llmwatch runs on Linux and macOS; on Windows, use WSL")
    extra, place = EXTRAS.get(given.command, ("dev", ".venv"))
    environment = Environment(Path(given.venv or ROOT / place).absolute(), extra)
    try:
        environment.set_up()
    except subprocess.CalledProcessError as error:
        shutil.rmtree(environment.path, ignore_errors=True)
        return fail(f"setting up failed: {' '.join(map(str, error.cmd))}")
    return COMMANDS[given.command](str(environment.python), rest)


def arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--venv", help="where the virtual environment is (default: .venv)")
    return parser.parse_known_args()


def setup(python: str, rest: list[str]) -> int:
    say(f"ready: {python}")
    return 0


def demo(python: str, rest: list[str]) -> int:
    here = ROOT / ".llmwatch" / "demo"  # made anew by each run
    process = subprocess.Popen(
        [python, "-m", "llmwatch", "demo", "--dir", str(here), *rest], cwd=ROOT
    )
    # It hears Ctrl-C too, and is to have the time to end what it started.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process.wait()


def lint(python: str, rest: list[str]) -> int:
    failed = [
        name
        for name, command in (
            ("ruff", ["ruff", "check", "--quiet", "--output-format", "concise"]),
            ("mypy", ["mypy"]),
        )
        if status([python, "-m", *command]) != 0
    ]
    return fail(f"failed: {', '.join(failed)}") if failed else 0


def test(python: str, rest: list[str]) -> int:
    return checked(python, ["-m", "not slow", *rest], "slow tests (python3 dev.py full)")


def full(python: str, rest: list[str]) -> int:
    return checked(python, rest, None)


def quick(python: str, rest: list[str]) -> int:
    return tested(python, ["-m", "not slow and not once", *rest])


def frameworks(python: str, rest: list[str]) -> int:
    # Gradio and Streamlit leave event loops of theirs unclosed, which pytest finds when it ends.
    quiet = ["-W", "ignore::pytest.PytestUnraisableExceptionWarning"]
    return tested(python, [*quiet, "tests/integrations", *rest])


def checked(python: str, options: list[str], left_out: str | None) -> int:
    """Lint and test; pytest says what was skipped and why, this adds what was never asked for."""
    started = time.monotonic()
    linted = lint(python, [])
    failed = tested(python, options)
    say(f"took {time.monotonic() - started:.0f} s on Python {sys.version.split()[0]}")
    if left_out:
        say(f"skipped: {left_out}")
    say(
        f"ruff and mypy {'failed' if linted else 'passed'}; pytest {'failed' if failed else 'passed'}"
    )
    return failed or linted


def tested(python: str, options: list[str]) -> int:
    """The tests side by side; what failed so is run once more by itself, and counts when it fails again.

    A busy machine makes a test of a page or of several processes fail now and then: it is named, not hidden.
    """
    code, counts = pytest(python, [*SPREAD, *options])
    if code == TESTS_FAILED:
        say("once more, one at a time: what failed")
        code, again = pytest(
            python, ["--last-failed", "--last-failed-no-failures", "none", *options]
        )
        say(
            f"failed beside other tests: {counts['failed']}, of these by itself too: {again['failed']}"
        )
        counts["failed"] = again["failed"]
        counts["passed"] += again["passed"]
    say("counted: {passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return code


def pytest(python: str, options: list[str]) -> tuple[int, dict[str, int]]:
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        code = status([python, "-m", "pytest", "-q", f"--junit-xml={report}", *options])
        suite = ET.parse(report).getroot().find("testsuite") if report.exists() else None
    found = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    if suite is not None:
        found = {name: int(suite.get(name, 0)) for name in found}
    failed = found["failures"] + found["errors"] + (code not in (0, TESTS_FAILED))
    passed = max(0, found["tests"] - found["failures"] - found["errors"] - found["skipped"])
    return code, {"passed": passed, "failed": failed, "skipped": found["skipped"]}


def bench(python: str, rest: list[str]) -> int:
    return status([python, "benchmarks", *rest])


# What a command needs that others do not, and where it is installed.
EXTRAS = {"run": ("all", ".venv"), "frameworks": ("dev,frameworks", ".venv-frameworks")}
COMMANDS = {
    "run": demo,
    "test": test,
    "full": full,
    "quick": quick,
    "frameworks": frameworks,
    "lint": lint,
    "bench": bench,
    "setup": setup,
}


def run(command: list[str]) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


def status(command: list[str]) -> int:
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def say(text: str) -> None:
    print(f"dev: {text}", flush=True)


def fail(text: str) -> int:
    print(f"dev: {text}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
