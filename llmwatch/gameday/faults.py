"""The faults of a game day: what each does to a recorded call, and which metrics can show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

from llmwatch.drift import texts
from llmwatch.errors import SettingsError
from llmwatch.gameday.prompts import attack, foreign

Call = dict[str, Any]
"""A row with its JSON columns parsed, as `stream.exact` names them."""
_ANYTHING = ("kpi/", "performance/", "alerts/")
"""Metrics of a person's own: any fault may show in them."""
_TOKENS = ("prompt_tokens", "input_tokens", "promptTokenCount")
_TOTALS = ("total_tokens", "totalTokenCount")


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong with a share of the traces."""

    name: str
    said: str
    share: float
    change: Callable[[Call, Random], bool]
    """Changes a row of a trace in place; True when it did. The chance is the same for all rows of a trace."""
    shows: tuple[str, ...]
    """How the names of metrics begin that can show it."""
    setting: str
    """What to declare for it to be seen."""

    def seen_in(self, metric: str) -> bool:
        return metric.startswith((*self.shows, *_ANYTHING))


def _prompts(call: Call, chance: Random) -> bool:
    return _ask(call, foreign(chance))


def _injections(call: Call, chance: Random) -> bool:
    return _ask(call, attack(chance))


def _ask(call: Call, prompt: str) -> bool:
    """Put another prompt where the row's is."""
    for column in ("inputs", "data"):
        given = call.get(column)
        before = texts.of(given) if isinstance(given, dict) else None
        if before:
            call[column] = _replaced(given, before, prompt)
            call.pop("embedding", None)
            if call.get("prompt_chars") is not None:
                call["prompt_chars"] = len(prompt)
            return True
    return False


def _replaced(value: Any, before: str, after: str) -> Any:
    if isinstance(value, str):
        return after if value == before else value
    if isinstance(value, dict):
        return {key: _replaced(each, before, after) for key, each in value.items()}
    return [_replaced(each, before, after) for each in value] if isinstance(value, list) else value


def _nulls(call: Call, _: Random) -> bool:
    if call.get("data") is not None:
        return _each_output(call["data"], lambda _: None)
    return _is_root(call) and call.pop("output", None) is not None


def _malformed(call: Call, _: Random) -> bool:
    if call.get("data") is not None:
        return _each_output(call["data"], _cut_off)
    if not _is_root(call) or call.get("output") is None:
        return False
    call["output"] = _cut_off(call["output"])
    return True


def _each_output(data: dict[str, Any], change: Callable[[Any], Any]) -> bool:
    """Of a dict that was logged: its outputs, by their usual names."""
    names = [name for name in texts.OUTPUT_KEYS if data.get(name) is not None]
    data.update({name: change(data[name]) for name in names})
    return bool(names)


def _cut_off(output: Any) -> str:
    """The answer as JSON of which the end is missing, as when tokens ran out."""
    whole = orjson.dumps({"answer": output} if isinstance(output, str) else output).decode()
    half = whole[: max(2, len(whole) // 2)]
    return half if half.startswith("{") else f'{{"answer": {half}'


def _slow(call: Call, _: Random, times: float = 4.0) -> bool:
    place = call if call.get("latency_ms") is not None else call.get("data") or {}
    latency = place.get("latency_ms")
    if not isinstance(latency, (int, float)):
        return False
    place["latency_ms"] = latency * times
    if call.get("ended_at") is not None:
        call["ended_at"] += int(latency * (times - 1) * 1000)
    return True


def _errors(call: Call, _: Random) -> bool:
    if not _is_root(call) and call.get("model") is None:
        return False
    place = call if call.get("data") is None else call["data"]
    place |= {"status": "error", "exception_type": "APIConnectionError",
              "exception": "APIConnectionError: the provider cannot be reached"}  # fmt: skip
    place.pop("output", None)
    return True


def _cost(call: Call, _: Random, times: int = 6) -> bool:
    place = call if call.get("data") is None else call["data"]
    there = [name for name in ("prompt_tokens", "cost_usd") if _is_number(place.get(name))]
    if not there and not _scaled_usage(call, times):
        return False
    for name in there:
        place[name] *= times
    if there:
        _scaled_usage(call, times)
    return True


def _scaled_usage(value: Any, times: int) -> bool:
    """Every count of prompt tokens, wherever a provider's usage is."""
    if isinstance(value, list):
        return (
            sum(_scaled_usage(each, times) for each in value) > 0
        )  # each of them, not up to the first
    if not isinstance(value, dict):
        return False
    found = sum(_scaled_usage(v, times) for key, v in value.items() if key != "inputs") > 0
    for name in _TOKENS:
        tokens = value.get(name)
        if type(tokens) is int and any(total in value for total in (*_TOTALS, "requests")):
            value[name] = tokens * times
            for total in _TOTALS:
                if type(value.get(total)) is int:
                    value[total] += tokens * (times - 1)
            found = True
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_root(call: Call) -> bool:
    return call.get("parent_id") is None


FAULTS: Sequence[Fault] = (
    Fault(
        "prompts", "people ask about other things", 0.6, _prompts, ("drift/",),
        "[[drift.job]]: a run of the drift job every so often",
    ),
    Fault(
        "nulls", "a fifth of the answers is missing", 0.2, _nulls,
        ("outputs/null", "features/", "predictions/"),
        "outputs = true in a metric set, and a rule on outputs/null_rate",
    ),
    Fault(
        "malformed", "half of the answers is cut-off JSON", 0.5, _malformed,
        ("outputs/malformed", "features/", "drift/"),
        "outputs = true in a metric set, and a rule on outputs/malformed_rate",
    ),
    Fault(
        "slow", "calls take four times as long", 1.0, _slow, ("latency/", "throughput/"),
        "latency = true in a metric set, and a rule on latency/p50_ms",
    ),
    Fault(
        "errors", "a third of the calls fails", 0.33, _errors, ("errors/", "api/"),
        "errors = true in a metric set, and a rule on errors/total_rate_percent",
    ),
    Fault(
        "injections", "a quarter tries to talk the model into something", 0.25, _injections,
        ("safety/",),
        "the scorer safety, a kpi of score.safety.injection_flag, and a rule on it",
    ),
    Fault(
        "cost", "prompts have six times as many tokens", 1.0, _cost, ("cost/",),
        "cost = true in a metric set, and a rule on cost/avg_cost_per_request_usd",
    ),
)  # fmt: skip


def named(names: str | None) -> list[Fault]:
    """The faults of a list with commas; all of them without one."""
    if names is None:
        return list(FAULTS)
    known = {fault.name: fault for fault in FAULTS}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted or (unknown := [name for name in wanted if name not in known]):
        strange = ", ".join(unknown) if wanted else repr(names)
        raise SettingsError(f"{strange} is no fault; there are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(wanted)]
