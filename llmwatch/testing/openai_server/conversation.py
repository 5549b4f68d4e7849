"""What a chat or a responses request says, in one shape for both APIs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Message:
    role: str
    text: str
    images: int = 0


@dataclass(frozen=True)
class Tool:
    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Conversation:
    """The messages, and what the model may and must do."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """``auto``, ``none``, ``required``, or the name of the tool that must be called."""
    schema: dict[str, Any] | None = None
    json_mode: bool = False
    limit: int | None = None
    """The most tokens the reply may have."""
    reasoning_effort: str | None = None

    def last(self, role: str) -> str:
        """The text of the last message of a role, or ''."""
        return next((m.text for m in reversed(self.messages) if m.role == role), "")


def from_chat(body: dict[str, Any]) -> Conversation:
    """The conversation of a ``/chat/completions`` body."""
    return Conversation(
        messages=tuple(_chat_message(message) for message in body.get("messages") or ()),
        tools=_tools(body),
        tool_choice=_tool_choice(body.get("tool_choice")),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        reasoning_effort=body.get("reasoning_effort"),
        **_format(body.get("response_format") or {}),
    )


def from_responses(body: dict[str, Any], earlier: Sequence[Message] = ()) -> Conversation:
    """The conversation of a ``/responses`` body, after what was said earlier."""
    instructions = body.get("instructions")
    head = (Message("system", instructions),) if instructions else ()
    text_format = (body.get("text") or {}).get("format") or {}
    return Conversation(
        messages=(*head, *earlier, *input_messages(body.get("input") or "")),
        tools=_tools(body),
        tool_choice=_tool_choice(body.get("tool_choice")),
        limit=body.get("max_output_tokens"),
        reasoning_effort=(body.get("reasoning") or {}).get("effort"),
        **_format(text_format),
    )


def input_messages(given: str | list[Any]) -> tuple[Message, ...]:
    """The messages of a responses ``input``: text, or a list of items."""
    if isinstance(given, str):
        return (Message("user", given),)
    return tuple(message for item in given for message in _input_item(item))


def _input_item(item: dict[str, Any]) -> Iterable[Message]:
    kind = item.get("type", "message")
    if kind == "message":
        text, images = _content(item.get("content"))
        yield Message(item.get("role", "user"), text, images)
    elif kind == "function_call":
        yield Message("assistant", f"{item.get('name')}({item.get('arguments')})")
    elif kind.endswith("_call_output"):
        yield Message("tool", _content(item.get("output"))[0])


def _chat_message(message: dict[str, Any]) -> Message:
    text, images = _content(message.get("content"))
    calls = (call.get("function") or {} for call in message.get("tool_calls") or ())
    called = " ".join(f"{call.get('name')}({call.get('arguments')})" for call in calls)
    joined = "\n".join(part for part in (text, called) if part)
    return Message(message.get("role", "user"), joined, images)


def _content(content: Any) -> tuple[str, int]:
    if content is None or isinstance(content, str):
        return content or "", 0
    if not isinstance(content, list):
        return json.dumps(content), 0
    texts = [part.get("text") or part.get("refusal") or "" for part in content]
    images = sum("image" in part.get("type", "") for part in content)
    return "\n".join(text for text in texts if text), images


def _tools(body: dict[str, Any]) -> tuple[Tool, ...]:
    """Function tools; the chat API nests them under ``function``, the responses API does not."""
    functions = (
        tool.get("function", tool)
        for tool in body.get("tools") or ()
        if tool.get("type") == "function"
    )
    return tuple(
        Tool(f["name"], f.get("description") or "", f.get("parameters") or {}) for f in functions
    )


def _tool_choice(given: Any) -> str:
    if isinstance(given, dict):
        return str(given.get("name") or (given.get("function") or {}).get("name") or "required")
    return given or "auto"


def _format(given: dict[str, Any]) -> dict[str, Any]:
    nested = given.get("json_schema") or given
    kind = given.get("type")
    schema = nested.get("schema") if kind == "json_schema" else None
    return {"schema": schema, "json_mode": kind == "json_object"}
