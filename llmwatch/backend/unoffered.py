"""Methods of Weave's trace server that the local backend has not got, and what there is instead."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

from llmwatch.errors import LlmwatchError

_INSTEAD = {
    "agent_": "it is part of W&B's agents view; the spans themselves are calls: get_calls finds them",
    "annotation_queue": "queues are worked through in W&B's page; feedback and labels are kept here",
    "annotator_queue": "queues are worked through in W&B's page; feedback and labels are kept here",
    "calls_score": "scorers run in your process (call.apply_scorer) or by `llmwatch score`",
    "completions_create": "the backend calls no model: call your provider's client in your code, traced",
    "image_create": "the backend calls no model: call your provider's client in your code, traced",
    "custom_runtime": "it runs code on W&B's machines",
    "dataset_sources": "it links datasets in W&B's registry",
    "source_datasets": "it links datasets in W&B's registry",
    "eval_results_query": "get_calls on the evaluation's calls has the same rows",
    "evaluate_model": "evaluations run in your process: weave.Evaluation(...).evaluate(model)",
    "evaluation_status": "evaluations run in your process: weave.Evaluation(...).evaluate(model)",
    "rescore": "evaluations run in your process: weave.Evaluation(...).evaluate(model)",
    "otel_export": "`llmwatch serve` takes OpenTelemetry spans at /otel/v1/traces",
    "project_ttl": "how long rows are kept is the setting retention_days",
}


class NotOffered(LlmwatchError):
    """The local backend has no such method."""


def method(name: str) -> Callable[..., NoReturn]:
    """A method that says it is not available; AttributeError for what no trace server has.

    Weave looks for optional parts of a server with `hasattr`, which must stay false.
    """
    if name not in _interface():
        raise AttributeError(f"the local backend has no {name!r}")
    instead = next((f": {said}" for begin, said in _INSTEAD.items() if name.startswith(begin)), "")

    def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise NotOffered(f"{name} is not available on the local backend{instead}")

    refuse.__name__ = name
    return refuse


@cache
def _interface() -> frozenset[str]:
    from weave.trace_server_bindings.client_interface import TraceServerClientInterface

    return frozenset(name for name in vars(TraceServerClientInterface) if not name.startswith("_"))
