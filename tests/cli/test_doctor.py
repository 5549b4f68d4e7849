"""`llmwatch doctor` on installations and stores that are broken the way they break."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmwatch import StreamTable, destination, settings
from llmwatch.cli import checks, installation, main
from llmwatch.store import Store
from llmwatch.testing import temporary_store
from llmwatch.worker import lock


@pytest.fixture
def store():
    with temporary_store() as store:
        StreamTable("bot/answers").log({"question": "hi"})
        yield store


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Say that these distributions are installed, before those that are."""

    def say(name: str, version: str, *lines: str) -> None:
        folder = tmp_path / "site" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        told = [f"Name: {name}", f"Version: {version}", *lines]
        (folder / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", *told, "", ""]))

    monkeypatch.syspath_prepend(tmp_path / "site")
    return say


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A directory with settings files, which is where the process is."""
    monkeypatch.setattr(installation, "IMPORTED", ("orjson",))  # all of them take seconds
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMWATCH_STORE", raising=False)
    before = settings.use(None)
    yield tmp_path
    settings.use(before)


def levels(findings):
    return {finding.about: finding.level for finding in findings}


def said(findings, about):
    return " ".join(finding.said for finding in findings if finding.about == about)


# --- packages ----------------------------------------------------------------------------


def test_a_package_that_is_too_old_or_missing_is_wrong_and_the_command_is_there(installed):
    installed("llmwatch", "9", "Requires-Dist: orjson>=3.11", "Requires-Dist: no-such-thing>=2")
    installed("orjson", "3.8")
    found = installation.packages()
    assert found.level == "wrong"
    assert "orjson is 3.8, and has to be >=3.11" in found.said
    assert "no-such-thing is missing" in found.said
    assert found.said.endswith('pip install "orjson>=3.11" "no-such-thing>=2"')


def test_a_requirement_of_an_extra_is_not_one_of_llmwatch(installed):
    installed(
        "llmwatch", "9", "Provides-Extra: rare", 'Requires-Dist: no-such-thing>=2; extra == "rare"'
    )
    assert installation.packages().level == "ok"
    found = installation.extras()
    assert found.level == "ok"
    assert "not: rare" in found.said
    assert 'pip install "llmwatch[NAME]"' in found.said


def test_an_extra_that_is_too_old_is_a_warning_with_its_command(installed):
    installed("llmwatch", "9", "Provides-Extra: page", 'Requires-Dist: orjson>=99; extra == "page"')
    found = installation.extras()
    assert found.level == "warning"
    assert found.said.endswith('for page: pip install "orjson>=99"')


@pytest.mark.parametrize(
    ("module", "told"),
    [("raise ImportError('GLIBC_2.99 not found')", "GLIBC_2.99"), ("import os; os.abort()", "-6")],
)
def test_a_package_that_is_there_and_does_not_load_is_wrong(tmp_path, monkeypatch, module, told):
    for name in installation.IMPORTED:
        (tmp_path / f"{name.partition('.')[0]}.py").write_text("__path__ = []\n")
    (tmp_path / "duckdb.py").write_text(module)
    (tmp_path / "scipy.py").unlink()
    (tmp_path / "scipy").mkdir()
    for name in ("__init__", "stats"):
        (tmp_path / "scipy" / f"{name}.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = installation.imports()
    assert found.level == "wrong"
    assert "duckdb" in found.said
    assert told in found.said
    assert found.said.endswith('pip install --force-reinstall --no-deps "duckdb"')


# --- settings ----------------------------------------------------------------------------


def test_a_settings_file_that_cannot_be_read_is_named_and_the_given_store_looked_at(
    project, store, capsys
):
    (project / "llmwatch.toml").write_text("retention_days = = 3\n")
    settings.use(None)
    assert main(["doctor", "--json", "--store", str(store.root)]) == 1
    findings = {one["about"]: one for one in json.loads(capsys.readouterr().out)}
    assert findings["settings"]["level"] == "wrong"
    assert str(project / "llmwatch.toml") in findings["settings"]["said"]
    assert findings["local/bot spool"]["level"] == "ok"


def test_a_settings_file_that_cannot_be_read_hides_where_the_store_is(project, capsys):
    (project / "llmwatch.toml").write_text("store = 3 3\n")
    assert main(["doctor", "--json"]) == 1
    findings = {one["about"]: one for one in json.loads(capsys.readouterr().out)}
    assert findings["store"]["level"] == "warning"


def test_each_entry_that_cannot_be_is_told(project):
    (project / "llmwatch.toml").write_text(
        '[[watch.rules]]\nname = "a"\nabove = 3\n[[watch.rules]]\nname = "b"\n'
        "[budgets]\nall = 100\n[[drift.job]]\nevery = '1h'\n[[scorers]]\nnme = 'x'\n"
    )
    findings = list(installation.settings_files())
    assert {finding.level for finding in findings} == {"wrong"}
    told = said(findings, "settings")
    for entry in ("rule 'a'", "rule 'b'", "budgets.all", "[[drift.job]]", "scorer"):
        assert entry in told


def test_sound_settings_name_their_files(project):
    (project / "llmwatch.toml").write_text("retention_days = 3\n")
    (project / "pyproject.toml").write_text("[project]\nname = 'mine'\n")
    [found] = installation.settings_files()
    assert (found.level, found.said) == ("ok", f"from {project / 'llmwatch.toml'}")


# --- the store ---------------------------------------------------------------------------


def test_a_store_that_is_a_file_is_wrong(tmp_path):
    (tmp_path / "store").write_text("not a directory")
    findings = list(checks.checks(Store(tmp_path / "store")))
    assert levels(findings) == {"store": "wrong"}
    assert "LLMWATCH_STORE" in said(findings, "store")


_AS_NOBODY = """
import json, os, sys
from dataclasses import asdict
from pathlib import Path
import llmwatch.worker.lock, llmwatch.stream.erase, llmwatch.forward.status, llmwatch.destination
from llmwatch.cli.checks import checks
from llmwatch.store import Store
if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)
print(json.dumps([asdict(found) for found in checks(Store(Path(sys.argv[1])))]))
"""


def as_nobody(root: Path) -> dict[str, dict[str, str]]:
    """What doctor finds as a user who is not root, to whom permissions mean something."""
    for parent in root.parents:
        if parent.exists() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
        if parent.name.startswith("pytest-of"):
            break
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(root)], capture_output=True, text=True, check=True
    )
    return {one["about"]: one for one in json.loads(done.stdout)}


def give_to_nobody(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)


@pytest.fixture
def strict(tmp_path):
    probe = tmp_path / "probe"
    probe.mkdir(mode=0o500)
    if as_nobody(probe)["store"]["level"] == "ok":
        pytest.skip("directories that refuse writes do not exist here")


@pytest.mark.usefixtures("strict")
def test_a_read_only_store_says_so_and_what_to_do(store):
    give_to_nobody(store.root)
    store.root.chmod(0o500)
    found = as_nobody(store.root)["store"]
    store.root.chmod(0o700)
    assert found["level"] == "wrong"
    assert "Nothing is being recorded" in found["said"]
    assert "LLMWATCH_STORE" in found["said"]


@pytest.mark.usefixtures("strict")
def test_a_store_of_somebody_else_that_cannot_be_entered_ends_the_checks(store):
    give_to_nobody(store.root)
    store.root.chmod(0)
    found = as_nobody(store.root)
    store.root.chmod(0o700)
    assert {about: one["level"] for about, one in found.items()} == {"store": "wrong"}


@pytest.mark.usefixtures("strict")
def test_a_directory_that_another_user_left_in_the_store_is_wrong(store):
    give_to_nobody(store.root)
    left = store.project("local", "bot").spool("more")
    left.mkdir(mode=0o555)
    if os.geteuid() == 0:
        os.chown(left, 0, 0)
    found = as_nobody(store.root)
    assert found["store"]["level"] == "ok"
    assert found["permissions"]["level"] == "wrong"
    assert str(left) in found["permissions"]["said"]


@pytest.mark.usefixtures("strict")
def test_a_store_that_cannot_be_made_is_wrong(tmp_path):
    above = tmp_path / "locked"
    above.mkdir(mode=0o555)
    found = as_nobody(above / "deeper" / "store")["store"]
    assert found["level"] == "wrong"
    assert str(above) in found["said"]


# --- the worker --------------------------------------------------------------------------


_LEAVES_ITS_LOCK = """
import subprocess, sys
from llmwatch.store import open_store
from llmwatch.worker import lock
store = open_store(sys.argv[1])
held = lock.try_take(store)
lock.write_description(store)
left = subprocess.Popen([sys.executable, "-c", "input()"], pass_fds=[held], stdin=0, stdout=subprocess.DEVNULL)
print(left.pid)
"""


def test_a_lock_that_outlived_its_worker_names_how_to_find_who_holds_it(store):
    holder = subprocess.run(
        [sys.executable, "-c", _LEAVES_ITS_LOCK, str(store.root)],
        stdin=(ends := os.pipe())[0],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    try:
        found = checks.worker(store)
    finally:
        os.kill(int(holder.stdout), 9)
        for end in ends:
            os.close(end)
    assert found.level == "wrong"
    assert "fuser" in found.said


def test_a_worker_that_was_killed_is_a_warning(store):
    lock.write_description(store)
    found = checks.worker(store)
    assert found.level == "warning"
    assert "worker.log" in found.said


def test_a_worker_of_another_version_is_a_warning(store):
    from llmwatch.stream import fork

    held = lock.try_take(store)
    lock.write_description(store)
    assert checks.worker(store).level == "ok"
    path = store.root / "worker.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": "0.0.1"}))
    found = checks.worker(store)
    fork.let_go(held)
    assert found.level == "warning"
    assert "runs llmwatch 0.0.1" in found.said


# --- W&B ---------------------------------------------------------------------------------


def test_rows_that_wait_for_a_login_are_a_warning(store, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    project = store.project("local", "bot")
    assert checks.sending(project).said == "nothing is sent"
    destination.note(project, destination.Decision(True, explicit=True))
    found = checks.sending(project)
    assert found.level == "warning"
    assert "wandb login" in found.said


def test_a_check_that_cannot_look_is_a_finding_and_the_others_are_made(store):
    told = store.project("local", "bot").path / "forward" / "state.sqlite3"
    destination.note(store.project("local", "bot"), destination.Decision(True, explicit=True))
    told.write_text("no database")
    findings = list(checks.checks(store))
    assert levels(findings)["local/bot sending"] == "wrong"
    assert levels(findings)["local/bot erasure"] == "ok"
