from __future__ import annotations

import stat

import pytest
from local_backend import PROJECT, Local
from weave.trace.errors import (
    InvalidFieldError,
    InvalidRequest,
    NotFoundError,
    ObjectDeletedError,
)

OP = {"_type": "CustomWeaveType", "weave_type": {"type": "Op"}, "files": {"obj.py": "abc"}}


def test_versions_count_from_zero_and_one_is_the_latest(local):
    digests = [local.publish("thing", {"v": n}) for n in range(3)]
    found = local.ask("objs_query").objs
    assert [(o.digest, o.version_index, o.is_latest) for o in found] == [
        (digests[0], 0, 0),
        (digests[1], 1, 0),
        (digests[2], 2, 1),
    ]


def test_an_existing_version_created_again_is_no_new_one_but_becomes_the_latest(local):
    first, second = local.publish("thing", 1), local.publish("thing", 2)
    assert local.read("thing").digest == second
    assert local.publish("thing", 1) == first
    again = local.read("thing")
    assert (again.digest, again.version_index, again.is_latest) == (first, 0, 1)
    assert len(local.ask("objs_query").objs) == 2


def test_a_version_is_found_by_digest_number_latest_and_alias(local):
    first, second = local.publish("thing", {"v": 1}), local.publish("thing", {"v": 2})
    local.ask("obj_set_aliases", object_id="thing", digest="v0", aliases=["prod"])
    names = [first, "v0", "prod", "latest", "v1", second]
    assert [local.read("thing", name).val["v"] for name in names] == [1, 1, 1, 2, 2, 2]


def test_what_is_missing_is_not_found(local):
    local.publish("thing", 1)
    for name, digest in [("nothing", "latest"), ("thing", "v7"), ("thing", "unknown")]:
        with pytest.raises(NotFoundError):
            local.read(name, digest)


def test_a_deleted_version_says_when_and_the_one_before_is_the_latest(local):
    first, second = local.publish("thing", 1), local.publish("thing", 2)
    deleted = local.ask("obj_delete", object_id="thing", digests=[second])
    assert deleted.num_deleted == 1
    with pytest.raises(ObjectDeletedError) as error:
        local.read("thing", second)
    assert error.value.deleted_at.tzinfo is not None
    assert local.read("thing").digest == first
    assert [o.digest for o in local.ask("objs_query").objs] == [first]


def test_deleting_an_object_deletes_every_version_of_it(local):
    local.publish("thing", 1)
    local.publish("thing", 2)
    local.publish("other", 1)
    assert local.ask("obj_delete", object_id="thing", digests=None).num_deleted == 2
    with pytest.raises(ObjectDeletedError):
        local.read("thing")
    with pytest.raises(NotFoundError):
        local.ask("obj_delete", object_id="thing", digests=None)
    assert local.read("other").val == 1


def test_only_the_value_of_an_op_makes_an_object_an_op(local):
    local.publish("predict", OP)
    local.publish(
        "picture", {"_type": "CustomWeaveType", "weave_type": {"type": "PIL.Image.Image"}}
    )
    assert local.read("predict").kind == "op"
    assert local.read("picture").kind == "object"
    ops = local.ask("objs_query", filter={"is_op": True}).objs
    assert [o.object_id for o in ops] == ["predict"]


def test_the_class_of_an_object_comes_from_its_bases(local):
    bases = ["Model", "Object", "BaseModel"]
    local.publish("m", {"_type": "Mine", "_class_name": "Mine", "_bases": bases})
    found = local.read("m")
    assert (found.base_object_class, found.leaf_object_class) == ("Model", "Mine")
    assert local.ask("objs_query", filter={"base_object_classes": ["Model"]}).objs
    assert not local.ask("objs_query", filter={"base_object_classes": ["Dataset"]}).objs


@pytest.mark.parametrize("name", ["", "a" * 129, "a/b", "a b", "a:b", "../up"])
def test_a_name_that_no_ref_can_hold_is_refused(local, name):
    with pytest.raises(InvalidRequest, match="cannot name an object"):
        local.publish(name, 1)


def test_objects_sort_filter_and_page(local):
    for name in ("b", "a", "c"):
        local.publish(name, 1)
        local.publish(name, 2)
    order = [{"field": "object_id", "direction": "desc"}]
    latest = local.ask("objs_query", filter={"latest_only": True}, sort_by=order).objs
    assert [(o.object_id, o.val) for o in latest] == [("c", 2), ("b", 2), ("a", 2)]
    paged = local.ask("objs_query", filter={"object_ids": []}, limit=2, offset=1).objs
    assert [(o.object_id, o.val) for o in paged] == [("b", 2), ("a", 1)]
    with pytest.raises(InvalidFieldError):
        local.ask("objs_query", sort_by=[{"field": "val", "direction": "asc"}])


def test_metadata_comes_without_the_value(local):
    local.publish("thing", {"v": 1})
    assert local.ask("objs_query", metadata_only=True).objs[0].val == {}


def test_tags_and_aliases_come_when_they_are_asked_for(local):
    digest = local.publish("thing", 1)
    local.ask("obj_add_tags", object_id="thing", digest=digest, tags=["good", "old"])
    local.ask("obj_remove_tags", object_id="thing", digest=digest, tags=["old"])
    local.ask("obj_set_aliases", object_id="thing", digest=digest, aliases=["prod", "eu"])
    local.ask("obj_remove_aliases", object_id="thing", aliases=["eu"])
    assert local.read("thing").tags is None
    found = local.read("thing", include_tags_and_aliases=True)
    assert (found.tags, found.aliases) == (["good"], ["prod", "latest"])
    assert local.ask("tags_list").tags == ["good"]
    assert local.ask("aliases_list").aliases == ["prod"]
    with pytest.raises(InvalidRequest, match="already means"):
        local.ask("obj_set_aliases", object_id="thing", digest=digest, aliases=["v3"])


def test_another_server_on_the_store_sees_the_versions_and_adds_to_them(local):
    local.publish("thing", 1)
    other = Local(local.store)
    assert other.read("thing").val == 1
    other.publish("thing", 2)
    local.publish("thing", 3)
    seen = [(o.val, o.version_index) for o in local.ask("objs_query").objs]
    assert seen == [(1, 0), (2, 1), (3, 2)]
    assert [(o.val, o.version_index) for o in other.ask("objs_query").objs] == seen


def test_versions_survive_compaction(local):
    from llmwatch import settings
    from llmwatch.stream import spool
    from llmwatch.stream.compact import compact

    local.publish("thing", {"v": 1})
    local.publish("thing", {"v": 2})
    spool.close_all()
    compact(local.store.project("local", "p"), "_objects", settings=settings.load(worker=False))
    local.publish("thing", {"v": 3})
    again = Local(local.store)
    assert [again.read("thing", f"v{n}").val["v"] for n in range(3)] == [1, 2, 3]


def test_contents_are_private_to_the_user(local):
    local.publish("thing", 1)
    files = [p for p in local.store.root.rglob("objects/**/*") if p.is_file()]
    assert files
    assert {stat.S_IMODE(p.stat().st_mode) for p in files} == {0o600}


def test_a_digest_in_a_request_cannot_name_a_path(local):
    (local.store.root / "secret").write_bytes(b"x")
    for digest in ("../../../secret", "/etc/passwd", "..", ""):
        with pytest.raises(NotFoundError):
            local.ask("file_content_read", digest=digest)


def test_a_file_is_read_back_as_its_bytes(local):
    digest = local.server.file_create(
        {"project_id": PROJECT, "file": ("a.bin", b"\x00\xff")}
    ).digest
    assert local.ask("file_content_read", digest=digest).content == b"\x00\xff"
    assert local.ask("files_stats").total_size_bytes == 2


def test_what_a_reader_does_to_a_value_stays_with_that_reader(local):
    local.publish("thing", {"a": {"b": 1}})
    local.read("thing").val["a"].clear()
    assert local.read("thing").val == {"a": {"b": 1}}


def test_an_op_and_an_object_may_share_a_name(local):
    op = {"_type": "CustomWeaveType", "weave_type": {"type": "Op"}, "files": {}}
    digests = [local.publish("exact", val) for val in (op, {"v": 1}, op, {"v": 2})]
    assert digests[0] == digests[2]
    for is_op, latest in ((True, digests[0]), (False, digests[3])):
        filter_ = {"object_ids": ["exact"], "is_op": is_op, "latest_only": True}
        [found] = local.ask("objs_query", filter=filter_).objs
        assert (found.digest, found.version_index) == (latest, int(not is_op))
    assert local.read("exact", "v0").val == {"v": 1}
