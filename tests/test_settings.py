"""Settings and where they come from."""

from __future__ import annotations

import pytest

from llmwatch import settings
from llmwatch.errors import SettingsError


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """A project's root as the working directory, and an environment without settings."""
    for setting in settings.TABLE:
        monkeypatch.delenv(setting.env, raising=False)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    before = settings.use(None)
    yield tmp_path
    settings.use(before)


def test_nothing_given_is_the_defaults():
    assert settings.load() == settings.Settings()


def test_an_argument_beats_the_environment_beats_the_files(root, monkeypatch):
    steps = []
    (root / "pyproject.toml").write_text('[tool.llmwatch]\nproject = "pyproject"\n')
    steps.append(settings.load().project)
    (root / "llmwatch.toml").write_text('project = "toml"\n')
    steps.append(settings.load().project)
    monkeypatch.setenv("WANDB_PROJECT", "wandb")
    steps.append(settings.load().project)
    monkeypatch.setenv("LLMWATCH_PROJECT", "environment")
    steps.append(settings.load().project)
    steps.append(settings.load(project="argument").project)
    steps.append(settings.load(project=None).project)
    assert steps == ["pyproject", "toml", "wandb", "environment", "argument", "environment"]


def test_files_are_found_from_below_the_root(root, monkeypatch):
    (root / "llmwatch.toml").write_text("retention_days = 7\n")
    (root / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(root / "a" / "b")
    assert settings.load().retention_days == 7


def test_a_store_in_a_file_is_meant_from_that_file(root, monkeypatch):
    (root / "llmwatch.toml").write_text('store = "var/store"\n')
    (root / "a").mkdir()
    monkeypatch.chdir(root / "a")
    assert settings.load().store == str(root / "var" / "store")


@pytest.mark.parametrize(
    ("text", "value"), [("0", False), ("false", False), ("On", True), ("1", True)]
)
def test_yes_and_no_can_be_said_in_several_ways(monkeypatch, text, value):
    monkeypatch.setenv("LLMWATCH_WORKER", text)
    assert settings.load().worker is value


def test_numbers_may_have_fractions(monkeypatch):
    monkeypatch.setenv("LLMWATCH_SEGMENT_MB", "0.25")
    assert settings.load().segment_mb == 0.25


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("worker", "perhaps", "true or false"),
        ("segment_mb", "big", "a number"),
        ("segment_mb", "-1", "0 or more"),
        ("segment_mb", "nan", "0 or more"),
        ("field_limit_kb", "1.5", "whole number"),
        ("fsync", "sometimes", "group, row, off"),
        ("project", "../x", "cannot be a project name"),
    ],
)
def test_a_wrong_value_says_where_it_was_given_and_what_is_right(monkeypatch, name, value, said):
    monkeypatch.setenv(f"LLMWATCH_{name.upper()}", value)
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert f"LLMWATCH_{name.upper()}" in str(caught.value)
    assert said in str(caught.value)


def test_an_unknown_setting_in_a_file_names_the_nearest(root):
    (root / "llmwatch.toml").write_text("retention_day = 7\n")
    with pytest.raises(SettingsError, match=r"retention_day.*llmwatch\.toml.*'retention_days'"):
        settings.load()


def test_a_file_that_is_not_toml_is_named(root):
    (root / "llmwatch.toml").write_text("project = \n")
    with pytest.raises(SettingsError, match=r"llmwatch\.toml"):
        settings.load()


def test_the_processs_settings_are_loaded_once(monkeypatch):
    first = settings.current()
    monkeypatch.setenv("LLMWATCH_PROJECT", "later")
    assert settings.current() is first
    settings.use(None)
    assert settings.current().project == "later"


def test_a_section_is_read_from_the_first_file_that_has_it(root):
    (root / "pyproject.toml").write_text("[tool.llmwatch.prices.small]\ninput = 1\n")
    assert settings.section("prices") == ({"small": {"input": 1}}, str(root / "pyproject.toml"))
    (root / "llmwatch.toml").write_text('project = "here"\n[prices.small]\ninput = 2\n')
    assert settings.section("prices") == ({"small": {"input": 2}}, str(root / "llmwatch.toml"))
    assert settings.section("budgets") == ({}, "")
    assert settings.load().project == "here"


def test_a_section_that_is_no_table_says_so(root):
    (root / "llmwatch.toml").write_text("prices = 3\n")
    with pytest.raises(SettingsError, match=r"prices in .*llmwatch\.toml is a table"):
        settings.section("prices")


def test_a_worker_elsewhere_is_told_where_the_files_are(root, monkeypatch, tmp_path_factory):
    (root / "llmwatch.toml").write_text("[prices.small]\ninput = 2\n")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert settings.section("prices") == ({}, "")
    monkeypatch.setenv(settings.ROOT_ENV, str(root))
    assert settings.section("prices")[0] == {"small": {"input": 2}}
