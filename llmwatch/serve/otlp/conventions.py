"""What the attributes of a span mean: OpenTelemetry's GenAI conventions, older spellings of them, and OpenInference.

A span may follow more than one; the first that says something is believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmwatch.serve.otlp.spans import Event, Span

_KINDS = {
    # gen_ai.operation.name
    "chat": "llm",
    "text_completion": "llm",
    "completion": "llm",
    "generate_content": "llm",
    "embeddings": "embedding",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "chain",
    "retrieval": "search",
    # openinference.span.kind, traceloop.span.kind
    "llm": "llm",
    "embedding": "embedding",
    "retriever": "search",
    "reranker": "reranker",
    "tool": "tool",
    "agent": "agent",
    "chain": "chain",
    "workflow": "chain",
    "task": "chain",
    "guardrail": "guardrail",
    "evaluator": "evaluator",
    "prompt": "prompt",
}
_KIND = ("gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind", "wandb.kind")
_MODEL = (
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.model_name",
    "embedding.model_name",
    "reranker.model_name",
)
_TOKENS: dict[str, tuple[str, ...]] = {
    "prompt_tokens": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "llm.usage.prompt_tokens",
    ),
    "completion_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "llm.usage.completion_tokens",
    ),
    "total_tokens": (
        "gen_ai.usage.total_tokens",
        "llm.usage.total_tokens",
        "llm.token_count.total",
    ),
    "cache_read_input_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "cache_creation_input_tokens": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
}
_SESSION = ("wandb.thread_id", "gen_ai.conversation.id", "session.id")
_USER = ("user.id", "enduser.id")
_INPUT = {
    "messages": ("gen_ai.input.messages", "llm.input_messages.", "gen_ai.prompt."),
    "system_instructions": ("gen_ai.system_instructions",),
    "tools": ("gen_ai.tool.definitions", "llm.tools.", "llm.request.functions."),
    "arguments": ("gen_ai.tool.call.arguments", "tool.parameters"),
    "prompts": ("llm.prompts.",),
    "texts": ("embedding.embeddings.",),
    "documents": ("reranker.input_documents.",),
    "query": ("reranker.query",),
    "input": ("input.value", "traceloop.entity.input", "gen_ai.prompt"),
}
"""What a call was given; a name that ends in a dot stands for all that begin with it."""
_OUTPUT = {
    "messages": ("gen_ai.output.messages", "llm.output_messages.", "gen_ai.completion."),
    "result": ("gen_ai.tool.call.result",),
    "documents": ("retrieval.documents.", "reranker.output_documents."),
    "output": ("output.value", "traceloop.entity.output", "gen_ai.completion"),
}
_WRAPPERS = ("message", "tool_call", "document", "embedding", "tool", "prompt", "message_content")
"""OpenInference puts each element of a list under one more name."""
_SAID_IN = (
    "gen_ai.client.inference.operation.details",
    "gen_ai.content.prompt",
    "gen_ai.content.completion",
)
"""Events that say what attributes could have."""
_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_CHOICE = "gen_ai.choice"


@dataclass
class Meaning:
    """What a span says of a call."""

    kind: str | None = None
    model: str | None = None
    usage: dict[str, int] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    output: Any = None
    session_id: str | None = None
    user_id: str | None = None
    used: set[str] = field(default_factory=set)
    """The attributes that are told in inputs or output, and need not be kept twice."""


def meaning(span: Span) -> Meaning:
    said = dict(span.attributes)
    for event in span.events:
        if event.name in _SAID_IN:
            said = {**event.attributes, **said}
    found = Meaning(
        kind=_kind(said),
        model=_text(said, _MODEL),
        usage=_usage(said),
        session_id=_text(said, _SESSION),
        user_id=_text(said, _USER),
    )
    found.inputs = _parts(said, _INPUT, found.used)
    outputs = _parts(said, _OUTPUT, found.used)
    _add_messages(span.events, found.inputs, outputs)
    found.inputs = _model_inputs(found, said) | found.inputs
    found.output = outputs.get("output") if set(outputs) == {"output"} else outputs or None
    return found


def _kind(said: Mapping[str, Any]) -> str | None:
    words = (str(said[name]).lower() for name in _KIND if said.get(name))
    return next((_KINDS[word] for word in words if word in _KINDS), None)


def _text(said: Mapping[str, Any], names: Iterable[str]) -> str | None:
    return next((str(said[name]) for name in names if said.get(name) not in {None, ""}), None)


def _usage(said: Mapping[str, Any]) -> dict[str, int]:
    found = {}
    for name, spellings in _TOKENS.items():
        counts = (said.get(each) for each in spellings)
        count = next((n for n in counts if _is_count(n)), None)
        if count is not None:
            found[name] = int(count)
    return found


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**53


def _parts(
    said: Mapping[str, Any], wanted: Mapping[str, tuple[str, ...]], used: set[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part, names in wanted.items():
        for name in names:
            value, keys = _at(said, name)
            if keys:
                used |= keys
                if part == "input" and found:
                    break  # the messages, once more
                found[part] = value
                break
    if len(found) > 1 and "output" in found:
        del found["output"]  # the messages, once more
    return found


def _at(said: Mapping[str, Any], name: str) -> tuple[Any, set[str]]:
    if not name.endswith("."):
        return (_parsed(said[name]), {name}) if name in said else (None, set())
    keys = {key for key in said if key.startswith(name) and key[len(name) :][:1].isdigit()}
    return (_nested({key[len(name) :]: said[key] for key in keys}) if keys else None), keys


def _nested(flat: Mapping[str, Any]) -> Any:
    """Dotted names with numbers in them as lists of objects: `0.role`, `0.content`, `1.role`, ..."""
    tree: dict[str, Any] = {}
    for name in sorted(flat):
        at = tree
        *path, last = name.split(".")
        for step in path:
            inner = at.setdefault(step, {})
            at = inner if isinstance(inner, dict) else at
        at.setdefault(
            last, _parsed(flat[name]) if last.endswith(("parameters", "metadata")) else flat[name]
        )
    return _listed(tree)


def _listed(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    inner = {key: _listed(each) for key, each in tree.items()}
    if (
        len(inner) == 1
        and (name := next(iter(inner))) in _WRAPPERS
        and isinstance(inner[name], dict)
    ):
        return inner[name]
    if inner and all(key.isdecimal() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


def _parsed(value: Any) -> Any:
    """JSON text as what it says; other text, and numbers in text, as they are."""
    if not isinstance(value, str) or value[:1] not in {"{", "["}:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _add_messages(events: Iterable[Event], inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    """Messages that are events of their own, one each."""
    given, chosen = [], []
    for event in events:
        content = {
            key: _parsed(each) for key, each in event.attributes.items() if key != "gen_ai.system"
        }
        if event.name in _ROLES:
            given.append({"role": _ROLES[event.name], **content})
        elif event.name == _CHOICE:
            chosen.append(content)
    if given:
        inputs.setdefault("messages", given)
    if chosen:
        outputs.setdefault("messages", chosen)


def _model_inputs(found: Meaning, said: Mapping[str, Any]) -> dict[str, Any]:
    """What a model was asked with: its name and the settings of the request."""
    if found.kind != "llm":
        return {}
    asked: dict[str, Any] = {"model": _text(said, _MODEL[1:]) or found.model}
    prefix = "gen_ai.request."
    for name, value in said.items():
        if name.startswith(prefix) and name != "gen_ai.request.model":
            asked[name.removeprefix(prefix)] = value
            found.used.add(name)
    settings = _parsed(said.get("llm.invocation_parameters"))
    if isinstance(settings, dict):
        found.used.add("llm.invocation_parameters")
        asked = {**settings, **asked}
    return {name: value for name, value in asked.items() if value is not None}
