"""Where the store is and where things lie in it."""

from __future__ import annotations

import os
import stat
import sys

import pytest

from llmwatch import settings
from llmwatch.errors import InvalidName, StoreError
from llmwatch.store import EVENTS, ensure, open_store


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _clean(tmp_path, monkeypatch):
    monkeypatch.delenv("LLMWATCH_STORE", raising=False)
    before = settings.use(None)
    yield
    settings.use(before)


def test_a_store_is_made_for_its_owner_only_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        store = open_store(tmp_path / "deep" / "store")
    finally:
        os.umask(before)
    assert (mode(store.root), mode(store.root.parent)) == (0o700, 0o700)


def test_the_environment_names_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMWATCH_STORE", str(tmp_path / "named"))
    assert open_store().root == tmp_path / "named"


def test_in_a_project_the_store_is_at_its_root_and_kept_out_of_git(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "src" / "app").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "src" / "app")
    store = open_store()
    assert store.root == tmp_path / ".llmwatch"
    assert (store.root / ".gitignore").read_text() == "*\n"


@pytest.mark.skipif(sys.platform != "linux", reason="XDG is Linux's")
def test_outside_a_project_the_store_is_in_the_users_data_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "project_root", lambda start=None: None)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    store = open_store()
    assert store.root == tmp_path / "data" / "llmwatch"
    assert not (store.root / ".gitignore").exists()


def test_a_store_that_cannot_be_made_says_where_and_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot make the store .*file/store.*LLMWATCH_STORE"):
        open_store(tmp_path / "file" / "store")


def test_an_address_is_not_a_directory():
    with pytest.raises(StoreError, match="s3://bucket"):
        open_store("s3://bucket")


def test_windows_is_refused_with_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(StoreError, match="WSL"):
        open_store(tmp_path)


def test_asking_for_paths_creates_nothing(tmp_path):
    project = open_store(tmp_path).project("acme", "bot")
    paths = {
        "spool/t": project.spool("t"),
        "spool/_events": project.spool(EVENTS),
        "tables/t": project.lake("t"),
        "events": project.lake(EVENTS),
        "quarantine/t": project.quarantine("t"),
        "locks/t.lock": project.lock("t"),
        "media": project.media,
        "objects": project.objects,
    }
    for below, path in paths.items():
        assert path == tmp_path / "acme" / "bot" / below
    assert not project.path.exists()


def test_a_name_cannot_lead_out_of_the_store(tmp_path):
    store = open_store(tmp_path)
    with pytest.raises(InvalidName):
        store.project("..", "x")
    with pytest.raises(InvalidName):
        store.project("a", "b").spool("../../x")


def test_tables_are_those_with_a_spool_or_a_lake(tmp_path):
    store = open_store(tmp_path)
    project = store.project("acme", "bot")
    for directory in (
        project.spool("b"),
        project.lake("a"),
        project.spool(EVENTS),
        project.lake(EVENTS),
    ):
        ensure(directory)
    ensure(project.path / "tables" / ".tmp")
    assert project.tables() == ["a", "b"]
    assert [p.id for p in store.projects()] == ["acme/bot"]
    assert store.project("acme", "other").tables() == []
