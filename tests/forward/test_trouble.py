"""What a failure means, and how long it is waited."""

from __future__ import annotations

import time
from email.utils import formatdate

import httpx
import pytest

from llmwatch.forward.trouble import (
    LONGEST_WAIT_S,
    Backoff,
    Later,
    Rejected,
    meaning,
    retry_after_s,
)


def answered(status, *, body=None, **headers):
    response = httpx.Response(status, json=body or {"detail": "no"}, headers=headers)
    error = RuntimeError("an error of some library")
    error.response = response
    return error


@pytest.mark.parametrize("status", [400, 405, 413, 422])
def test_what_is_wrong_with_the_contents_is_refused(status):
    why = meaning(answered(status))
    assert isinstance(why, Rejected)
    assert why.status == status


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 504])
def test_what_is_wrong_with_the_service_or_the_key_waits(status):
    assert isinstance(meaning(answered(status)), Later)


@pytest.mark.parametrize(
    ("status", "in_doubt"), [(429, False), (503, False), (401, False), (500, True), (504, True)]
)
def test_only_where_the_work_may_have_been_done_is_there_doubt(status, in_doubt):
    assert meaning(answered(status)).in_doubt is in_doubt


def test_no_answer_at_all_is_in_doubt():
    why = meaning(httpx.ReadTimeout("too late"))
    assert isinstance(why, Later)
    assert why.in_doubt


def test_an_error_that_repeats_the_contents_is_told_without_them():
    told = {"detail": [{"loc": ["batch", 0], "msg": "too long", "input": "a secret of the user's"}]}
    assert "secret" not in str(meaning(answered(422, body=told)))
    assert "too long" in str(meaning(answered(422, body=told)))


def test_retry_after_is_seconds_or_a_date():
    assert retry_after_s("12") == 12
    assert retry_after_s(formatdate(time.time() + 100, usegmt=True)) == pytest.approx(100, abs=3)
    assert retry_after_s("-5") == 0
    assert retry_after_s("soon") is None
    assert retry_after_s(None) is None
    assert meaning(answered(429, **{"Retry-After": "7"})).after_s == 7


def test_waits_grow_to_a_bound_and_start_over_after_a_success():
    now = [0.0]
    backoff = Backoff(first_s=1, now=lambda: now[0], chance=lambda: 1.0)
    waits = []
    for _ in range(15):
        backoff.failed()
        waits.append(backoff.wait_s)
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == LONGEST_WAIT_S
    backoff.worked()
    assert backoff.wait_s == 0
    backoff.failed()
    assert backoff.wait_s == 2


def test_two_that_failed_together_do_not_come_back_together():
    waits = []
    for drawn in (0.0, 0.5, 1.0):
        backoff = Backoff(first_s=1, now=lambda: 0.0, chance=lambda d=drawn: d)
        backoff.failed()
        waits.append(backoff.wait_s)
    assert waits == [0.5, 1.25, 2.0]


def test_the_server_is_never_asked_before_it_said():
    backoff = Backoff(first_s=1, now=lambda: 0.0, chance=lambda: 0.0)
    backoff.failed(after_s=60)
    assert backoff.wait_s == 60
