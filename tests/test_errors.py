"""The error tree."""

from __future__ import annotations

import pickle

import pytest

from llmwatch import errors


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InvalidName, ValueError),
        (errors.SettingsError, ValueError),
        (errors.QueryRefused, ValueError),
        (errors.NotFound, KeyError),
        (errors.MissingExtra, ImportError),
    ],
)
def test_each_error_is_ours_and_the_builtin_people_expect(error, builtin):
    assert issubclass(error, errors.LlmwatchError)
    assert issubclass(error, builtin)


def test_what_is_not_found_is_said_without_quotes():
    assert str(errors.NotFound("no row 'x'")) == "no row 'x'"


def test_a_missing_extra_prints_the_command_that_installs_it():
    error = errors.MissingExtra("board", "llmwatch board")
    assert str(error) == 'llmwatch board needs an extra: pip install "llmwatch[board]"'


def test_a_missing_extra_survives_a_process_pool():
    copy = pickle.loads(pickle.dumps(errors.MissingExtra("board", "the page")))
    assert (str(copy), copy.extra) == (str(errors.MissingExtra("board", "the page")), "board")
