"""A store with rows and metrics in a project whose settings file asks for a wandb run, and a stand-in for W&B."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from run_server import RunServer

from llmwatch import clock, settings
from llmwatch.stream.table import StreamTable
from llmwatch.testing import temporary_store
from llmwatch.watch.sinks.wandb_sink import WandbSink

MINUTE_US = 60_000_000


@pytest.fixture
def server(monkeypatch):
    with RunServer() as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)
        yield started


class Shop:
    """A project `shop` whose worker runs once when it is told to."""

    def __init__(self, store, root: Path) -> None:
        self.store, self.root = store, root
        self.traces = StreamTable("shop/traces", store=store.root)
        self.metrics = StreamTable("shop/metrics", store=store.root)
        self.drift = StreamTable("shop/drift", store=store.root)
        self.midnight = clock.now_us() // 86_400_000_000 * 86_400_000_000

    def ask(self, text: str) -> None:
        (self.root / "llmwatch.toml").write_text(f'project = "shop"\n{text}', encoding="utf-8")

    def tell(self, minute: int, *, set_="traffic", group="{}", closed=True, **values) -> int:
        """A window's row of `metrics`; names are given with `__` for `/`."""
        start = self.midnight + minute * MINUTE_US
        named = {name.replace("__", "/"): value for name, value in values.items()}
        self.metrics.log(
            {
                "set": set_, "table": "traces", "window_start": start, "window_s": 60,
                "group": group, "n": 3, "closed": closed, **named,
            }
        )  # fmt: skip
        return start

    def request(self, question: str, **more) -> str:
        return self.traces.add(
            {
                "question": question,
                "answer": f"about {question}",
                "latency_ms": 12.5,
                "tokens": 7,
                **more,
            }
        )

    def send(self) -> None:
        WandbSink().finish(self.store, settings.current())

    def directories(self) -> list[Path]:
        return sorted(self.store.project("local", "shop").path.glob("wandb/offline-run-*"))

    def sync(self) -> str:
        """`wandb sync` of every offline directory, as a person would."""
        wandb = Path(sys.executable).parent / "wandb"
        done = subprocess.run(
            [wandb, "sync", *self.directories()],
            capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "HOME": str(self.root), "WANDB_DIR": str(self.root)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def shop(tmp_path, monkeypatch):
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))  # the child starts elsewhere
    with temporary_store(project="shop") as store:
        yield Shop(store, root)


def png(colour) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(buffer, "PNG")
    return buffer.getvalue()
