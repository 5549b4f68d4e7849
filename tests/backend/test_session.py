from __future__ import annotations

import os
import sys

import pytest
import weave
from weave.trace.context import weave_client_context
from weave.trace.serialization.custom_objs import UnsafeDeserializationError

import llmwatch
from llmwatch.backend import seam, session
from llmwatch.errors import SettingsError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """No account, and a store of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("LLMWATCH_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    llmwatch.finish()


@weave.op
def double(x):
    return x * 2


def recorded(client):
    client.flush()
    return [call.inputs["x"] for call in client.get_calls()]


def test_init_makes_a_weave_client_the_client_of_this_process(home):
    client = llmwatch.init("bot")
    assert weave_client_context.get_weave_client() is client
    assert client.project_id == "local/bot"
    assert double(2) == 4
    assert recorded(client) == [2]


def test_init_says_in_one_line_where_rows_go_and_what_is_kept(home, capsys):
    llmwatch.init("bot", retention_days=7)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    for part in ("local/bot", str(home / "store"), "redacted", "every call is recorded", "kept 7 days"):
        assert part in said.err


def test_init_again_changes_nothing(home, capsys):
    client = llmwatch.init("bot")
    capsys.readouterr()
    assert llmwatch.init("bot") is client
    assert llmwatch.init("local/bot") is client
    assert llmwatch.init() is not client  # the project of the settings is another
    assert capsys.readouterr().err.count("\n") == 1


def test_init_moves_to_another_project(home):
    first = llmwatch.init("one")
    double(1)
    second = llmwatch.init("team/two")
    double(2)
    assert second.project_id == "team/two"
    assert recorded(second) == [2]
    assert recorded(first) == [1]


def test_what_was_published_in_one_store_is_published_again_in_another(home):
    class Thing(weave.Object):
        n: int

    thing, table = Thing(n=1), weave.Dataset(name="rows", rows=[{"q": 1}])
    for place in ("one", "two"):
        client = llmwatch.init("bot", store=home / place)
        double(1)
        refs = [weave.publish(thing, "thing"), weave.publish(table, "rows")]
        client.flush()
        assert client.server.holds("local/bot", "double", "latest")
        assert refs[0].get().n == 1
        assert [dict(row) for row in refs[1].get().rows] == [{"q": 1}]


def test_a_file_that_is_read_while_it_is_sent_is_waited_for(home):
    import threading

    server = llmwatch.init("bot").server
    from llmwatch.backend import digests

    sent = {"project_id": "local/bot", "file": ("f", b"late")}
    timer = threading.Timer(0.1, server.file_create, [sent])
    timer.start()
    asked = {"project_id": "local/bot", "digest": digests.of_file(b"late")}
    assert server.file_content_read(asked).content == b"late"
    timer.join()


def test_settings_given_once_stay_when_it_moves_on(home):
    llmwatch.init("one", store=home / "elsewhere", retention_days=3)
    llmwatch.init("two")
    assert session._session.settings.retention_days == 3
    assert session._session.project.store.root == home / "elsewhere"


def test_after_finish_nothing_is_recorded(home):
    client = llmwatch.init("bot")
    llmwatch.finish()
    assert weave_client_context.get_weave_client() is None
    double(1)
    assert recorded(client) == []
    assert recorded(llmwatch.init("bot")) == []


@pytest.mark.parametrize("name", ["bot", "local/bot"])
def test_weave_init_of_the_same_project_is_our_client(home, name):
    client = llmwatch.init("bot")
    assert weave.init(name) is client


@pytest.mark.parametrize(("name", "project"), [("other", "local/other"), ("team/x", "team/x")])
def test_weave_init_of_another_project_moves_our_client_there(home, name, project):
    llmwatch.init("bot")
    client = weave.init(name, attributes={"a": 1})
    assert client.project_id == project
    assert client.attributes == {"a": 1}
    double(1)
    assert recorded(client) == [1]


def test_weave_init_without_an_account_is_ours_even_when_it_comes_first(home):
    client = weave.init("bot")
    assert client.project_id == "local/bot"
    assert llmwatch.init("bot") is client


def test_weave_gets_its_own_functions_back(home):
    llmwatch.init("bot")
    module = sys.modules["weave.trace.weave_init"]
    ours = module.init_weave
    seam.remove()
    try:
        assert module.init_weave is not ours
        assert module.init_weave.__module__ == "weave.trace.weave_init"
    finally:
        seam.install()
    assert module.init_weave is not ours


def test_a_ref_can_be_read_before_init(home):
    llmwatch.init("bot")
    ref = weave.publish({"v": 1}, "thing")
    assert ref.digest
    llmwatch.finish()
    assert weave.ref(ref.uri).get()["v"] == 1
    assert weave_client_context.get_weave_client() is None


def test_a_setting_that_does_not_exist_is_refused(home):
    with pytest.raises(SettingsError, match="retention_days"):
        llmwatch.init("bot", retention_day=3)


@pytest.mark.parametrize(
    ("name", "value"), [("WEAVE_DISABLED", "true"), ("WANDB_MODE", "disabled")]
)
def test_the_switches_of_weave_and_wandb_turn_recording_off(home, monkeypatch, capsys, name, value):
    client = llmwatch.init("bot")
    double(1)
    llmwatch.finish()
    monkeypatch.setenv(name, value)
    client = llmwatch.init("bot")
    assert "off" in capsys.readouterr().err.splitlines()[-1]
    assert double(2) == 4
    assert recorded(client) == [1]
    llmwatch.finish()
    monkeypatch.delenv(name)
    assert "WEAVE_DISABLED" not in os.environ
    double(3)
    client = llmwatch.init("bot")
    double(4)
    assert recorded(client) == [1, 4]


def test_stored_code_does_not_run_on_load_unless_it_is_allowed(home):
    @weave.op
    def double(x):
        return x * 2

    llmwatch.init("bot")
    ref = weave.publish(double, "double")
    assert ref.digest
    with pytest.raises(
        UnsafeDeserializationError, match=r"llmwatch\.init\(.*allow_stored_code=True\)"
    ):
        weave.ref(ref.uri).get()
    llmwatch.init("bot", allow_stored_code=True)
    assert weave.ref(ref.uri).get()(4) == 8
    llmwatch.init("bot", allow_stored_code=False)
    with pytest.raises(UnsafeDeserializationError):
        weave.ref(ref.uri).get()


def test_data_loads_whether_stored_code_may_run_or_not(home):
    from datetime import datetime, timezone

    llmwatch.init("bot")
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert weave.publish({"at": at}, "moment").get()["at"] == at


def test_an_error_of_weaves_stays_weaves_outside_a_session(home):
    from weave.trace.serialization import custom_objs

    assert custom_objs.is_safe_to_decode("Op", allow_unsafe=False) is False
    assert custom_objs.is_safe_to_decode("Op", allow_unsafe=True) is True


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_records_and_reads_with_a_client_of_its_own(home):
    client = llmwatch.init("bot")
    double(1)
    assert recorded(client) == [1]
    pid = os.fork()
    if pid == 0:  # pragma: no cover - another process
        code = 1
        try:
            own = weave_client_context.get_weave_client()
            double(2)
            code = 0 if own is not client and sorted(recorded(own)) == [1, 2] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    double(3)
    assert sorted(recorded(client)) == [1, 2, 3]


def _child_of_multiprocessing(x):
    double(x)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_multiprocessing_loses_nothing_when_it_ends(home):
    import multiprocessing

    client = llmwatch.init("bot")
    double(0)
    client.flush()
    process = multiprocessing.get_context("fork").Process(
        target=_child_of_multiprocessing, args=(7,)
    )
    process.start()
    process.join()
    assert process.exitcode == 0
    assert sorted(recorded(client)) == [0, 7]


def test_threads_that_init_the_same_project_get_one_client(home):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        clients = set(pool.map(lambda _: id(llmwatch.init("bot")), range(16)))
    assert len(clients) == 1
