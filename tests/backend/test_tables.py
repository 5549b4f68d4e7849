from __future__ import annotations

import pytest
from local_backend import PROJECT, Local
from weave.trace.errors import InvalidRequest, NotFoundError


def create(local, rows):
    return local.server.table_create({"table": {"project_id": PROJECT, "rows": rows}})


def values(local, digest, **req):
    return [row.val for row in local.ask("table_query", digest=digest, **req).rows]


def test_rows_come_back_in_order_with_their_digests(local):
    made = create(local, [{"a": 2}, {"a": 1}, {"a": 2}])
    rows = local.ask("table_query", digest=made.digest).rows
    assert [(row.val, row.digest, row.original_index) for row in rows] == [
        ({"a": 2}, made.row_digests[0], 0),
        ({"a": 1}, made.row_digests[1], 1),
        ({"a": 2}, made.row_digests[0], 2),
    ]
    assert local.ask("table_query_stats", digest=made.digest).count == 3


def test_a_table_pages_filters_and_sorts(local):
    made = create(local, [{"a": 2}, {"a": "x"}, {}, {"a": 10}])
    assert values(local, made.digest, limit=2, offset=1) == [{"a": "x"}, {}]
    only = {"row_digests": [made.row_digests[3]]}
    assert values(local, made.digest, filter=only) == [{"a": 10}]
    ascending = [{"field": "a", "direction": "asc"}]
    assert values(local, made.digest, sort_by=ascending) == [{"a": 2}, {"a": 10}, {"a": "x"}, {}]
    descending = [{"field": "a", "direction": "desc"}]
    assert values(local, made.digest, sort_by=descending) == [{"a": 10}, {"a": 2}, {"a": "x"}, {}]


def test_a_table_can_be_put_together_from_rows_sent_in_chunks(local):
    chunks = [create(local, [{"n": 1}, {"n": 2}]), create(local, [{"n": 3}])]
    digests = [digest for chunk in chunks for digest in chunk.row_digests]
    for server in (local, Local(local.store)):  # the second has not seen the chunks come in
        made = server.ask("table_create_from_digests", row_digests=digests)
        assert values(local, made.digest) == [{"n": 1}, {"n": 2}, {"n": 3}]
    with pytest.raises(NotFoundError, match="never sent"):
        local.ask("table_create_from_digests", row_digests=["unknown"])


def test_an_empty_table_is_a_table(local):
    assert values(local, create(local, []).digest) == []
    assert local.ask("table_create_from_digests", row_digests=[]).digest


def test_an_update_makes_another_table(local):
    base = create(local, [{"n": 1}, {"n": 2}]).digest
    updates = [
        {"append": {"row": {"n": 3}}},
        {"pop": {"index": 0}},
        {"insert": {"index": 0, "row": {"n": 0}}},
    ]
    made = local.ask("table_update", base_digest=base, updates=updates)
    assert values(local, made.digest) == [{"n": 0}, {"n": 2}, {"n": 3}]
    assert len(made.updated_row_digests) == 3
    assert values(local, base) == [{"n": 1}, {"n": 2}]
    with pytest.raises(InvalidRequest):
        local.ask("table_update", base_digest=base, updates=[{"pop": {"index": 9}}])


def test_a_table_that_is_not_there_is_not_found(local):
    with pytest.raises(NotFoundError):
        values(local, "0" * 64)


def test_several_tables_are_counted_at_once(local):
    digests = [create(local, [{"n": n} for n in range(size)]).digest for size in (1, 4)]
    tables = local.ask("table_query_stats_batch", digests=[*digests, "missing"]).tables
    assert [(t.digest, t.count) for t in tables] == [(digests[0], 1), (digests[1], 4)]


def test_what_a_reader_does_to_a_row_stays_with_that_reader(local):
    made = create(local, [{"a": {"b": 1}}])
    values(local, made.digest)[0]["a"].clear()
    assert values(local, made.digest) == [{"a": {"b": 1}}]
