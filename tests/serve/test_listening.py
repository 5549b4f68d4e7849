"""Where a server listens, and what it tells its clients of that."""

from __future__ import annotations

import socket

import pytest

from llmwatch.cli import main
from llmwatch.errors import StoreError
from llmwatch.serve.guard import TOKEN_LENGTH
from llmwatch.serve.listening import Address, bound, environment


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8321"),
        ("::1", "http://[::1]:8321"),
        ("box.lan", "http://box.lan:8321"),
        ("0.0.0.0", f"http://{socket.gethostname()}:8321"),
    ],
)
def test_an_address_is_told_as_a_client_asks_it(host, url):
    assert Address(host, 8321).url == url


def test_clients_get_three_variables_and_a_key_of_the_length_they_want():
    open_to_all = environment(Address("127.0.0.1", 80), None)
    assert list(open_to_all) == ["WANDB_BASE_URL", "WF_TRACE_SERVER_URL", "WANDB_API_KEY"]
    assert len(open_to_all["WANDB_API_KEY"]) == TOKEN_LENGTH
    assert environment(Address("127.0.0.1", 80), "t" * 40)["WANDB_API_KEY"] == "t" * 40


def test_any_free_port_is_told():
    listening, address = bound("127.0.0.1", 0)
    with listening:
        assert address.port == listening.getsockname()[1] > 0
        with pytest.raises(StoreError, match="--port 0 takes any that is free"):
            bound("127.0.0.1", address.port)


@pytest.mark.parametrize("port", ["99999", "-5"])
def test_a_port_that_cannot_be_is_an_error_in_words(tmp_path, port, capsys):
    assert main(["serve", f"--port={port}", "--store", str(tmp_path / "store")]) == 1
    assert "cannot listen on" in capsys.readouterr().err


def test_a_weak_token_is_wrong_usage(tmp_path, capsys):
    assert main(["serve", "--token", "short", "--store", str(tmp_path / "store")]) == 2
    assert "at least 16" in capsys.readouterr().err
