"""Nothing leaves the machine that nobody asked for, and what is asked for is remembered without a key."""

from __future__ import annotations

import os
import stat

import pytest

import llmwatch
from llmwatch import destination, settings
from llmwatch.store import open_store
from llmwatch.testing import temporary_store

LOGIN = "machine api.wandb.ai\n  login user\n  password 0123456789abcdef0123456789abcdef01234567\n"


@pytest.fixture(autouse=True)
def _at_home(home):
    return home


def wanted(name="bot"):
    return destination.read(open_store().project("local", name))


def log_in(home):
    netrc = home / "home" / ".netrc"
    netrc.parent.mkdir(exist_ok=True)
    netrc.write_text(LOGIN)
    netrc.chmod(0o600)


def test_by_default_nothing_leaves_the_machine(capsys):
    llmwatch.init("bot")
    assert "nothing leaves this machine" in capsys.readouterr().err
    assert not wanted().on


def test_a_key_in_the_environment_alone_sends_nothing_and_says_how_to(monkeypatch, capsys):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    llmwatch.init("bot")
    said = capsys.readouterr().err
    assert "nothing leaves this machine" in said
    assert "destination='wandb'" in said
    assert not wanted().on


def test_a_key_counts_when_auto_was_said(monkeypatch, capsys):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    llmwatch.init("bot", destination="auto")
    assert "sent by the worker to" in capsys.readouterr().err
    assert wanted().on


def test_a_login_is_enough_for_auto(home, capsys):
    log_in(home)
    llmwatch.init("bot")
    assert "you are logged in" in capsys.readouterr().err
    assert wanted().on


@pytest.mark.parametrize("said", ["wandb", "both"])
def test_init_says_in_one_line_where_rows_go_and_asks_nothing_of_the_network(
    monkeypatch, capsys, said
):
    import socket

    def refuse(*_args, **_options):
        raise AssertionError("init asked the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    llmwatch.init("bot", destination=said)
    (line,) = capsys.readouterr().err.splitlines()
    assert "sent by the worker to <your default entity>/bot at https://api.wandb.ai" in line


def test_without_credentials_init_says_that_rows_wait(capsys):
    llmwatch.init("team/bot", destination="wandb")
    assert (
        "team/bot at https://api.wandb.ai, which waits for `wandb login`" in capsys.readouterr().err
    )


def test_offline_mode_holds_rows_back(monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "offline")
    llmwatch.init("bot", destination="wandb")
    assert "waits for the end of WANDB_MODE=offline" in capsys.readouterr().err
    assert wanted().paused


@pytest.mark.parametrize(
    ("name", "value"), [("WANDB_MODE", "disabled"), ("WEAVE_DISABLED", "true")]
)
def test_a_process_that_is_switched_off_asks_for_nothing(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    llmwatch.init("bot", destination="wandb")
    assert not wanted().on


def test_only_an_explicit_local_takes_an_earlier_wish_back(capsys):
    llmwatch.init("bot", destination="wandb")
    llmwatch.finish()
    llmwatch.init("bot")  # nobody is logged in: auto is local, and no word against the earlier wish
    assert wanted().on
    assert "meant for" in capsys.readouterr().err.splitlines()[-1]
    llmwatch.init("bot", destination="local")
    assert not wanted().on


def test_the_note_is_for_its_owner_only_and_holds_no_key(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    llmwatch.init("bot", destination="wandb")
    path = destination.path_of(open_store().project("local", "bot"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "k" * 40 not in path.read_text()


def test_a_self_hosted_address_is_remembered_for_the_worker(monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.com/")
    llmwatch.init("bot", destination="wandb")
    assert wanted().base_url == "https://wandb.example.com"
    assert wanted().trace_url == "https://wandb.example.com/traces"


def test_a_table_without_init_is_sent_only_where_that_was_said(monkeypatch):
    llmwatch.StreamTable("local/one/answers")
    monkeypatch.setenv("LLMWATCH_DESTINATION", "wandb")
    settings.use(None)
    llmwatch.StreamTable("local/two/answers")
    assert not wanted("one").on
    assert wanted("two").on


def test_looking_at_a_table_sends_nothing_of_it(monkeypatch):
    from llmwatch.cli import main

    llmwatch.StreamTable("local/bot/answers").log({"a": 1})
    monkeypatch.setenv("LLMWATCH_DESTINATION", "wandb")
    settings.use(None)
    assert main(["tail", "local/bot/answers"]) == 0
    assert not wanted().on


def test_a_test_store_is_never_sent(monkeypatch):
    monkeypatch.setenv("LLMWATCH_DESTINATION", "wandb")
    with temporary_store() as store:
        llmwatch.init("bot")
        llmwatch.StreamTable("local/bot/answers").log({"a": 1})
        assert not destination.read(store.project("local", "bot")).on
        llmwatch.finish()
    assert os.environ["LLMWATCH_DESTINATION"] == "wandb"


def test_the_sampler_comes_from_init_or_from_the_settings_file(home):
    from llmwatch import AdaptiveSampler

    llmwatch.init("bot", destination="wandb", sampler=AdaptiveSampler(base_rate=0.2))
    assert wanted().sampler["base_rate"] == 0.2
    (home / "llmwatch.toml").write_text(
        '[forward]\nbacklog_gb = 1\nsampler = { base_rate = 0.05, by = "model" }\n'
    )
    llmwatch.init("other", destination="wandb")
    assert wanted("other").options == {"backlog_gb": 1.0}
    assert (wanted("other").sampler["base_rate"], wanted("other").sampler["by"]) == (0.05, "model")


def test_a_wrong_forward_table_is_said(home):
    (home / "llmwatch.toml").write_text("[forward]\nsample = 1\n")
    with pytest.raises(llmwatch.SettingsError, match="sample"):
        llmwatch.init("bot", destination="wandb")
