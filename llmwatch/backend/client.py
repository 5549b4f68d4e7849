"""Weave's client, aware of traced functions, and that a process may move from one store to another."""

from __future__ import annotations

from typing import Any

from weave.trace.ref_util import get_ref, remove_ref
from weave.trace.refs import ObjectRef, TableRef
from weave.trace.weave_client import WeaveClient

from llmwatch.backend import callers
from llmwatch.tracing import naming
from llmwatch.tracing.row import Row

_HOLD_NOTHING = frozenset({str, int, float, bool, type(None)})


class LocalClient(WeaveClient):  # type: ignore[misc] # Weave is Any to the type checker
    """A `WeaveClient` that publishes again what carries a ref from another store.

    Weave marks an op or object as published by a ref of its project. The same project in another store
    has a ref of the same text and yet holds nothing, as in tests with a store each.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._here: set[Any] = set()
        super().__init__(*args, **options)

    def create_call(
        self,
        op: Any,
        inputs: dict[str, Any],
        parent: Any = None,
        attributes: dict[str, Any] | None = None,
        *args: Any,
        **options: Any,
    ) -> Any:
        if callers.watched is not None:
            noted = callers.watched.note(nested=parent is not None)
            attributes = {**(attributes or {}), **noted}
        return super().create_call(op, inputs, parent, attributes, *args, **options)

    def _save_nested_objects(self, obj: Any, name: str | None = None) -> Any:
        # Weave asks each value whether it is an op, which costs 10 ms for an answer with log-probabilities.
        kind = type(obj)
        if kind in _HOLD_NOTHING:
            return
        if kind is dict or kind is list:
            for value in obj.values() if kind is dict else obj:
                self._save_nested_objects(value)
            return
        self._forget_ref_from_elsewhere(obj)
        super()._save_nested_objects(obj, name)

    def _save_object_basic(
        self, val: Any, name: str | None = None, branch: str = "latest"
    ) -> ObjectRef:
        self._forget_ref_from_elsewhere(val)
        return super()._save_object_basic(val, name, branch)

    def _send_score_call(
        self, predict_call: Any, score_call: Any, scorer_object_ref: ObjectRef | None = None
    ) -> Any:
        # The thread that sends the score waits for the scorer's ref: what makes the ref has to be ahead of it in
        # the same queue, or all the threads come to wait for something behind them.
        if isinstance(score_call, Row) and score_call.plan.waiting is not None:
            naming.save_now(score_call.plan)
        return super()._send_score_call(predict_call, score_call, scorer_object_ref)

    def _forget_ref_from_elsewhere(self, obj: Any) -> None:
        ref = get_ref(obj)
        if isinstance(ref, (ObjectRef, TableRef)) and isinstance(ref._digest, str):
            key = (getattr(ref, "name", None), ref._digest)
            if key not in self._here:
                if self._ref_is_own(ref) and not self.server.holds(self.project_id, *key):
                    remove_ref(obj)
                else:
                    self._here.add(key)
