"""How quick the board is in a browser, on a million rows and more, and while rows pour in.

    python benchmarks/board.py --rows 1000000 [--store DIR] [--live] [--quick] [--check]

Serves the real board over really distinct rows of about 2.4 KB, opens it in headless Chromium, and times what a person
does: from the click (or the key) until the page shows the answer and nothing on it is still being asked. Five times each.
Needs Chromium and `pip install playwright`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from traffic import TABLE, Traffic, fill

from llmwatch import settings
from llmwatch.store import open_store

ROOT = Path(__file__).resolve().parent.parent
FIRST_BAR_MS, ACTION_BAR_MS, MEMORY_BAR_MB = 2000, 500, 1000
TIMES = 5
FEED_S = 120.0
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
SETTLED = """() => new Promise(done => {
  const look = () => {
    const busy = document.querySelector("main[aria-busy=true]") || document.querySelector(".skeleton")
      || document.querySelector(".line.blank") || !document.querySelector(".line")
      || !document.querySelector(".rows-note")?.textContent;
    busy ? requestAnimationFrame(look) : done(true);
  };
  requestAnimationFrame(() => requestAnimationFrame(look));
})"""


@contextmanager
def served(store: Path, table: str) -> Iterator[tuple[str, int]]:
    """`llmwatch board` in a process of its own; its address and its process id."""
    command = [
        sys.executable,
        "-m",
        "llmwatch",
        "board",
        table,
        "--store",
        str(store),
        "--no-open",
        "--port",
        "0",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LLMWATCH_WORKER": "false"}
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, cwd=store
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"http://localhost:\d+", line)
    if found is None:
        raise RuntimeError(line + process.stderr.read())
    threading.Thread(target=process.stderr.read, daemon=True).start()
    try:
        yield found[0], process.pid
    finally:
        process.terminate()
        process.wait(10)


def resident_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


FIRST_ROWS = """() => new Promise(done => {
  const look = () => {
    const note = document.querySelector(".rows-note")?.textContent || "searching";
    const busy = note.startsWith("searching") || document.querySelector(".line.blank") || !document.querySelector(".line");
    busy ? requestAnimationFrame(look) : done(true);
  };
  requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(look)));
})"""


WHOLE = """() => new Promise(done => {
  const look = () => {
    const whole = /^[\\d,]+$/.test(document.querySelector(".rows-note")?.textContent || "");
    const busy = !whole || document.querySelector(".searching") || document.querySelector("main[aria-busy=true]");
    busy ? requestAnimationFrame(look) : done(true);
  };
  requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(look)));
})"""


def cpu_s(pid: int) -> float:
    """What a process has used of the processor: unlike the time on a wall, nobody else's work is in it."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Person:
    """Does one thing at a time on the page and waits until it is shown."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address

    def open(self, query: str = "") -> None:
        self.page.goto(f"{self.address}{query}")
        self.settle()

    def settle(self) -> None:
        self.page.evaluate(SETTLED)

    def timed(self, act: Callable[[], Any], until: str) -> float:
        started = time.perf_counter()
        act()
        self.page.evaluate(until)
        return (time.perf_counter() - started) * 1000

    def brush(self, start: float, end: float) -> None:
        box = self.page.locator(".chart .u-over").first.bounding_box()
        self.page.mouse.move(box["x"] + box["width"] * start, box["y"] + 30)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + box["width"] * end, box["y"] + 30, steps=3)
        self.page.mouse.up()
        self.page.wait_for_url(re.compile(r"range=\d+-\d+"))

    def range(self, text: str) -> None:
        self.page.get_by_role("button", name=re.compile("hours|Everything|Sep|–")).first.click()
        self.page.get_by_role("button", name=text, exact=True).click()

    def search(self, text: str) -> None:
        box = self.page.get_by_label("Search in texts")
        box.fill(text)
        box.press("Enter")
        self.page.wait_for_url(re.compile("q="))

    def scroll(self, share: float) -> None:
        box = self.page.locator(".rows-box").element_handle()
        self.page.evaluate("([b, s]) => { b.scrollTop = b.scrollHeight * s; }", [box, share])
        self.page.wait_for_timeout(50)

    def open_trace(self) -> None:
        self.page.locator(".line").nth(3).click()
        self.page.wait_for_selector(".waterfall .span")
        self.page.wait_for_selector(".row-view .part-body")


def actions(
    person: Person, words: list[str]
) -> dict[str, tuple[Callable[[int], Any], Callable[[int], Any]]]:
    """Each action with what brings the page back to where it can be done again."""
    page = person.page
    nothing: Callable[[int], Any] = lambda _: None  # noqa: E731
    again: Callable[[int], Any] = lambda _: page.go_back(wait_until="commit")  # noqa: E731
    return {
        "time filter": (
            lambda n: page.evaluate(
                "u => { history.pushState(null, '', u); dispatchEvent(new PopStateEvent('popstate')); }",
                person.address + f"?range={RANGE[0] + n * 7_000_000}-{RANGE[1]}",
            ),
            again,
        ),
        "brush a chart": (lambda n: person.brush(0.3 + n * 0.02, 0.5 + n * 0.02), again),
        "text search, first rows": (lambda n: person.search(words[n]), again),
        "text search, first charts": (lambda n: person.search(words[n + 5]), again),
        "text search, to its end": (lambda n: person.search(words[n + 10]), again),
        "sort by latency": (
            lambda _: (
                page.get_by_role("columnheader", name="latency").get_by_role("button").click()
            ),
            nothing,
        ),
        "group by": (
            lambda n: page.get_by_label("Group by").select_option(
                ("model", "op_name", "status", "kind", "model")[n]
            ),
            again,
        ),
        "filter by a legend": (lambda n: page.locator(".legend-item").nth(n % 4).click(), again),
        "open a trace": (lambda _: person.open_trace(), lambda _: page.keyboard.press("Escape")),
        "jump to the middle": (lambda n: person.scroll(0.4 + n * 0.05), nothing),
    }


RANGE = [0, 0]
VERBOSE = bool(os.environ.get("BOARD_VERBOSE"))


UNTIL = {"text search, first rows": FIRST_ROWS, "text search, to its end": WHOLE}
SEARCHES_TO_THE_END = 2


def measure(
    browser: Any, address: str, words: list[str], pid: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """The time of each action until it is shown, and the processor time that the server took for it."""
    cpu: dict[str, list[float]] = {}
    took: dict[str, list[float]] = {"first render": [], "all panels": []}
    for _ in range(TIMES):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        started, used = time.perf_counter(), cpu_s(pid)
        page.goto(address, wait_until="commit")
        page.wait_for_selector(".chart canvas, .line:not(.blank)")
        took["first render"].append((time.perf_counter() - started) * 1000)
        page.evaluate(SETTLED)
        took["all panels"].append((time.perf_counter() - started) * 1000)
        cpu.setdefault("all panels", []).append((cpu_s(pid) - used) * 1000)
        context.close()
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    person = Person(page, address)
    for name, (act, back) in actions(person, words).items():
        person.open()
        took[name], cpu[name] = [], []
        for n in range(SEARCHES_TO_THE_END if name.endswith("to its end") else TIMES):
            say(f"  {name} {n}") if VERBOSE else None
            used = cpu_s(pid)
            took[name].append(person.timed(lambda a=act, n=n: a(n), UNTIL.get(name, SETTLED)))  # type: ignore[misc]
            cpu[name].append((cpu_s(pid) - used) * 1000)
            back(n)
            person.settle()
    heap = page.evaluate("performance.memory ? performance.memory.usedJSHeapSize / 1e6 : 0")
    say(f"{'the page:':24}{heap:>8.0f} MB of JavaScript heap")
    page.context.close()
    return took, cpu


# --- rows pouring in -------------------------------------------------------------------------

WRITER = """
import sys, time, json
from llmwatch import settings, clock
from llmwatch.store import open_store
from llmwatch.stream import spool
store, rate, seconds, name = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
settings.use(settings.load(store=store, worker=False))
writer = spool.writer(open_store(store).project("local", "bench"), "traces", settings.current())
began, n = time.perf_counter(), 0
while time.perf_counter() - began < seconds:
    row = clock.new_id()
    body = {"id": row, "trace_id": row, "op_name": "live", "kind": "generation", "status": "success", "model": "live-" + name,
            "started_at": clock.now_us(), "latency_ms": 5.0, "inputs": {"question": "x" * 800}, "output": {"answer": "y" * 800}}
    writer.append("row", json.dumps(body).encode()); n += 1
    ahead = began + n / rate - time.perf_counter()
    if ahead > 0: time.sleep(ahead)
writer.rotate()
print(n)
"""


def live(browser: Any, address: str, store: Path, seconds: float) -> dict[str, float]:
    """500 rows a second from four processes: how late rows show, how long the page stands still, whether counts are right."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(f"{address}?range=all")
    page.evaluate(SETTLED)
    before = shown_count(page)
    page.evaluate("""() => { window.gaps = []; let last = performance.now();
        const tick = () => { const now = performance.now(); window.gaps.push(now - last); last = now; requestAnimationFrame(tick); }; requestAnimationFrame(tick); }""")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store), "125", str(seconds), str(n)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for n in range(4)
    ]
    lags = []
    while any(writer.poll() is None for writer in writers):
        page.wait_for_timeout(250)
        newest = page.locator(".line time").first.inner_text()
        lags.append(_lag_s(newest))
    written = sum(int(writer.communicate()[0]) for writer in writers)
    deadline = time.perf_counter() + 10
    while shown_count(page) != before + written and time.perf_counter() < deadline:
        page.wait_for_timeout(100)
    gaps = sorted(page.evaluate("window.gaps"))
    told = {
        "written": written,
        "counted": shown_count(page) - before,
        "lag_s": statistics.median(lags[8:] or lags),
        "worst_lag_s": max(lags[8:] or lags),
        "worst_frame_ms": gaps[-1],
        "p99_frame_ms": gaps[int(len(gaps) * 0.99)],
    }
    page.context.close()
    return told


def _lag_s(text: str) -> float:
    found = re.search(r"(\d\d):(\d\d):(\d\d)$", text)
    if found is None:
        return 99.0
    shown = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])
    now = time.localtime()
    return max(0.0, now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec - shown)


def shown_count(page: Any) -> int:
    return int(re.sub(r"\D", "", page.locator(".rows-note").inner_text()) or 0)


# --- the program -----------------------------------------------------------------------------


def run(
    rows: int, store: Path, *, with_live: float, phoenix: str | None = None
) -> tuple[dict[str, list[float]], dict[str, list[float]], float, dict[str, float]]:
    from playwright.sync_api import sync_playwright

    poured_into = store / "poured-into"
    if poured_into.exists():  # today's rows beside September's: half of a chart would have none to brush
        say("filling the store anew: rows were poured into it")
        shutil.rmtree(store / "local")
        poured_into.unlink()
    if not (store / "local" / "bench").is_dir():
        settings.use(
            settings.load(store=str(store), worker=False, retention_days=0, max_store_gb=0)
        )
        fill(open_store(store).project("local", "bench"), rows, Traffic(rows), say)
    traffic = Traffic(rows)
    RANGE[:] = [traffic.start + 8 * 3_600_000_000, traffic.start + 20 * 3_600_000_000]
    words = [" ".join(phrase.split()[:2]) for phrase in traffic.phrases[5:25]]
    chromium = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    with served(store, f"local/bench/{TABLE}") as (address, pid), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        page = f"{address}/local/bench/{TABLE}"
        deadline = time.perf_counter() + 60
        while time.perf_counter() < deadline and not _warm(page):
            time.sleep(0.2)
        took, cpu = measure(browser, page, words, pid)
        if with_live:
            poured_into.touch()
        poured = live(browser, page, store, with_live) if with_live else {}
        memory = resident_mb(pid)
        if phoenix:
            import board_phoenix

            board_phoenix.compare(browser, phoenix, rows, FEED_S, say)
        browser.close()
    return took, cpu, memory, poured


def _warm(page: str) -> bool:
    """Whether the server answers; it begins to keep the table when it starts."""
    import urllib.request

    began = time.perf_counter()
    with urllib.request.urlopen(page.replace("/local/", "/api/local/", 1)) as answer:
        json.load(answer)
    return time.perf_counter() - began < 0.5


def verdict(
    rows: int,
    took: dict[str, list[float]],
    cpu: dict[str, list[float]],
    memory: float,
    poured: dict[str, float],
) -> bool:
    say(f"\n{'':27}{'median':>10}{'worst':>10}{'server CPU':>14}")
    for name, times in took.items():
        used = f"{statistics.median(cpu[name]):>11.0f} ms" if name in cpu else ""
        say(f"{name:27}{statistics.median(times):>7.0f} ms{max(times):>7.0f} ms{used}")
    say(f"{'the server, at most':27}{memory:>7.0f} MB; load {os.getloadavg()[0]:.1f} at the end")
    fine = True
    if poured:
        say(
            f"live: {poured['written']:.0f} rows written by four processes, {poured['counted']:.0f} counted; newest shown {poured['lag_s']:.0f} s behind (worst {poured['worst_lag_s']:.0f}); frames {poured['p99_frame_ms']:.0f} ms at p99, {poured['worst_frame_ms']:.0f} at worst"
        )
        fine = poured["written"] == poured["counted"] and poured["lag_s"] <= 2
    first = statistics.median(took["first render"])
    slowest = max(
        (statistics.median(times), name)
        for name, times in took.items()
        if name not in ("first render", "all panels", "text search, to its end")
    )
    say(
        f"first render {first:.0f} ms (bar {FIRST_BAR_MS}), slowest action {slowest[1]} {slowest[0]:.0f} ms (bar {ACTION_BAR_MS}), server {memory:.0f} MB (bar {MEMORY_BAR_MB}) at {rows:,} rows"
    )
    return fine and first < FIRST_BAR_MS and slowest[0] < ACTION_BAR_MS and memory < MEMORY_BAR_MB


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument(
        "--store", type=Path, help="keep the data here; default: a directory that is deleted"
    )
    options.add_argument(
        "--live",
        type=float,
        default=20,
        metavar="SECONDS",
        help="let rows pour in for so long; 0 leaves it out",
    )
    options.add_argument(
        "--phoenix", metavar="PYTHON", help="of an environment with arize-phoenix, to compare with"
    )
    options.add_argument("--quick", action="store_true", help="50,000 rows, under 45 s")
    options.add_argument("--check", action="store_true", help="exit 1 when a bar is missed")
    chosen = options.parse_args()
    rows, seconds = (50_000, 5.0) if chosen.quick else (chosen.rows, chosen.live)
    store = chosen.store or Path(tempfile.mkdtemp(prefix="llmwatch-board-"))
    try:
        fine = verdict(rows, *run(rows, store, with_live=seconds, phoenix=chosen.phoenix))
    finally:
        if chosen.store is None:
            shutil.rmtree(store, ignore_errors=True)
    return 0 if fine or not chosen.check else 1


if __name__ == "__main__":
    sys.exit(main())
