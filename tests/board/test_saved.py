"""Saved boards: every version stays, and nobody undoes what another saved."""

from __future__ import annotations

import pytest

from llmwatch.board import saved
from llmwatch.board.spec import Board
from llmwatch.errors import InvalidBoard, NotFound


@pytest.fixture
def project(llmwatch_store):
    return llmwatch_store.project("local", "bot")


def test_each_save_is_a_version_and_the_newest_is_loaded(project):
    assert [
        saved.save(project, Board("a", title=title).add("rows")) for title in ("one", "two")
    ] == [1, 2]
    assert saved.load(project, "a").title == "two"
    assert saved.load(project, "a", version=1).title == "one"
    assert saved.names(project) == ["a"]
    assert [v["version"] for v in saved.history(project, "a")] == [2, 1]


def test_a_board_that_another_saved_meanwhile_is_not_overwritten(project):
    saved.save(project, Board("a"))
    saved.save(project, Board("a", title="theirs"), based_on=1)
    with pytest.raises(saved.SavedMeanwhile, match="version 2"):
        saved.save(project, Board("a", title="mine"), based_on=1)
    assert saved.load(project, "a").title == "theirs"


def test_a_name_that_leads_out_of_the_store_is_refused(project):
    for name in ("../x", "a/b", ".hidden", ""):
        with pytest.raises(InvalidBoard):
            saved.save(project, Board(name))
        with pytest.raises(InvalidBoard):
            saved.load(project, name)


def test_a_board_that_is_not_there_says_which_are(project):
    saved.save(project, Board("on-call"))
    with pytest.raises(NotFound, match="on-call"):
        saved.load(project, "other")


def test_saved_from_python_it_is_where_the_page_looks(llmwatch_store):
    board = Board("mine", table="bot/traces").add("rows")
    assert board.save(store=llmwatch_store.root) == 1
    loaded = Board.load("mine", "bot/traces", store=llmwatch_store.root)
    assert loaded.to_json()["panels"] == board.to_json()["panels"]
