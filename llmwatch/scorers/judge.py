"""Judge: another model says how good an answer is, through the `openai` client, as a `weave.Scorer`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import weave
from pydantic import Field, PrivateAttr, field_validator

from llmwatch.errors import SettingsError
from llmwatch.scorers import costing, texts, tokens, usage
from llmwatch.scorers.judging import Answers, Pace, question_for, schema_for, verdict
from llmwatch.scorers.prices import Prices
from llmwatch.scorers.protocol import Row
from llmwatch.scorers.support import context_of

if TYPE_CHECKING:
    import openai

    from llmwatch.stream.query import Reader


class Judge(weave.Scorer):
    """Asks `model` whether an answer meets `criteria`, and gives `score` (0 to 1), `passed` and `reason`, and what asking cost.

    To make one is to allow it to send questions, contexts and answers to that model's service; nothing else does. The key is
    taken from the environment variable that `api_key_env` names, and from nowhere else.

    `fields` are more things to judge, each a name and what it means; each is answered with a number from 0 to 1.
    The same question is asked once (`remember` answers are kept in memory), at most `per_minute` a minute.
    """

    name: str | None = "judge"
    model: str
    criteria: str = "The answer is correct, complete, and backed by the context where there is one."
    fields: dict[str, str] = Field(default_factory=dict)
    pass_at: float = 0.5
    base_url: str | None = None
    api_key_env: str
    per_minute: float = 60.0
    timeout_s: float = 60.0
    max_tokens: int = 500
    longest: int = 30_000
    remember: int = 10_000
    _client: Any = PrivateAttr(default=None)
    _answers: Any = PrivateAttr(default=None)
    _pace: Any = PrivateAttr(default=None)
    _prices: Any = PrivateAttr(default=None)

    @field_validator("fields")
    @classmethod
    def _are_names(cls, fields: dict[str, str]) -> dict[str, str]:
        taken = {"score", "reason", "passed", "model", "cached"}
        if bad := [name for name in fields if not name.isidentifier() or name in taken]:
            raise ValueError(f"{bad[0]!r} cannot be a field of a judge")
        return fields

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self._answers, self._pace = Answers(self.remember), Pace(self.per_minute)

    def in_project(self, reader: Reader) -> Judge:
        """This judge with the prices of a project, for what asking it costs."""
        self._prices = Prices.of_project(reader)
        return self

    def close(self) -> None:
        """Let go of the connection; the next question opens another."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def score_rows(self, rows: Sequence[Row]) -> list[dict[str, Any] | None]:
        return [self.score_row(row) for row in rows]

    def score_row(self, row: Row) -> dict[str, Any] | None:
        answer = texts.answer_of(row)
        if not answer.strip() or row.get("status") in ("error", "running"):
            return None
        if row.get("kind") not in (None, "generation", "llm", "response"):
            return None
        return self._judge(texts.question_of(row), answer, context_of(row))

    @weave.op
    def score(self, *, output: Any, **inputs: Any) -> Any:
        found = self.score_row({"inputs": inputs, "output": output, "kind": "generation"})
        return found or {"score": None, "passed": None, "reason": "there is no answer"}

    def _judge(self, question: str, answer: str, context: str) -> dict[str, Any]:
        messages = question_for(self.criteria, self.fields, question, answer, context, self.longest)
        key = json.dumps([self.model, messages, self.fields], sort_keys=True)
        if (known := self._answers.get(key)) is not None:
            return {**known, "cached": True, "judge_cost_usd": 0.0}
        self._pace.wait()
        result = self._asked(messages)
        if result["score"] is not None:
            self._answers.put(key, result)
        return {**result, "cached": False}

    def _asked(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "max_completion_tokens": self.max_tokens,
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "verdict",
                    "strict": True,
                    "schema": schema_for(self.fields),
                },
            },
        }
        if not tokens.reasons(self.model):  # those take no temperature
            asked["temperature"] = 0
        reply = self._service().chat.completions.create(**asked)
        said = reply.choices[0].message if reply.choices else None
        result = verdict(getattr(said, "content", None), self.fields, self.pass_at)
        return {**result, "model": self.model, **self._cost(reply)}

    def _cost(self, reply: Any) -> dict[str, Any]:
        told: Mapping[str, Any] = reply.usage.model_dump() if reply.usage else {}
        used = usage.read(told)
        priced = costing.priced(
            self.model,
            used,
            self._prices or Prices(),
            datetime.now(timezone.utc),
            reply.service_tier,
        )
        return {
            "judge_prompt_tokens": used.prompt,
            "judge_completion_tokens": used.completion,
            "judge_cost_usd": priced["cost_usd"],
        }

    def _service(self) -> openai.OpenAI:
        if self._client is None:
            import openai

            key = os.environ.get(self.api_key_env)
            if not key:
                raise SettingsError(
                    f"judge {self.name!r} has no key: environment variable {self.api_key_env} is not set"
                )
            self._client = openai.OpenAI(
                api_key=key,
                base_url=self.base_url or "https://api.openai.com/v1",
                timeout=self.timeout_s,
                max_retries=5,
            )
        return self._client  # type: ignore[no-any-return]
