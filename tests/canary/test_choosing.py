"""Who gets the new version."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import llmwatch
from llmwatch import canary, faults
from llmwatch.testing import temporary_store
from llmwatch.tracing.context import frame

KEYS = [f"user-{n}" for n in range(20_000)]


def test_about_the_share_gets_the_new_version():
    chosen = sum(bool(canary.choose(key, 0.05)) for key in KEYS)
    assert 900 < chosen < 1_100


def test_a_key_gets_the_same_version_in_every_process():
    code = "from llmwatch import canary; print(canary.choose('u1', .5), canary.place('u1'))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == [str(canary.choose("u1", 0.5)), str(canary.place("u1"))]


def test_a_larger_share_only_moves_keys_to_the_new_version():
    small = {key for key in KEYS if canary.choose(key, 0.02)}
    large = {key for key in KEYS if canary.choose(key, 0.05)}
    assert small < large
    assert {key for key in KEYS if canary.choose(key, 0.02)} == small


def test_another_version_is_tried_on_other_people():
    first = {key for key in KEYS if canary.choose(key, 0.05, new="v2")}
    second = {key for key in KEYS if canary.choose(key, 0.05, new="v3")}
    assert 20 < len(first & second) < 90  # a twentieth of a twentieth, as by chance
    assert {key for key in KEYS if canary.choose(key, 0.05, new="v3", name="v2")} == first


def test_the_ends_of_the_share_are_nobody_and_everybody():
    assert not any(canary.choose(key, 0) for key in KEYS)
    assert all(canary.choose(key, 1) for key in KEYS)


@pytest.mark.parametrize("key", [7, ("a", 1), "\ud800", b"x", "", 3.5])
def test_anything_is_a_key(key):
    assert canary.choose(key, 0.5) == canary.choose(key, 0.5)


def test_without_a_key_it_is_the_old_version():
    assert canary.choose(None, 1.0, old="v1", new="v2").version == "v1"


@pytest.mark.parametrize("share", [5, -0.1, "much", None, float("nan")])
def test_a_share_that_is_none_gives_everybody_the_old_version_and_is_logged(share):
    with faults.strict(False):
        assert not any(canary.choose(key, share) for key in KEYS[:100])
    assert [fault.count for fault in faults.counts().values()] == [100]


def test_rows_inside_carry_the_version():
    with temporary_store():
        llmwatch.init("bot")

        @llmwatch.traced
        def answer(question):
            return question.upper()

        with canary.choose("u7", 1.0, old="v1", new="v2") as choice:
            answer("new")
        with canary.choose("u7", 0.0, old="v1", new="v2"):
            answer("old")
        assert (choice.version, bool(choice)) == ("v2", True)
        said = (
            llmwatch.StreamTable("bot/traces")
            .query("SELECT version FROM traces ORDER BY started_at")
            .rows
        )
        llmwatch.finish()
    assert said == [("v2",), ("v1",)]


def test_a_choice_is_a_block_in_async_code_too():
    async def inside():
        async with canary.choose("u7", 1.0, new="v2"):
            return frame.get().values

    assert asyncio.run(inside()) == {"version": "v2"}
