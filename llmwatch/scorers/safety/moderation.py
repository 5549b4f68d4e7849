"""OpenAI's moderation of texts: in batches, remembered, and never the reason why a row has no score.

Only used when named (`Safety(moderation="omni-moderation-latest")`): texts then leave the machine.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

BATCH = 32
LONGEST = 20_000  # characters of a text that are sent
REMEMBERED = 10_000
PAUSE_S = 30.0  # after a failure, before the service is asked again
TIMEOUT_S = 8.0  # and once more: a batch of rows has half a minute for everything


class Judgement(NamedTuple):
    """What moderation said of a text, or why it said nothing."""

    flagged: bool | None
    score: float | None
    categories: tuple[str, ...] = ()
    error: str | None = None


class Moderation:
    """A moderation model of OpenAI, or of a server with its API."""

    def __init__(self, model: str, *, base_url: str | None = None, client: Any = None) -> None:
        self.model = model
        self._base_url = base_url
        self._client = client
        self._known: OrderedDict[str, Judgement] = OrderedDict()
        self._lock = threading.Lock()
        self._paused_until = 0.0
        self._why = ""

    def judge(self, texts: Sequence[str]) -> list[Judgement]:
        """One judgement a text, in their order. Never raises for what the service does."""
        keys = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() for text in texts]
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        waiting = list(missing)
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            found |= zip(batch, self._ask([missing[key] for key in batch]), strict=True)
        self._remember(found)
        return [found[key] for key in keys]

    def _ask(self, texts: list[str]) -> list[Judgement]:
        if time.monotonic() < self._paused_until:
            return [_unknown(f"not asked, after: {self._why}")] * len(texts)
        try:
            answer = self._connected().moderations.create(
                model=self.model, input=[_sendable(text) for text in texts]
            )
            judged = [_judged(result) for result in answer.results]
        except Exception as error:  # noqa: BLE001 - whatever a service or its client does, the row keeps its other scores
            return self._failed(f"{type(error).__name__}: {str(error)[:200]}", len(texts))
        if len(judged) != len(texts):
            return self._failed(f"{len(judged)} results for {len(texts)} texts", len(texts))
        return judged

    def _failed(self, why: str, count: int) -> list[Judgement]:
        self._why, self._paused_until = why, time.monotonic() + PAUSE_S
        return [_unknown(why)] * count

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                import openai

                self._client = openai.OpenAI(
                    base_url=self._base_url, timeout=TIMEOUT_S, max_retries=1
                )
            return self._client

    def _remember(self, found: dict[str, Judgement]) -> None:
        with self._lock:
            for key, judgement in found.items():
                if judgement.error is None:
                    self._known[key] = judgement
                    self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


def _unknown(why: str) -> Judgement:
    return Judgement(None, None, (), why)


def _sendable(text: str) -> str:
    return text[:LONGEST].encode("utf-8", "replace").decode("utf-8")


def _judged(result: Any) -> Judgement:
    categories = result.categories.model_dump(by_alias=True)
    scores = result.category_scores.model_dump(by_alias=True)
    named = tuple(sorted(name for name, hit in categories.items() if hit))
    numbers = [score for score in scores.values() if isinstance(score, (int, float))]
    return Judgement(bool(result.flagged), round(max(numbers, default=0.0), 4), named)
