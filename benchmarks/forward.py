"""Does everything reach W&B, once, whatever breaks? And does a sample of it still add up?

    python benchmarks/forward.py [--quick] [--check] [--traces N] [--images N]

Records traces, rows with images, feedback and scores, while a worker ships them through Weave's own HTTP client to a
stand-in for W&B (`llmwatch.testing.wandb_server`) that answers 429 and 500, cuts connections and loses answers at
random, and is gone for 30 seconds; the worker is killed with SIGKILL five times. Then everything that was recorded is
looked for at the stand-in by id. The second part samples: every error and every disliked trace has to be there, each
trace whole, and the weights have to add up to what happened.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE))

from llmwatch.testing.wandb_server import WandbServer  # noqa: E402

KILLS = 5
SHARES = {"status_429": 0.05, "status_500": 0.05, "cut": 0.05, "lost": 0.05}


@dataclass
class Recorded:
    """What has to arrive, by id."""

    rows: set[str] = field(default_factory=set)
    feedback: set[str] = field(default_factory=set)
    images: dict[str, bytes] = field(default_factory=dict)
    traces: dict[str, set[str]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    disliked: set[str] = field(default_factory=set)


def main() -> int:
    given = arguments()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as store,
        WandbServer(seed=7) as server,
    ):
        os.environ.update(server.environment)
        os.environ |= {
            "LLMWATCH_STORE": store,
            "LLMWATCH_WORKER": "false",
            "LLMWATCH_DESTINATION": "wandb",
        }
        missed = exactly_once(server, store, given)
        missed += sampled(server, store, given)
    print(
        "; ".join(missed)
        if missed
        else "0 missing, 0 twice, 0 traces in part, weights off by 0: every bar was met"
    )
    return 1 if missed and given.check else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, 5 s of outage")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar is missed")
    parser.add_argument("--traces", type=int)
    parser.add_argument("--images", type=int)
    given = parser.parse_args()
    given.traces = given.traces or (1000 if given.quick else 10_000)
    given.images = given.images or (100 if given.quick else 1000)
    given.outage_s = 5 if given.quick else 30
    return given


# --- everything, once --------------------------------------------------------------------------


def exactly_once(server: WandbServer, store: str, given: argparse.Namespace) -> list[str]:
    import llmwatch

    server.faults.set(**SHARES)
    server.faults.retry_after = "0.2"
    llmwatch.init("shipped")
    worker = Worker(store)
    killing = threading.Thread(target=break_things, args=(server, worker, given), daemon=True)
    began = time.perf_counter()
    killing.start()
    recorded = record(given.traces, given.images, pause=killing.is_alive)
    llmwatch.finish()
    killing.join()
    print(
        f"recorded {len(recorded.rows)} rows, {len(recorded.feedback)} feedback and scores, {len(recorded.images)} images"
    )
    arrived = wait_for(server, recorded, worker)
    took = time.perf_counter() - began
    worker.stop()
    return report_once(server, recorded, worker, took, arrived)


def break_things(server: WandbServer, worker: Worker, given: argparse.Namespace) -> None:
    """Five kills at random moments while it ships, an outage in the middle of them."""
    chance = random.Random(3)
    worker.start()
    for kill in range(KILLS):
        if kill == KILLS // 2:
            server.faults.go_away(given.outage_s)
            time.sleep(given.outage_s / 2)
        busy, patience = server.paths.total(), time.monotonic() + 10
        while server.paths.total() < busy + 8 and time.monotonic() < patience:
            time.sleep(0.01)  # until it is at work; in a short run it may have nothing left to do
        time.sleep(chance.uniform(0.0, 1.0))
        worker.kill()
        worker.start()


class Worker:
    """The store's worker as a process of its own, as it runs for everybody."""

    def __init__(self, store: str) -> None:
        self.store, self.killed = store, 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {
            **os.environ,
            "LLMWATCH_WORKER_IDLE_S": "3600",
            "LLMWATCH_SEGMENT_AGE_S": "2",
            "PYTHONPATH": str(SOURCE),
        }
        command = [sys.executable, "-m", "llmwatch.worker", self.store]
        self._process = subprocess.Popen(command, env=env)

    def kill(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, "the worker ended by itself"
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.killed += 1

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


def record(traces: int, images: int, *, pause: object) -> Recorded:
    """Traces of three rows, some that fail, some with feedback and scores; rows with pictures between them."""
    import numpy as np
    from PIL import Image

    import llmwatch
    from llmwatch import StreamTable, traced
    from llmwatch.tracing import recorder

    recorded, chance = Recorded(), random.Random(1)
    here = recorder.active().project
    pictures = StreamTable("shipped/pictures")

    @traced(kind="retrieval")
    def retrieve(question: str) -> list[str]:
        recorded.rows.add(llmwatch.current_row().id)
        return [f"a passage about {question}", "another"]

    @traced(kind="generation")
    def generate(question: str, passages: list[str]) -> str:
        recorded.rows.add(llmwatch.current_row().id)
        if question.endswith("7"):
            raise ValueError("the model is not there")
        return f"the answer to {question} from {len(passages)} passages"

    @traced
    def answer(question: str) -> str:
        return generate(question, retrieve(question))

    def one(n: int) -> None:
        before = set(recorded.rows)
        row = None
        _, row = answer.call(f"question {n % 100}", __should_raise=False)
        recorded.rows.add(row.id)
        recorded.traces[row.trace_id] = (
            (recorded.rows - before) | {row.id} if traces <= 2000 else set()
        )
        if str(n % 100).endswith("7"):
            recorded.failed.add(row.trace_id)
        if n % 10 == 0:
            thumb = "👎" if n % 20 == 0 else "👍"
            recorded.feedback.add(
                say(here, "feedback", "wandb.reaction.1", {"emoji": thumb}, row.id)
            )
            if thumb == "👎":
                recorded.disliked.add(row.trace_id)
        if n % 5 == 0:
            score = {"flagged": False, "toxicity": 0.01 * (n % 7)}
            recorded.feedback.add(say(here, "score", "toxicity", score, row.id))

    every = max(1, traces // max(images, 1))
    for n in range(traces):
        one(n)
        if n % every == 0 and len(recorded.images) < images:
            pixels = np.frombuffer(chance.randbytes(12 * 12 * 3), "uint8").reshape(12, 12, 3)
            picture = Image.fromarray(pixels)
            row_id = pictures.add({"n": n, "image": picture, "caption": f"picture {n}"})
            recorded.images[row_id] = pixels.tobytes()
            recorded.rows.add(row_id)
        if n % 50 == 0 and callable(pause) and pause():
            time.sleep(0.1)
    return recorded


def say(project: object, kind: str, name: str, value: object, row_id: str) -> str:
    from llmwatch.stream import events

    return events.add(project, kind=kind, name=name, value=value, row_id=row_id, table="traces")


def wait_for(
    server: WandbServer, recorded: Recorded, worker: Worker, stalled_s: float = 120
) -> bool:
    """True when everything arrived; False when nothing came for `stalled_s`, however long the rest took."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < stalled_s:
        calls = set(server.kept.calls_of("team/shipped"))
        said = set(server.kept.feedback_of("team/shipped"))
        if recorded.rows <= calls and recorded.feedback <= said:
            time.sleep(2)  # what is sent twice would come now
            return True
        if len(calls) + len(said) != seen:
            seen, since = len(calls) + len(said), time.monotonic()
        time.sleep(0.2)
    return False


def report_once(
    server: WandbServer, recorded: Recorded, worker: Worker, took: float, arrived: bool
) -> list[str]:
    calls, said = server.kept.calls_of("team/shipped"), server.kept.feedback_of("team/shipped")
    wrong_images = [
        row_id
        for row_id, pixels in recorded.images.items()
        if image_at(server, calls.get(row_id)) != pixels
    ]
    duplicates = {
        what: n for what, n in server.kept.duplicates.items() if what[0] in {"call", "feedback"}
    }
    early = early_feedback(server, said)
    figures = {
        "rows missing": len(recorded.rows - set(calls)),
        "rows that nobody recorded": len(set(calls) - recorded.rows),
        "feedback and scores missing": len(recorded.feedback - set(said)),
        "images missing or changed": len(wrong_images),
        "rows or feedback that arrived twice": len(duplicates),
    }
    print(
        f"worker killed {worker.killed} times; faults that struck: {dict(sorted(server.faults.counts.items()))}"
    )
    print(
        f"{len(calls)} calls, {len(said)} feedback, {len(server.kept.files)} files at the stand-in after {took:.0f} s"
    )
    print("requests:", dict(server.paths.most_common(6)), f"; feedback before its row: {early}")
    for name, count in figures.items():
        print(f"{name}: {count}")
    return [f"{name}: {count}" for name, count in figures.items() if count] + (
        [] if arrived else ["not all arrived"]
    )


def early_feedback(server: WandbServer, said: dict[str, dict[str, object]]) -> int:
    order = {what: n for n, what in enumerate(server.kept.arrivals)}
    return sum(
        order[("feedback", feedback_id)]
        < order.get(("call", str(one["weave_ref"]).rpartition("/")[2]), -1)
        for feedback_id, one in said.items()
    )


def image_at(server: WandbServer, call: dict[str, object] | None) -> bytes | None:
    import io

    from PIL import Image

    if call is None:
        return None
    digest = call["inputs"]["image"]["files"]["content"]
    content = server.kept.files.get(("team/shipped", digest))
    return None if content is None else Image.open(io.BytesIO(content)).tobytes()


# --- a sample that adds up -----------------------------------------------------------------------


def sampled(server: WandbServer, store: str, given: argparse.Namespace) -> list[str]:
    import llmwatch
    from llmwatch import destination, settings
    from llmwatch.forward.forwarder import Forwarder
    from llmwatch.forward.sampler import AdaptiveSampler
    from llmwatch.store import open_store

    server.faults.clear()
    sampler = AdaptiveSampler(base_rate=0.05, error_rate_threshold=0.2, boost=4)
    llmwatch.init("sampled", sampler=sampler)
    recorded = record(min(given.traces, 2000), 0, pause=None)
    llmwatch.finish()
    project = open_store(store).project("local", "sampled")
    forwarder = Forwarder(project, settings.load(), destination.read(project))
    began = time.perf_counter()
    while forwarder.run(seconds=60, settle=True):
        pass
    took = time.perf_counter() - began
    print(f"sampled {len(recorded.traces)} traces in {took:.1f} s: {forwarder.state.counts()}")
    forwarder.close()
    return report_sampled(server, recorded)


def report_sampled(server: WandbServer, recorded: Recorded) -> list[str]:
    calls = server.kept.calls_of("team/sampled")
    whole: dict[str, set[str]] = {}
    weights: dict[str, float] = {}
    for call_id, call in calls.items():
        whole.setdefault(call["trace_id"], set()).add(call_id)
        weights[call["trace_id"]] = call["attributes"]["llmwatch"]["sampling"]["weight"]
    torn = [trace for trace, ids in whole.items() if ids != recorded.traces[trace]]
    total = sum(weights.values())
    figures = {
        "errors missing": len(recorded.failed - set(whole)),
        "disliked missing": len(recorded.disliked - set(whole)),
        "traces in part": len(torn),
        "weights off the count of traces by": total - len(recorded.traces),
        "weights off the count of errors by": sum(weights.get(t, 0) for t in recorded.failed)
        - len(recorded.failed),
    }
    print(f"{len(whole)} of {len(recorded.traces)} traces sent, standing for {total:g}")
    for name, count in figures.items():
        print(f"{name}: {count:g}")
    return [f"{name}: {count:g}" for name, count in figures.items() if count]


if __name__ == "__main__":
    sys.exit(main())
