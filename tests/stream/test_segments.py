"""The files of a spool: which are segments, which are sealed, which are litter."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from llmwatch.stream import fork, segments


def open_segment(directory: Path, writer: str = "abc", number: int = 1) -> int:
    return segments.create(directory, writer, number)[0]


def only(directory: Path) -> segments.Segment:
    (segment,) = segments.list_segments(directory)
    return segment


def test_a_spool_that_is_not_there_has_no_segments(tmp_path: Path) -> None:
    assert segments.list_segments(tmp_path / "nothing") == []


def test_segments_are_listed_by_writer_and_number_however_large(tmp_path: Path) -> None:
    for writer, number in [("b", 1), ("a", 100_000_000), ("a", 2), ("a", 99_999_999)]:
        (tmp_path / segments.segment_name(writer, number)).touch()
    listed = [(s.writer, s.number) for s in segments.list_segments(tmp_path)]
    assert listed == [("a", 2), ("a", 99_999_999), ("a", 100_000_000), ("b", 1)]


@pytest.mark.parametrize(
    "name",
    [".abc-00000001.jsonl", "abc-1.jsonl", "abc-00000001.jsonl~", "notes.txt", "abc-00000001.json"],
)
def test_a_foreign_file_is_no_segment(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert segments.list_segments(tmp_path) == []


def test_a_link_or_directory_with_a_segments_name_is_no_segment(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / segments.segment_name("a", 1)).symlink_to(tmp_path / "elsewhere")
    (tmp_path / segments.segment_name("a", 2)).mkdir()
    assert segments.list_segments(tmp_path) == []


def test_a_segment_is_private_and_sealed_only_once_its_writer_lets_go(tmp_path: Path) -> None:
    fd = open_segment(tmp_path / "spool")
    segment = only(tmp_path / "spool")
    assert segment.path.stat().st_mode & 0o777 == 0o600
    assert segment.path.parent.stat().st_mode & 0o777 == 0o700
    assert not segments.is_sealed(segment)
    fork.let_go(fd)
    assert segments.is_sealed(segment)


def test_asking_whether_it_is_sealed_leaves_the_writers_lock_in_place(tmp_path: Path) -> None:
    fd = open_segment(tmp_path)
    for _ in range(3):
        assert not segments.is_sealed(only(tmp_path))
    fork.let_go(fd)


def test_a_segment_that_is_gone_is_neither_sealed_nor_taken(tmp_path: Path) -> None:
    fork.let_go(open_segment(tmp_path))
    segment = only(tmp_path)
    segment.path.unlink()
    assert not segments.is_sealed(segment)
    assert segment.size() == 0
    with segments.take(segment) as taken:
        assert not taken


def test_a_live_segment_is_not_taken_and_a_sealed_one_by_one_alone(tmp_path: Path) -> None:
    fd = open_segment(tmp_path)
    segment = only(tmp_path)
    with segments.take(segment) as taken:
        assert not taken
    fork.let_go(fd)
    with segments.take(segment) as first, segments.take(segment) as second:
        assert (first, second) == (True, False)
    with segments.take(segment) as again:
        assert again


def test_two_readers_may_ask_at_the_same_instant(tmp_path: Path) -> None:
    fork.let_go(open_segment(tmp_path))
    segment = only(tmp_path)
    other = os.open(segment.path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    assert segments.is_sealed(segment)
    os.close(other)


def test_a_dead_creators_dot_name_is_removed_a_young_or_locked_one_is_not(tmp_path: Path) -> None:
    old, young, locked = (tmp_path / f".abc-0000000{n}.jsonl" for n in (1, 2, 3))
    for path in (old, young, locked):
        path.touch()
    for path in (old, locked):
        os.utime(path, (1, 1))
    fd = os.open(locked, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert segments.remove_leftovers(tmp_path) == 1
    os.close(fd)
    assert sorted(tmp_path.iterdir()) == [young, locked]


def test_a_users_own_dot_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".notes").touch()
    os.utime(tmp_path / ".notes", (1, 1))
    assert segments.remove_leftovers(tmp_path) == 0


def test_a_creation_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / segments.segment_name("abc", 1)).mkdir()  # the rename will fail
    before = open_and_deleted()
    with pytest.raises(OSError, match="directory"):
        open_segment(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [segments.segment_name("abc", 1)]
    assert open_and_deleted() == before


def open_and_deleted() -> int:
    """Descriptors of files that have no name any more. Threads of other tests may open others."""
    found = 0
    for fd in range(1024):
        with suppress(OSError):
            told = os.fstat(fd)
            found += stat.S_ISREG(told.st_mode) and told.st_nlink == 0
    return found


ONE, TWO = b'{"n":1}\n', b'{"n":22}\n'
ZEROS = bytes(segments.AHEAD)


def a_segment(directory: Path, content: bytes) -> segments.Segment:
    fork.let_go(open_segment(directory))
    only(directory).path.write_bytes(content)
    return only(directory)


def whole_lines(segment: segments.Segment, start: int = 0, most: int = 1 << 20) -> bytes:
    with segment.path.open("rb") as file:
        return segments.whole_lines(file.fileno(), start, most)


@pytest.mark.parametrize("content", [b"", ONE, ONE + TWO, ONE + b'{"torn'])
def test_zeros_ahead_are_no_bytes_of_a_segment(tmp_path: Path, content: bytes) -> None:
    assert a_segment(tmp_path / "a", content + ZEROS).size() == len(content)
    assert a_segment(tmp_path / "b", content).size() == len(content)


def test_where_no_descriptor_is_to_be_had_the_size_of_the_file_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = a_segment(tmp_path, ONE)

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", refuse)
    assert segment.size() == len(ONE)


def test_the_zeros_of_a_killed_writer_are_cut_off_by_who_takes_its_segment(tmp_path: Path) -> None:
    segment = a_segment(tmp_path, ONE + b'{"torn' + ZEROS)
    with segments.take(segment) as taken:
        assert taken
        assert segment.path.read_bytes() == ONE + b'{"torn'


@pytest.mark.parametrize("written", range(len(TWO)))
def test_a_line_half_of_which_is_there_is_left_out(tmp_path: Path, written: int) -> None:
    head, tail = TWO[:written], TWO[len(TWO) - written :]
    assert whole_lines(a_segment(tmp_path / "a", ONE + head + ZEROS)) == ONE
    # a processor may show what it copies in any order
    backwards = ONE + bytes(len(TWO) - written) + tail + ZEROS
    assert whole_lines(a_segment(tmp_path / "b", backwards)) == ONE


def test_a_line_that_was_half_there_when_it_was_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = a_segment(tmp_path, ONE + TWO + ZEROS)
    pread, early = os.pread, [bytes(len(ONE) - 1) + b"\n" + TWO]
    monkeypatch.setattr(os, "pread", lambda *at: early.pop() if early else pread(*at))
    assert whole_lines(segment) == ONE + TWO
    assert not early


def test_a_line_longer_than_what_is_read_at_once_is_read_whole(tmp_path: Path) -> None:
    segment = a_segment(tmp_path, TWO + ONE + ZEROS)
    assert whole_lines(segment, most=4) == TWO + ONE
    assert whole_lines(segment, start=len(TWO), most=4) == ONE
    assert whole_lines(segment, start=len(TWO + ONE)) == b""
