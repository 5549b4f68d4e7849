"""The forwarder as it runs for everybody: in the worker, a process of its own, which may be killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sending import Sending

import llmwatch
from llmwatch import StreamTable, destination, settings
from llmwatch.forward.subscriber import Forwarding, alone
from llmwatch.store import open_store
from llmwatch.stream import holds
from llmwatch.stream.compact import compact

SOURCE = Path(llmwatch.__file__).parents[1]


class Worker:
    """`python -m llmwatch.worker`, started and killed."""

    def __init__(self, store, idle_s=600):
        env = {**os.environ, "LLMWATCH_WORKER_IDLE_S": str(idle_s), "PYTHONPATH": str(SOURCE)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "llmwatch.worker", str(store)], env=env
        )

    def kill(self):
        assert self.process.poll() is None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self):
        self.process.terminate()
        self.process.wait()


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_worker_killed_again_and_again_sends_every_row_score_and_image_once(home, server):
    image = pytest.importorskip("PIL.Image")
    store, chance = home / "store", random.Random(4)
    llmwatch.init("bot", destination="wandb")
    server.faults.set(status_429=0.05, status_500=0.05, cut=0.05, lost=0.05)
    server.faults.retry_after = "0.1"
    table = StreamTable("local/bot/pictures")
    rows, said, pictures = set(), set(), {}
    worker = Worker(store)
    for n in range(400):
        picture = image.new("RGB", (2, 2), (n % 256, n // 256, 7))
        row_id = table.add({"n": n, "image": picture})
        rows.add(row_id)
        pictures[row_id] = picture
        if n % 4 == 0:
            said.add(table.say("score", "brightness", n / 400, row_id=row_id))
        if n % 130 == 100:
            asked = server.paths.total()
            until(lambda asked=asked: server.paths.total() > asked + 5)
            time.sleep(chance.uniform(0, 0.3))
            worker.kill()
            worker = Worker(store)
    kept = server.kept
    until(
        lambda: set(kept.calls_of("team/bot")) >= rows and set(kept.feedback_of("team/bot")) >= said
    )
    worker.end()
    assert set(kept.calls_of("team/bot")) == rows
    assert set(kept.feedback_of("team/bot")) == said
    assert not [what for what in kept.duplicates if what[0] in {"call", "feedback"}]
    for row_id, picture in pictures.items():
        digest = kept.call("team/bot", row_id)["inputs"]["image"]["files"]["content"]
        assert opened(image, kept.files["team/bot", digest]).tobytes() == picture.tobytes()


def opened(image, content):
    import io

    return image.open(io.BytesIO(content))


def test_a_worker_sends_by_itself_and_ends_when_told(home, server):
    llmwatch.init("bot", destination="wandb")
    row_id = StreamTable("local/bot/answers").add({"a": 1})
    worker = Worker(home / "store")
    until(lambda: server.kept.calls_of("team/bot"))
    worker.end()
    assert set(server.kept.calls_of("team/bot")) == {row_id}
    assert worker.process.returncode == 0


def test_an_idle_worker_ends_by_itself_but_not_before_everything_is_sent(home, server):
    llmwatch.init("bot", destination="wandb")
    row_id = StreamTable("local/bot/answers").add({"a": 1})
    worker = Worker(home / "store", idle_s=2)  # less than a first pass takes
    assert worker.process.wait(120) == 0
    assert set(server.kept.calls_of("team/bot")) == {row_id}


def test_a_tick_returns_while_the_network_hangs(home, server):
    from llmwatch.testing.wandb_server.faults import Trouble

    llmwatch.init("bot", destination="wandb")
    StreamTable("local/bot/answers").log({"a": 1})
    server.faults.add(lambda path, _: Trouble(delay_s=1.5))
    forwarding = Forwarding()
    began = time.monotonic()
    forwarding.tick(open_store(), settings.current())
    forwarding.tick(open_store(), settings.current())
    took = time.monotonic() - began
    asked = server.paths.total()
    server.faults.clear()
    until(
        lambda: (
            server.kept.calls_of("team/bot")
            or not forwarding.tick(open_store(), settings.current())
        )
    )
    forwarding.close()
    assert took < 1.5, "a tick waited for the network"
    assert asked <= 1


def test_two_processes_never_forward_a_project_at_once(home):
    project = open_store().project("local", "bot")
    with alone(project) as first, alone(project) as second:
        assert (first, second) == (True, False)
    with alone(project) as again:
        assert again


def test_a_table_called_forward_is_compacted_while_its_project_is_sent(home):
    table = StreamTable("bot/forward")
    table.log({"n": 1})
    with alone(table.project) as first:
        assert first
        assert compact(table.project, "forward", seal=True).rows == 1


def test_a_project_nobody_wants_sent_costs_a_tick_nothing(home, server):
    StreamTable("local/bot/answers").log({"a": 1})
    forwarding = Forwarding()
    assert forwarding.tick(open_store(), settings.current()) is False
    assert not (destination.path_of(open_store().project("local", "bot")).parent).exists()
    forwarding.close()


def test_a_project_that_is_sent_no_longer_holds_nothing_back(home, server):
    with Sending(server, home / "store") as sending:
        sending.table().log({"a": 1})
        sending.send_all()
        assert holds.needed(sending.project) != holds.Needed()
        llmwatch.finish()
        llmwatch.init("bot", destination="local")
        forwarding = Forwarding()
        forwarding.tick(sending.project.store, settings.current())
        forwarding.close()
        assert holds.needed(sending.project) == holds.Needed()
