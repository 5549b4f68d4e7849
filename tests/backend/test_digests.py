from __future__ import annotations

import base64
import hashlib
import json

import pytest
from local_backend import PROJECT
from weave.trace.errors import DigestMismatchError

from llmwatch.backend import digests


def by_the_book(data: bytes) -> str:
    text = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
    return text.replace("-", "X").replace("_", "Y").rstrip("=")


def test_an_object_goes_by_the_hash_of_its_sorted_json():
    val = {"b": [1, 2.5, None], "a": "é"}
    digest = digests.of_object(val).digest
    assert digest == by_the_book(json.dumps(val, sort_keys=True).encode())
    assert len(digest) == 43


def test_keys_that_are_no_text_count_as_what_they_are_in_json():
    assert digests.of_object({1: "a"}).digest == digests.of_object({"1": "a"}).digest


def test_a_file_goes_by_the_hash_of_its_bytes():
    assert digests.of_file(b"\x00\xff") == by_the_book(b"\x00\xff")


def test_a_table_goes_by_the_hash_of_its_row_digests_in_order():
    rows = [digests.of_row({"a": 1}), digests.of_row({"a": 2})]
    assert rows[0] == by_the_book(b'{"a": 1}')
    assert digests.of_table(rows) == hashlib.sha256("".join(rows).encode()).hexdigest()
    assert digests.of_table(rows) != digests.of_table(rows[::-1])


@pytest.mark.parametrize(
    ("method", "req"),
    [
        ("obj_create", {"obj": {"project_id": PROJECT, "object_id": "o", "val": 1}}),
        ("table_create", {"table": {"project_id": PROJECT, "rows": [{"a": 1}]}}),
        ("file_create", {"project_id": PROJECT, "file": ("f", b"x")}),
    ],
)
def test_a_digest_that_the_client_did_not_expect_is_refused(local, method, req):
    inner = req.get("obj") or req.get("table") or req
    inner["expected_digest"] = "another"
    with pytest.raises(DigestMismatchError, match="another"):
        getattr(local.server, method)(req)
