"""Kill everything, all the time, and count what is lost, doubled or read wrong.

    python benchmarks/crash.py --minutes 10 [--quick] [--check]

Writers log into two tables and acknowledge each row over a pipe after `log` returned; compactors, mergers and vacuums work; readers
check. All of them are SIGKILLed at random moments, and the upkeep also at every named step inside compaction, commit, merge and
vacuum. Some writers fork a child that stays idle with what it inherited while they are killed; some are workers of
`gunicorn --preload`. Then: a full disk, and a store that stops being writable half-way.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crash_parts import GUNICORN, TABLES, acknowledged, count_ids, quietly, settle

from llmwatch.stream import steps as named

STEPS = tuple(name for name in named.NAMES if not name.startswith("erase."))
KILLED = {"writer": 0.6, "reader": 0.04, "upkeep": 0.1}
"""How often a process of a kind that was looked at is killed."""


@dataclass
class Tally:
    """What happened, and what was found wrong."""

    kills: Counter[str] = field(default_factory=Counter)
    checks: int = 0
    wrong: list[str] = field(default_factory=list)
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0


class Part:
    """A process of one kind, started again whenever it is dead."""

    def __init__(self, kind: str, store: Path, log: Path, *arguments: str) -> None:
        self.kind, self.store, self.log, self.arguments = kind, store, log, arguments
        self.started = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *extra: str) -> None:
        self.started += 1
        name = f"{self.kind}{'-'.join(self.arguments)}-{self.started}"
        command = [sys.executable, str(Path(__file__).with_name("crash_parts.py")), self.kind, str(self.store)]
        out = (self.log / name).open("wb")
        self.process = subprocess.Popen(
            [*command, *self.arguments, *extra], stdout=out, stderr=(self.log / f"stderr-{self.kind}").open("ab")
        )
        out.close()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> bool:
        if not self.alive():
            return False
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        return True


def soak(seconds: float, store: Path, log: Path, chance: random.Random) -> Tally:
    tally = Tally()
    writers = [Part("writer", store, log, table, str(n)) for table in TABLES for n in range(2)]
    upkeep = [Part("upkeep", store, log, table) for table in TABLES]
    readers = [Part("reader", store, log, table) for table in TABLES]
    steps = _steps(chance)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for part in (*writers, *readers):
            if not part.alive():
                _note_reader(part, tally)
                part.start(*_how(part, chance))
        for part in upkeep:
            if not part.alive():
                _note_death(part, tally)
                part.start(next(steps))
        time.sleep(chance.uniform(0.1, 0.6))
        part = chance.choice([*writers, *writers, *readers, *upkeep])
        if chance.random() < KILLED[part.kind] and part.kill():
            tally.kills[f"{part.kind} at random"] += 1
            _note_reader(part, tally, killed=True)
    for part in (*writers, *upkeep):
        part.kill()
    for part in readers:
        _finish_reader(part, tally)
    _stop_idle_children(log)
    return tally


def _how(part: Part, chance: random.Random) -> list[str]:
    """A third of the writers leave an idle forked child behind."""
    if part.kind != "writer":
        return []
    return ["fork" if chance.random() < 0.3 else "plain"]


def _steps(chance: random.Random) -> Iterator[str]:
    """Every step in turn, in another order each round, and now and then none."""
    while True:
        for step in chance.sample(STEPS, len(STEPS)):
            yield step if chance.random() < 0.8 else "never"


def _note_death(part: Part, tally: Tally) -> None:
    if part.process is not None and part.process.returncode == -signal.SIGKILL and part.arguments:
        last = (part.log / f"{part.kind}{'-'.join(part.arguments)}-{part.started}").read_text().split()
        if last and last[-1].startswith("at:"):
            tally.kills[last[-1][3:]] += 1
    elif part.process is not None and part.process.returncode not in (0, None, -signal.SIGKILL):
        tally.wrong.append(f"upkeep ended with {part.process.returncode}")


def _note_reader(part: Part, tally: Tally, *, killed: bool = False) -> None:
    if part.kind != "reader" or part.process is None:
        return
    name = part.log / f"{part.kind}{'-'.join(part.arguments)}-{part.started}"
    lines = name.read_text().splitlines()
    tally.checks += lines.count("fine")
    tally.wrong += [line for line in lines if line.startswith("WRONG")]
    if not killed and part.process.returncode not in (0, -signal.SIGKILL):
        tally.wrong.append(f"a reader ended with {part.process.returncode}")
    part.process = None


def _finish_reader(part: Part, tally: Tally) -> None:
    if part.kill():
        _note_reader(part, tally, killed=True)


def _stop_idle_children(log: Path) -> None:
    for path in log.glob("writer*"):
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith("child "):
                try:
                    os.kill(int(line.split()[1]), signal.SIGKILL)
                except (ProcessLookupError, ValueError):
                    continue


def gunicorn_part(store: Path, log: Path, seconds: float, tally: Tally) -> None:
    """A preloaded application whose forked workers log, killed one after another."""
    if not GUNICORN:
        say("gunicorn is not installed here: `pip install gunicorn` to include it")
        return
    port = _free_port()
    out = (log / "writer-gunicorn").open("ab")
    environment = {**os.environ, "LLMWATCH_STORE": str(store), "PYTHONPATH": _python_path()}
    command = [sys.executable, "-m", "gunicorn", "--preload", "-w", "3", "-b", f"127.0.0.1:{port}"]
    master = subprocess.Popen(
        [*command, "--error-logfile", "/dev/null", "crash_parts:app"],
        stdout=out, stderr=subprocess.DEVNULL, env=environment, cwd=Path(__file__).parent,
    )  # fmt: skip
    chance = random.Random(3)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = _get(f"http://127.0.0.1:{port}/")
        if answer is None:
            time.sleep(0.05)
            continue
        out.write(answer + b"\n")
        out.flush()
        if chance.random() < 0.02:
            os.kill(int(answer.split()[2]), signal.SIGKILL)
            tally.kills["gunicorn worker"] += 1
    master.terminate()
    master.wait()
    out.close()


def _get(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bytes(reply.read())
    except OSError:
        return None


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _python_path() -> str:
    return os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])


def final_check(store: Path, log: Path, tally: Tally) -> None:
    """After everything is dead and compacted: every acknowledged row once, no row twice."""
    settle(store)
    for table in TABLES:
        wanted = acknowledged(log, table)
        found = count_ids(store, table)
        tally.acknowledged += len(wanted)
        tally.lost += sum(1 for key in wanted if found[key] == 0)
        tally.doubled += sum(count - 1 for count in found.values() if count > 1)


# --- a disk that is full, a store that cannot be written ----------------------------------


def full_disk() -> bool | None:
    """Log into a small file system until it is full, make room, go on."""
    mount = Path(tempfile.mkdtemp(prefix="llmwatch-full-"))
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)], check=False, capture_output=True
    )
    if made.returncode != 0:
        say("a full disk: not tried, mounting a small file system is not permitted here")
        mount.rmdir()
        return None
    try:
        return _report("a full disk", quietly("full", mount))
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False)
        mount.rmdir()


def unwritable() -> bool | None:
    """The spool and its open segment are made immutable under the writer."""
    store = Path(tempfile.mkdtemp(prefix="llmwatch-unwritable-"))
    try:
        if subprocess.run(["chattr", "+i", str(store)], check=False, capture_output=True).returncode != 0:
            say("an unwritable store: not tried, making files immutable is not permitted here")
            return None
        subprocess.run(["chattr", "-i", str(store)], check=True)
        return _report("an unwritable store", quietly("unwritable", store))
    finally:
        shutil.rmtree(store, ignore_errors=True)


def _report(title: str, answer: str) -> bool:
    say(f"{title}: {answer}")
    return answer.endswith("fine")


def run(seconds: float) -> bool:
    store = Path(tempfile.mkdtemp(prefix="llmwatch-crash-"))
    log = store / ".acknowledged"
    log.mkdir()
    os.environ["PYTHONPATH"] = _python_path()
    try:
        tally = soak(seconds * 0.85, store, log, random.Random(11))
        gunicorn_part(store, log, seconds * 0.15, tally)
        final_check(store, log, tally)
    finally:
        if not os.environ.get("LLMWATCH_KEEP"):
            shutil.rmtree(store, ignore_errors=True)
    for place, count in sorted(tally.kills.items()):
        say(f"killed {count:5} times: {place}")
    for line in tally.wrong[:10]:
        say(line)
    disks = [full_disk(), unwritable()]
    fine = not (tally.lost or tally.doubled or tally.wrong) and False not in disks
    say(
        f"{tally.acknowledged:,} rows acknowledged, {sum(tally.kills.values()):,} kills, {tally.checks:,} reader checks: "
        f"{tally.lost} lost, {tally.doubled} doubled, {len(tally.wrong)} wrong reads"
    )
    return fine and tally.checks > 0


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--quick", action="store_true", help="under 45 s")
    options.add_argument("--check", action="store_true", help="exit 1 when a row is lost, doubled or read wrong")
    chosen = options.parse_args()
    fine = run(25 if chosen.quick else chosen.minutes * 60)
    return 0 if fine or not chosen.check else 1


if __name__ == "__main__":
    sys.exit(main())
