from __future__ import annotations

import pytest
from local_backend import PROJECT
from weave.trace_server_bindings.client_interface import TraceServerClientInterface

from llmwatch.backend import evaluation_runs, kinds
from llmwatch.backend.server import LocalTraceServer
from llmwatch.backend.unoffered import NotOffered

METHODS = [name for name in vars(TraceServerClientInterface) if not name.startswith("_")]


OF_A_KIND = [
    f"{kind}_{verb}"
    for kind in (*kinds.KINDS, *evaluation_runs.KINDS)
    for verb in ("create", "read", "list", "delete")
]
OFFERED = {*vars(LocalTraceServer), *OF_A_KIND, "evaluation_run_finish", "prediction_finish"}


@pytest.mark.parametrize("name", [m for m in METHODS if m not in OFFERED])
def test_a_method_that_is_not_offered_says_so_and_what_there_is_instead(local, name):
    with pytest.raises(NotOffered, match=f"{name} is not available on the local backend: ."):
        getattr(local.server, name)({"project_id": PROJECT})


def test_every_public_method_is_one_of_weaves(local):
    offered = [name for name in vars(LocalTraceServer) if not name.startswith("_")]
    assert set(offered) <= {*METHODS, "holds", "call_values"}
    assert set(OF_A_KIND) <= set(METHODS)


def test_optional_parts_of_weaves_servers_are_absent(local):
    for name in ("call_processor", "get_feedback_processor", "_next_trace_server", "nonsense"):
        assert not hasattr(local.server, name)


def test_the_server_knows_its_projects(local):
    assert local.server.ensure_project_exists("local", "p").project_name == "p"
    assert local.server.server_info().min_required_weave_python_version
    [info] = local.server.projects_info({"project_ids": [PROJECT]})
    assert info.external_project_id == PROJECT


def test_project_stats_count_bytes(local):
    local.call("c1", inputs={"q": "x" * 100})
    local.publish("o", {"v": 1})
    stats = local.ask("project_stats")
    assert stats.trace_storage_size_bytes > 100
    assert stats.objects_storage_size_bytes == len('{"v": 1}')
    assert (stats.files_storage_size_bytes, stats.tables_storage_size_bytes) == (0, 0)
