"""The paths of Weave's trace server: for each, the method it stands for and what its body holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Answer = Literal["object", "lines", "calls", "content"]
"""One JSON object; one JSON object a line; the same for calls; bytes."""


@dataclass(frozen=True)
class Endpoint:
    """One path. Parameters of the path and of the URL join what the body says."""

    verb: str
    path: str
    method: str
    params: str | None = None
    answer: Answer = "object"
    writes: bool = False


def _posts() -> Iterator[Endpoint]:
    for path, method, params in _READS:
        yield Endpoint("POST", path, method, params)
    for path, method, params in _WRITES:
        yield Endpoint("POST", path, method, params, writes=True)


_READS: tuple[tuple[str, str, str | None], ...] = (
    ("/call/read", "call_read", "CallReadParams"),
    ("/calls/query_stats", "calls_query_stats", "CallQueryStatsParams"),
    ("/calls/stats", "call_stats", "CallStatsParams"),
    ("/calls/usage", "calls_usage", "CallUsageParams"),
    ("/trace/usage", "trace_usage", "TraceUsageParams"),
    ("/obj/read", "obj_read", "ObjectReadParams"),
    ("/objs/query", "objs_query", "ObjectQueryParams"),
    ("/table/query", "table_query", "TableQueryParams"),
    ("/table/query_stats", "table_query_stats", "TableQueryStatsParams"),
    ("/table/query_stats_batch", "table_query_stats_batch", "TableQueryStatsBatchParams"),
    ("/refs/read_batch", "refs_read_batch", "RefReadBatchParams"),
    ("/files/query_stats", "files_stats", "FileStatsParams"),
    ("/cost/query", "cost_query", "CostQueryParams"),
    ("/feedback/query", "feedback_query", "FeedbackQueryParams"),
    ("/feedback/stats", "feedback_stats", "FeedbackStatsParams"),
    ("/feedback/aggregate", "feedback_aggregate", "FeedbackAggregateParams"),
    ("/feedback/payload_schema", "feedback_payload_schema", "FeedbackPayloadSchemaParams"),
    ("/project/stats", "project_stats", "ProjectStatsParams"),
    ("/service/projects_info", "projects_info", "ServiceProjectsInfoParams"),
)

_WRITES: tuple[tuple[str, str, str | None], ...] = (
    ("/call/start", "call_start", "CallStartParams"),
    ("/call/end", "call_end", "CallEndParams"),
    ("/call/upsert_batch", "call_start_batch", "CallUpsertBatchParams"),
    ("/call/update", "call_update", "CallUpdateParams"),
    ("/calls/delete", "calls_delete", "CallDeleteParams"),
    ("/obj/create", "obj_create", "ObjectCreateParams"),
    ("/obj/delete", "obj_delete", "ObjectDeleteParams"),
    ("/table/create", "table_create", "TableCreateParams"),
    ("/table/create_from_digests", "table_create_from_digests", "TableCreateFromDigestsParams"),
    ("/table/update", "table_update", "TableUpdateParams"),
    ("/cost/create", "cost_create", "CostCreateParams"),
    ("/cost/purge", "cost_purge", "CostPurgeParams"),
    ("/feedback/create", "feedback_create", "FeedbackCreateParams"),
    ("/feedback/batch/create", "feedback_create_batch", "FeedbackBatchCreateParams"),
    ("/feedback/purge", "feedback_purge", "FeedbackPurgeParams"),
    ("/feedback/replace", "feedback_replace", "FeedbackReplaceParams"),
    # not offered: they answer so
    ("/calls/score", "calls_score", "CallScoreParams"),
    ("/completions/create", "completions_create", None),
    ("/completions/create_stream", "completions_create_stream", None),
    ("/image/create", "image_create", None),
    ("/evaluations/evaluate_model", "evaluate_model", None),
    ("/evaluations/status", "evaluation_status", None),
    ("/evaluations/rescore", "rescore", None),
)

_OF_PROJECT = "/v2/{entity}/{project}"
_VERSION = "/objs/{object_id}/versions/{digest}"

_OTHERS = (
    Endpoint("POST", "/calls/stream_query", "calls_query_stream", "CallStreamQueryParams", "calls"),
    Endpoint("POST", "/calls/query", "calls_query_stream", "CallStreamQueryParams", "calls"),
    Endpoint(
        "POST", "/threads/stream_query", "threads_query_stream", "ThreadStreamQueryParams", "lines"
    ),
    Endpoint("POST", "/table/query_stream", "table_query_stream", "TableQueryParams", "lines"),
    Endpoint("POST", "/file/content", "file_content_read", "FileContentParams", "content"),
    Endpoint("GET", "/server_info", "server_info"),
    Endpoint("PUT", f"{_VERSION}/tags", "obj_add_tags", "TagAddParams", writes=True),
    Endpoint("POST", f"{_VERSION}/tags/remove", "obj_remove_tags", "TagRemoveParams", writes=True),
    Endpoint("PUT", "/objs/{object_id}/aliases", "obj_set_aliases", "AliasSetParams", writes=True),
    Endpoint(
        "POST",
        "/objs/{object_id}/aliases/remove",
        "obj_remove_aliases",
        "AliasRemoveParams",
        writes=True,
    ),
    Endpoint("GET", "/tags", "tags_list", "TagListParams"),
    Endpoint("GET", "/aliases", "aliases_list", "AliasListParams"),
    Endpoint(
        "POST",
        f"{_OF_PROJECT}/calls/complete",
        "calls_complete",
        "V2CallCompleteParams",
        writes=True,
    ),
    Endpoint("POST", f"{_OF_PROJECT}/call/start", "call_start", "CallStartParams", writes=True),
    Endpoint("POST", f"{_OF_PROJECT}/call/end", "call_end", "CallEndParams", writes=True),
    Endpoint(
        "POST", f"{_OF_PROJECT}/eval_results/query", "eval_results_query", "V2EvalResultQueryParams"
    ),
)


def _objects() -> Iterator[Endpoint]:
    """Objects of a kind, with paths of their own."""
    for name in ("op", "dataset", "scorer", "evaluation", "model"):
        kind, base = f"V2{name.capitalize()}", f"{_OF_PROJECT}/{name}s"
        one = f"{base}/{{object_id}}"
        yield Endpoint("POST", base, f"{name}_create", f"{kind}CreateParams", writes=True)
        yield Endpoint("GET", base, f"{name}_list", f"{kind}ListParams", "lines")
        yield Endpoint("DELETE", one, f"{name}_delete", f"{kind}DeleteParams", writes=True)
        yield Endpoint("GET", f"{one}/versions/{{digest}}", f"{name}_read")


def _calls() -> Iterator[Endpoint]:
    """What an evaluation is made of: calls, with paths of their own."""
    for name in ("evaluation_run", "prediction", "score"):
        kind = "V2" + "".join(word.capitalize() for word in name.split("_"))
        base, one = f"{_OF_PROJECT}/{name}s", f"{_OF_PROJECT}/{name}s/{{{name}_id}}"
        yield Endpoint("POST", base, f"{name}_create", f"{kind}CreateParams", writes=True)
        yield Endpoint("GET", base, f"{name}_list", f"{kind}ListParams", "lines")
        yield Endpoint("DELETE", base, f"{name}_delete", f"{kind}DeleteParams", writes=True)
        yield Endpoint("GET", one, f"{name}_read")
        if name != "score":
            yield Endpoint("POST", f"{one}/finish", f"{name}_finish", writes=True)


TABLE: tuple[Endpoint, ...] = (*_posts(), *_OTHERS, *_objects(), *_calls())
