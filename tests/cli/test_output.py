"""What is printed is safe to print."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmwatch.cli.checks import file_system_of
from llmwatch.cli.output import plain, size


@given(st.text(st.characters(codec=None)))
def test_any_text_prints_as_one_line_that_any_terminal_takes(text):
    shown = plain(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert all(ord(character) >= 32 and not 127 <= ord(character) < 160 for character in shown)


def test_ordinary_text_and_emoji_stay_as_they_are():
    for text in ("hello", "naïve 日本", "👩‍💻", "a\u00a0b"):
        assert plain(text) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (3, "3"), ({"a": "\x1b"}, '{"a": "\\u001b"}'), ("a\nb", "a\\nb")],
)
def test_values_are_shown_plainly(value, shown):
    assert plain(value) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1 << 20, "1.0 MiB"), (1 << 50, "1024.0 TiB")],
)
def test_bytes_are_told_in_units(count, shown):
    assert size(count) == shown


def test_the_file_system_is_that_of_the_nearest_mount():
    mounts = (
        "overlay / overlay rw 0 0\nsrv:/x /home nfs4 rw 0 0\n/dev/b /home/me\\040too ext4 rw 0 0\n"
    )
    assert file_system_of(Path("/home/you/s"), mounts) == "nfs4"
    assert file_system_of(Path("/home/me too/s"), mounts) == "ext4"
    assert file_system_of(Path("/tmp"), mounts) == "overlay"
    assert file_system_of(Path("/tmp"), "") is None
