"""Weave's trace server on a store: each method hands its request to the part that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llmwatch.backend import evaluation_runs, kinds, unoffered
from llmwatch.backend.projects import ProjectBackend, Projects
from llmwatch.store import Store

if TYPE_CHECKING:
    from weave.trace_server_bindings import models
    from weave.vendor.weave_server_sdk import types
    from weave.vendor.weave_server_sdk.types import objects as object_types
    from weave.vendor.weave_server_sdk.types.call_read_response import Call
    from weave.vendor.weave_server_sdk.types.table_query_response import Row

    from llmwatch.settings import Settings

Req = Mapping[str, Any]
_VERBS = {
    "create": "create",
    "read": "read",
    "list": "listed",
    "delete": "delete",
    "finish": "finish",
}


class LocalTraceServer:
    """Implements `TraceServerClientInterface`; any thread may call any method.

    Requests are dicts in wire form, answers the models of Weave's SDK. A method that is not here
    says so when it is called.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._projects = Projects(store, settings)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self._by_kind(name) or unoffered.method(name)

    def _by_kind(self, name: str) -> Callable[[Req], Any] | None:
        """The methods that are alike for objects, and for calls, of several kinds: `dataset_create`, ..."""
        kind, _, verb = name.rpartition("_")
        method = _VERBS.get(verb)
        if method is None or (kind in kinds.KINDS and verb == "finish"):
            return None
        if kind in kinds.KINDS:
            return lambda req: getattr(self._of(req).kinds, method)(kind, req)
        if kind in evaluation_runs.KINDS:
            return lambda req: getattr(self._of(req).runs, method)(kind, req)
        return None

    def _of(self, req: Req) -> ProjectBackend:
        return self._projects.get(req["project_id"])

    def holds(self, project_id: str, object_id: str | None, digest: str) -> bool:
        """Whether a project has this version of an object, deleted or not; without a name, this table."""
        parts = self._projects.get(project_id)
        if object_id is None:
            return parts.tables.has(digest)
        return parts.objects.has(object_id, digest)

    # --- calls --------------------------------------------------------------------------

    def call_start(self, req: Req) -> types.CallStartResponse:
        return self._of(req["start"]).calls.start(req["start"])

    def call_end(self, req: Req) -> object:
        self._of(req["end"]).calls.end(req["end"])
        return {}

    def call_start_batch(self, req: Req) -> types.CallUpsertBatchResponse:
        from weave.vendor.weave_server_sdk.types import CallUpsertBatchResponse

        done: list[Any] = []
        for each in req["batch"]:
            begins = each["mode"] == "start"
            done.append(self.call_start(each["req"]) if begins else self.call_end(each["req"]))
        return CallUpsertBatchResponse(res=done)

    def calls_complete(self, req: Req) -> object:
        batches: dict[str, list[Req]] = {}
        for call in req["batch"]:
            batches.setdefault(call["project_id"], []).append(call)
        for project_id, batch in batches.items():
            self._projects.get(project_id).calls.complete(batch)
        return {}

    def call_read(self, req: Req) -> types.CallReadResponse:
        return self._of(req).calls.read(req)

    def call_update(self, req: Req) -> object:
        self._of(req).calls.update(req)
        return {}

    def calls_delete(self, req: Req) -> types.CallDeleteResponse:
        return self._of(req).calls.delete(req)

    def calls_query(self, req: Req) -> models.CallsQueryRes:
        return self._of(req).calls.query(req)

    def calls_query_stream(self, req: Req) -> Iterator[Call]:
        return self._of(req).calls.query_stream(req)

    def call_values(self, req: Req) -> Iterator[dict[str, Any]]:
        """As `calls_query_stream`, without the models: what goes over the wire."""
        return self._of(req).calls.values(req)

    def calls_query_stats(self, req: Req) -> types.CallQueryStatsResponse:
        return self._of(req).calls.query_stats(req)

    def call_stats(self, req: Req) -> types.CallStatsResponse:
        return self._of(req).call_stats.stats(req)

    def trace_usage(self, req: Req) -> types.TraceUsageResponse:
        return self._of(req).usage.of_trace(req)

    def calls_usage(self, req: Req) -> types.CallUsageResponse:
        return self._of(req).usage.of_calls(req)

    def threads_query_stream(self, req: Req) -> Iterator[types.ThreadStreamQueryResponse]:
        return self._of(req).threads.query_stream(req)

    # --- objects ------------------------------------------------------------------------

    def obj_create(self, req: Req) -> types.ObjectCreateResponse:
        return self._of(req["obj"]).objects.create(req)

    def obj_read(self, req: Req) -> types.ObjectReadResponse:
        return self._of(req).objects.read(req)

    def objs_query(self, req: Req) -> types.ObjectQueryResponse:
        return self._of(req).objects.query(req)

    def obj_delete(self, req: Req) -> types.ObjectDeleteResponse:
        return self._of(req).objects.delete(req)

    def obj_add_tags(self, req: Req) -> object:
        self._of(req).objects.add_tags(req)
        return {}

    def obj_remove_tags(self, req: Req) -> object:
        self._of(req).objects.remove_tags(req)
        return {}

    def obj_set_aliases(self, req: Req) -> object:
        self._of(req).objects.set_aliases(req)
        return {}

    def obj_remove_aliases(self, req: Req) -> object:
        self._of(req).objects.remove_aliases(req)
        return {}

    def tags_list(self, req: Req) -> object_types.TagListResponse:
        return self._of(req).objects.tags_list()

    def aliases_list(self, req: Req) -> object_types.AliasListResponse:
        return self._of(req).objects.aliases_list()

    def refs_read_batch(self, req: Req) -> types.RefReadBatchResponse:
        return self._projects.refs.read_batch(req)

    # --- tables and files ---------------------------------------------------------------

    def table_create(self, req: Req) -> types.TableCreateResponse:
        return self._of(req["table"]).tables.create(req)

    def table_create_from_digests(self, req: Req) -> types.TableCreateFromDigestsResponse:
        return self._of(req).tables.create_from_digests(req)

    def table_update(self, req: Req) -> types.TableUpdateResponse:
        return self._of(req).tables.update(req)

    def table_query(self, req: Req) -> types.TableQueryResponse:
        return self._of(req).tables.query(req)

    def table_query_stream(self, req: Req) -> Iterator[Row]:
        return self._of(req).tables.query_stream(req)

    def table_query_stats(self, req: Req) -> types.TableQueryStatsResponse:
        return self._of(req).tables.query_stats(req)

    def table_query_stats_batch(self, req: Req) -> types.TableQueryStatsBatchResponse:
        return self._of(req).tables.query_stats_batch(req)

    def file_create(self, req: Req) -> types.FileCreateResponse:
        return self._of(req).files.create(req)

    def file_content_read(self, req: Req) -> models.FileContentReadRes:
        return self._of(req).files.content_read(req)

    def files_stats(self, req: Req) -> types.FileStatsResponse:
        return self._of(req).files.stats()

    # --- feedback and costs -------------------------------------------------------------

    def feedback_create(self, req: Req) -> types.FeedbackCreateResponse:
        return self._of(req).feedback.create(req)

    def feedback_create_batch(self, req: Req) -> types.FeedbackBatchCreateResponse:
        from weave.vendor.weave_server_sdk.types import FeedbackBatchCreateResponse

        made = [self.feedback_create(each).model_dump() for each in req["batch"]]
        return FeedbackBatchCreateResponse(res=made)

    def feedback_query(self, req: Req) -> types.FeedbackQueryResponse:
        return self._of(req).feedback.query(req)

    def feedback_purge(self, req: Req) -> object:
        self._of(req).feedback.purge(req)
        return {}

    def feedback_replace(self, req: Req) -> types.FeedbackReplaceResponse:
        return self._of(req).feedback.replace(req)

    def feedback_stats(self, req: Req) -> types.FeedbackStatsResponse:
        return self._of(req).feedback_stats.stats(req)

    def feedback_aggregate(self, req: Req) -> types.FeedbackAggregateResponse:
        return self._of(req).feedback_stats.aggregate(req)

    def feedback_payload_schema(self, req: Req) -> types.FeedbackPayloadSchemaResponse:
        return self._of(req).feedback_stats.payload_schema(req)

    def cost_create(self, req: Req) -> types.CostCreateResponse:
        return self._of(req).costs.create(req)

    def cost_query(self, req: Req) -> types.CostQueryResponse:
        return self._of(req).costs.query(req)

    def cost_purge(self, req: Req) -> object:
        self._of(req).costs.purge(req)
        return {}

    # --- the service --------------------------------------------------------------------

    def server_info(self) -> types.ServerInfoRes:
        from weave.trace_server_version import MIN_TRACE_SERVER_VERSION
        from weave.vendor.weave_server_sdk.types import ServerInfoRes

        version = MIN_TRACE_SERVER_VERSION or "0.0.0"
        return ServerInfoRes(
            min_required_weave_python_version="0.54.0", trace_server_version=version
        )

    def ensure_project_exists(self, entity: str, project: str) -> models.EnsureProjectExistsRes:
        from weave.trace_server_bindings.models import EnsureProjectExistsRes

        return EnsureProjectExistsRes(
            project_name=self._projects.store.project(entity, project).name
        )

    def projects_info(self, req: Req) -> types.ServiceProjectsInfoResponse:
        from weave.vendor.weave_server_sdk.types.service_projects_info_response import (
            ServiceProjectsInfoResponseItem,
        )

        return [
            ServiceProjectsInfoResponseItem(external_project_id=name, internal_project_id=name)
            for name in req["project_ids"]
        ]

    def project_stats(self, req: Req) -> types.ProjectStatsResponse:
        from weave.vendor.weave_server_sdk.types import ProjectStatsResponse

        parts = self._of(req)
        return ProjectStatsResponse(
            files_storage_size_bytes=parts.files.total_bytes(),
            objects_storage_size_bytes=parts.objects.total_bytes(),
            tables_storage_size_bytes=parts.tables.total_bytes(),
            trace_storage_size_bytes=parts.calls.total_bytes(),
        )
