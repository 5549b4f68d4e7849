from __future__ import annotations

import pytest
from local_backend import PROJECT
from weave.trace.errors import InvalidRequest, RefObjectsNotFoundError


def read(local, *refs):
    return local.server.refs_read_batch({"refs": list(refs)}).vals


def ref(name, digest, extra=""):
    return f"weave:///{PROJECT}/object/{name}:{digest}{extra}"


def test_a_ref_leads_along_keys_attributes_and_indexes(local):
    digest = local.publish("o", {"a": {"b c/d": [10, {"x": 1}]}})
    assert read(
        local,
        ref("o", digest),
        ref("o", "latest", "/key/a/key/b%20c%2Fd/index/0"),
        ref("o", "v0", "/attr/a/attr/b%20c%2Fd/index/1/key/x"),
        ref("o", digest, "/key/nowhere/key/x"),
        ref("o", digest, "/key/a/key/b%20c%2Fd/index/9"),
    ) == [{"a": {"b c/d": [10, {"x": 1}]}}, 10, 1, None, None]


def test_an_id_leads_from_a_table_to_its_row(local):
    table = local.server.table_create(
        {"table": {"project_id": PROJECT, "rows": [{"q": 1}, {"q": 2}]}}
    )
    rows = f"weave:///{PROJECT}/table/{table.digest}"
    dataset = local.publish("ds", {"_type": "Dataset", "rows": rows})
    path = f"/attr/rows/id/{table.row_digests[1]}"
    assert read(local, ref("ds", dataset, path), ref("ds", dataset, path + "/key/q")) == [
        {"q": 2},
        2,
    ]
    assert read(local, ref("ds", dataset, "/attr/rows")) == [rows]
    assert read(local, f"{rows}/id/{table.row_digests[0]}") == [{"q": 1}]


def test_a_path_goes_on_through_refs_to_other_objects(local):
    inner = local.publish("inner", {"deep": 7})
    outer = local.publish("outer", {"child": ref("inner", inner)})
    assert read(local, ref("outer", outer, "/key/child/key/deep")) == [7]


def test_a_missing_base_names_every_ref_that_is_missing(local):
    known = ref("o", local.publish("o", 1))
    missing = [ref("gone", "abc"), ref("o", "unknown")]
    with pytest.raises(RefObjectsNotFoundError) as error:
        read(local, known, *missing)
    assert error.value.missing_object_digests == missing


def test_a_deleted_object_reads_as_nothing(local):
    digest = local.publish("o", 1)
    local.ask("obj_delete", object_id="o", digests=[digest])
    assert read(local, ref("o", digest)) == [None]


def test_at_most_a_thousand_refs_at_once(local):
    known = ref("o", local.publish("o", 1))
    assert len(read(local, *[known] * 1000)) == 1000
    with pytest.raises(InvalidRequest, match="1001"):
        read(local, *[known] * 1001)
    with pytest.raises(InvalidRequest, match="not a ref"):
        read(local, "https://example.org")


def test_a_call_and_its_parts_can_be_read_by_ref(local):
    local.call("c1", output={"y": [5]})
    call = f"weave:///{PROJECT}/call/c1"
    assert read(local, f"{call}/attr/output/key/y/index/0") == [5]
    assert read(local, call)[0]["id"] == "c1"
