"""Names of tables, projects and entities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmwatch import settings
from llmwatch.errors import InvalidName
from llmwatch.names import MAX_LENGTH, TableName, check_name, parse_table


@pytest.fixture(autouse=True)
def _settings():
    before = settings.use(settings.Settings(project="shop", entity="acme"))
    yield
    settings.use(before)


@pytest.mark.parametrize(
    ("text", "whole"),
    [("t", "acme/shop/t"), ("bot/t", "acme/bot/t"), ("team/bot/t", "team/bot/t")],
)
def test_parts_that_are_not_given_come_from_the_settings(text, whole):
    assert str(parse_table(text)) == whole


def test_arguments_come_before_the_settings():
    assert parse_table("t", project="p", entity="e") == TableName("e", "p", "t")


@pytest.mark.parametrize(
    ("text", "given"), [("p/t", {"project": "p"}), ("e/p/t", {"entity": "other"})]
)
def test_a_part_given_twice_is_refused(text, given):
    with pytest.raises(InvalidName, match="given twice"):
        parse_table(text, **given)


@pytest.mark.parametrize(
    "text", ["", "/", "a/b/c/d", "a//b", "/t", "p/", "../t", "../../etc/passwd"]
)
def test_text_that_is_not_a_table_is_refused(text):
    with pytest.raises(InvalidName):
        parse_table(text)


@pytest.mark.parametrize(
    "name",
    [
        "..", ".", ".hidden", "-rf", "_events", "a b", "a\\b", "a\x00", "a\n", "ä", "日本", "a:b", "a*",
        "con", "CON", "nul.txt", "Com1", "lpt9.log", "ends.", "x" * (MAX_LENGTH + 1), "%2e%2e", "~",
    ],
)  # fmt: skip
def test_a_name_some_file_system_cannot_hold_is_refused(name):
    with pytest.raises(InvalidName):
        check_name(name, "table")


@pytest.mark.parametrize("name", ["a", "support-bot", "v1.2_x", "0", "console", "x" * MAX_LENGTH])
def test_ordinary_names_pass_as_they_are(name):
    assert check_name(name, "table") == name


@pytest.mark.parametrize("name", [None, 1, b"t"])
def test_a_name_that_is_not_text_is_said_so(name):
    with pytest.raises(InvalidName, match="must be text"):
        check_name(name, "table")
    with pytest.raises(InvalidName, match="must be text"):
        parse_table(name)


@given(st.text())
def test_whatever_passes_is_one_plain_path_part(text):
    try:
        name = check_name(text, "table")
    except InvalidName:
        return
    assert name.isascii()
    assert not set(name) & set('/\\:*?"<>|\0\n ')
    assert name[0].isalnum()
