from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from llmwatch import StreamTable, settings
from llmwatch.demo import incidents, place, traffic, two_weeks
from llmwatch.demo.traffic import DAY_US
from llmwatch.errors import StoreError
from llmwatch.stream.query import Reader
from llmwatch.watch import history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmwatch.demo.place import Place
    from llmwatch.watch.messages import Message

WEDNESDAY = 1_795_046_400_000_000 // DAY_US * DAY_US
PLAN = two_weeks.Plan(WEDNESDAY, seed=1, a_day=120, incidents=traffic.two_weeks(WEDNESDAY))


@contextmanager
def quietly(_what: str, _count: int) -> Iterator[Callable[[int], None]]:
    yield lambda _: None


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, list[Message]]]:
    """Two weeks that were played: fewer questions than in the demo, the same incidents."""
    directory = tmp_path_factory.mktemp("demo")
    with place.made_anew(directory) as here, place.secluded(here):
        messages = two_weeks.replay(PLAN, here, quietly)
        incidents.board().save(store=here.store.root)
        yield here, messages


@pytest.fixture
def table(replayed: tuple[Place, list[Message]]) -> StreamTable:
    return StreamTable("helpdesk/traces")


def test_each_incident_raises_its_alert_once_and_nothing_else_does(replayed: Any) -> None:
    here, messages = replayed
    assert [one.rule for one in messages] == [tale.rule for tale in incidents.TALES]
    reader = Reader(here.project)
    fired = Counter(alert.rule for alert in history.alerts(reader))
    reader.close()
    assert fired == Counter(tale.rule for tale in incidents.TALES)


def test_each_alert_is_told_of_its_own_incident(replayed: Any) -> None:
    _, messages = replayed
    for one in incidents.told(PLAN.incidents, messages):
        assert one.times == 1
        assert one.message is not None
        since = one.message.about[0].since_us
        assert one.incident.start_us < since <= one.incident.start_us + 2 * DAY_US


def test_every_question_has_its_trace_person_and_time(table: StreamTable) -> None:
    requests = PLAN.requests()
    rows = table.query(
        "SELECT epoch_us(started_at), user_id, session_id, version, attributes->>'tenant', "
        "inputs->>'question', latency_ms FROM traces WHERE parent_id IS NULL ORDER BY started_at"
    ).rows
    told = [(r.at_us, r.user_id, r.session_id, r.version, r.tenant, r.question) for r in requests]
    assert sorted(row[:6] for row in rows) == sorted(told)


def test_a_slow_model_is_slow_in_each_row_around_it(table: StreamTable) -> None:
    rows = table.query(
        "SELECT r.latency_ms, c.latency_ms, epoch_us(c.started_at) >= epoch_us(r.started_at), "
        "epoch_us(c.ended_at) <= epoch_us(r.ended_at) FROM traces r JOIN traces c "
        "ON c.trace_id = r.id AND c.display_name = 'openai.chat.completions.create'"
    ).rows
    assert len(rows) > 1000
    inside = sum(outer > inner and begins and ends for outer, inner, begins, ends in rows)
    assert (
        inside / len(rows) > 0.98
    )  # not all: the machine's clock may be set while a take is recorded
    assert max(inner for _, inner, _, _ in rows) > 4000


def test_what_was_played_looks_like_what_is_recorded_live(replayed: Any) -> None:
    """The columns of each step, and the keys of what they hold, are those of a real call."""
    here, _ = replayed
    played = _shapes(here, until_us=PLAN.end_us)
    with _live(here, questions=3):
        pass
    live = _shapes(here, since_us=PLAN.end_us)
    assert live.keys() == {"answer", "retrieve", "generate", "openai"}
    assert played == live


def _shapes(here: Place, since_us: int = 0, until_us: int = 1 << 62) -> dict[str, Any]:
    """For each step of a trace of an ordinary question, which columns are known and which keys they hold."""
    reader = Reader(here.project)
    rows = reader.execute(
        "SELECT * FROM traces WHERE epoch_us(ts) >= ? AND epoch_us(ts) < ? AND trace_id IN (SELECT trace_id FROM "
        "traces GROUP BY 1 HAVING count(*) = 4) ORDER BY ts DESC LIMIT 40",
        [since_us, until_us],
        tables=("traces",),
    ).dicts()
    reader.close()
    found = {}
    for row in rows:
        step = row["op_name"].rsplit("/", 1)[-1].partition(".")[0].partition(":")[0]
        found[step] = {name: _shape(value) for name, value in row.items() if name not in _DERIVED}
    return found


_DERIVED = {"cost_usd", "writer", "seq"}  # the first comes with the score, which is later


def _shape(value: Any) -> Any:
    """What kind of thing it is, and of a JSON object its keys."""
    if isinstance(value, str) and value[:1] == "{":
        return sorted(json.loads(value))
    return type(value).__name__


@contextmanager
def _live(here: Place, questions: int) -> Iterator[None]:
    from llmwatch.demo.live import going_on

    with going_on(PLAN, here, pace=20) as live:
        began = time.monotonic()
        live.run(
            lambda: live.answered >= questions or time.monotonic() > began + 60, lambda _: None
        )
    assert live.answered >= questions
    yield


def test_what_people_said_and_what_scorers_said_is_there(table: StreamTable) -> None:
    said = dict(table.query("SELECT kind || ' ' || name, count(*) FROM events GROUP BY 1").rows)
    requests = PLAN.requests()
    answered = sum(not request.attack for request in requests)
    for scorer in ("token_cost", "confidence"):
        assert said[f"score {scorer}"] >= answered
    assert said["score safety"] >= len(requests)
    assert said["label resolved"] > 0.4 * answered
    assert said["feedback wandb.reaction.1"] > 0.05 * answered


def test_scores_are_the_ones_that_the_worker_would_write(replayed: Any) -> None:
    """By their ids: it finds them there, and scores nothing twice."""
    from llmwatch.demo.rehearsal import scorers
    from llmwatch.scoring import results

    here, _ = replayed
    reader = Reader(here.project)
    rows = reader.execute("SELECT row_id, name FROM scores", tables=("_events",)).rows
    specs = {spec.name: spec for spec in scorers(here.project)}
    there = results.scores_there(reader, {row for row, _ in rows}, list(specs.values()))
    reader.close()
    assert there == set(rows)


def test_the_board_of_the_demo_answers_every_panel(replayed: Any) -> None:
    from llmwatch.demo import live

    here, _ = replayed
    with live.board(here, 0) as address:
        at = f"{address}/api/local/helpdesk/traces"
        spec = json.loads(_read(f"{at}/boards/{incidents.BOARD}"))
        asked = {"range": "all", "panels": [p for p in spec["panels"] if p["kind"] != "rows"]}
        _, *answers = _read(f"{at}/ask", json.dumps(asked).encode()).splitlines()
    told = [json.loads(line) for line in answers]
    assert len(told) == len(asked["panels"])
    assert [one for one in told if "error" in one] == []


def _read(address: str, sent: bytes | None = None) -> bytes:
    request = urllib.request.Request(address, sent, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        read: bytes = response.read()
        return read


def test_links_of_the_story_show_the_time_of_the_incident(replayed: Any) -> None:
    _, messages = replayed
    for one in incidents.told(PLAN.incidents, messages):
        first, last = map(int, one.path.rpartition("range=")[2].split("-"))
        assert first < one.incident.start_us < last <= one.incident.start_us + 2 * DAY_US


# --- where it happens --------------------------------------------------------------------


def test_a_directory_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not delete")
    with pytest.raises(StoreError, match="no demo made it"), place.made_anew(tmp_path):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "do not delete"


def test_a_second_demo_does_not_take_the_directory_of_one_that_runs(tmp_path: Path) -> None:
    with place.made_anew(tmp_path / "demo"):
        program = (
            "from llmwatch.demo.place import made_anew; import sys\n"
            "with made_anew(sys.argv[1]): pass"
        )
        second = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "demo")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert "a demo runs in" in second.stderr


def test_a_second_demo_begins_anew(tmp_path: Path) -> None:
    for _ in range(2):
        with place.made_anew(tmp_path / "demo") as here, place.secluded(here):
            table = StreamTable("helpdesk/answers")
            table.log({"question": "Where is my order?"})
            assert table.count() == 1
            table.finish()


def test_nothing_of_the_machine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_PROJECT", "OPENAI_BASE_URL", "LLMWATCH_RETENTION_DAYS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LLMWATCH_DESTINATION", "wandb")
    (tmp_path / "llmwatch.toml").write_text("retention_days = 2\n")
    monkeypatch.chdir(tmp_path)
    with place.made_anew(tmp_path / "demo") as here, place.secluded(here):
        now = settings.current()
        assert (now.destination, now.project, now.retention_days) == ("local", "helpdesk", 90)
        assert [name for name in os.environ if name.startswith(("WANDB_", "OPENAI_"))] == []
    assert os.environ["WANDB_API_KEY"] == "1"
    assert Path.cwd() == tmp_path


# --- the command -------------------------------------------------------------------------


def test_nothing_is_left_when_it_is_ended_in_the_middle(tmp_path: Path) -> None:
    with _begun(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 130
    assert _nobody_is_left(tmp_path)


@pytest.mark.slow
def test_the_whole_of_it_goes_on_until_it_is_interrupted(tmp_path: Path) -> None:
    said = []
    with _begun(tmp_path, "--port", "0", "--for", "600") as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if "goes on" in line:
                break
        time.sleep(3)
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=90)
    told = "".join(said)
    assert process.returncode == 0, told + rest
    assert all(tale.rule in told for tale in incidents.TALES)
    assert "no alert" not in told
    assert "questions were answered live" in rest
    assert _nobody_is_left(tmp_path)


def _begun(tmp_path: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "llmwatch", "demo", "--dir", str(tmp_path / "demo"), *(more or ("--headless",))],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def _nobody_is_left(tmp_path: Path) -> bool:
    """Whether every process of that store is gone, which may take one that ends a moment."""
    psutil = pytest.importorskip("psutil")
    for _ in range(100):
        if not any(
            _is_of(process, str(tmp_path), psutil.Error) for process in psutil.process_iter()
        ):
            return True
        time.sleep(0.1)
    return False


def _is_of(process: Any, place: str, gone: type[Exception]) -> bool:
    try:
        return place in process.environ().get("LLMWATCH_STORE", "")
    except (gone, OSError):
        return False


def test_the_demo_says_what_a_wrong_speed_is(capsys: pytest.CaptureFixture[str]) -> None:
    from llmwatch.cli import main

    with pytest.raises(SystemExit):
        main(["demo", "--speed", "0"])
    assert "speed" in capsys.readouterr().err
