"""Counting the tokens of a row that nobody reported: the messages of a chat with what wraps them, tools, images, answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmwatch.scorers import encodings, images, texts
from llmwatch.scorers.protocol import Row

_PER_MESSAGE, _PER_NAME, _PER_REPLY = 3, 1, 3
_REASONS = ("o1", "o3", "o4", "gpt-5", "gpt-oss")
"""Models that think in tokens which are billed and not shown."""


@dataclass(frozen=True)
class Count:
    """Tokens; `why` says what makes the number an estimate, and is empty when nothing does."""

    tokens: int
    why: tuple[str, ...] = ()

    def __add__(self, other: Count) -> Count:
        return Count(self.tokens + other.tokens, tuple(dict.fromkeys((*self.why, *other.why))))


_NONE = Count(0)


def prompt(row: Row, model: str | None) -> Count | None:
    """The tokens that went in; None when nothing that the row holds could have been a prompt."""
    inputs = texts.inputs_of(row)
    counter = _Counter(model)
    if messages := texts.messages_of(inputs):
        return counter.chat(messages) + counter.tools(
            inputs.get("tools") or inputs.get("functions")
        )
    for name in ("prompt", "input", "contents", "text", "texts"):
        found = list(texts.strings_in(inputs.get(name)))
        if found:
            return counter.plain(found)
    return None


def completion(row: Row, model: str | None) -> Count | None:
    """The tokens that came out, of what of a stream has arrived; None when there is no answer."""
    counter = _Counter(model)
    output = row.get("output")
    if _is_embedding(output):
        return _NONE
    calls = list(_tool_calls(output))
    answers = texts.answers_of(output)
    if not answers and not calls:
        return None
    total = counter.plain(answers) + counter.tool_calls(calls)
    if reasons(model):
        total += Count(0, ("reasoning is not shown",))
    return total


def reasons(model: str | None) -> bool:
    """Whether a model thinks in tokens that it does not show."""
    return (model or "").rpartition("/")[2].startswith(_REASONS)


def chat(messages: Sequence[Mapping[str, Any]], model: str, tools: Sequence[Any] = ()) -> int:
    """The prompt tokens of a chat as OpenAI counts them: 3 around each message, 1 a name, 3 before the reply.

    >>> chat([{"role": "user", "content": "hello"}], "gpt-4o")
    8
    """
    counter = _Counter(model)
    return (counter.chat(messages) + counter.tools(tools)).tokens


class _Counter:
    def __init__(self, model: str | None) -> None:
        self.model = (model or "").rpartition("/")[2]
        self.encoding = encodings.of_model(model)

    def text(self, text: str) -> Count:
        why = () if self.encoding.exact else (f"counted as {self.encoding.name}",)
        return Count(encodings.count(text, self.encoding.name), why)

    def plain(self, found: Iterable[str]) -> Count:
        return sum(map(self.text, found), _NONE)

    # --- messages ------------------------------------------------------------------------

    def chat(self, messages: Iterable[Mapping[str, Any]]) -> Count:
        return sum(map(self._message, messages), Count(_PER_REPLY))

    def _message(self, message: Mapping[str, Any]) -> Count:
        total = Count(_PER_MESSAGE)
        for key, value in message.items():
            if key in ("tool_calls", "function_call"):
                total += self.tool_calls(value if isinstance(value, list) else [value])
            elif isinstance(value, str) and key not in ("type", "id", "status"):
                total += self.text(value)
            elif key == "content":
                total += self._parts(value)
            if key == "name":
                total += Count(_PER_NAME)
        return total

    def _parts(self, content: Any) -> Count:
        parts = content if isinstance(content, list) else [content]
        return sum((self._part(part) for part in parts if isinstance(part, Mapping)), _NONE)

    def _part(self, part: Mapping[str, Any]) -> Count:
        kind = str(part.get("type", ""))
        if "image" in kind:
            return self._image(part)
        if "audio" in kind or "file" in kind:
            return Count(0, (f"a part of type {kind[:20]} is not counted",))
        return self.text(texts.text_of(part))

    def _image(self, part: Mapping[str, Any]) -> Count:
        told = part.get("image_url")
        url, detail = told, part.get("detail")
        if isinstance(told, Mapping):
            url, detail = told.get("url"), told.get("detail", detail)
        size = images.size_of_url(url)
        tokens = images.tokens(self.model, size or images.TYPICAL, str(detail or "auto"))
        if tokens is None:
            tokens = images.tokens("gpt-4o", size or images.TYPICAL) or 0
            return Count(tokens, ("images counted as gpt-4o has them",))
        # with low detail the size does not matter
        known = size is not None or (detail == "low" and images.is_tiled(self.model))
        return Count(tokens, () if known else ("the size of an image is not known",))

    # --- tools ---------------------------------------------------------------------------

    def tools(self, tools: Any) -> Count:
        """Definitions of functions, as OpenAI's cookbook found that they are counted."""
        found = [each.get("function", each) for each in tools or () if isinstance(each, Mapping)]
        functions = [each for each in found if isinstance(each, Mapping) and "name" in each]
        if not functions:
            return _NONE
        start = 10 if self.encoding.name == "cl100k_base" else 7
        total = sum(
            (self._function(each) for each in functions), Count(12 + start * len(functions))
        )
        return total + Count(0, ("tools are counted by a rule of thumb",))

    def _function(self, function: Mapping[str, Any]) -> Count:
        total = self.text(f"{function['name']}:{_sentence(function.get('description'))}")
        schema = function.get("parameters")
        properties = schema.get("properties") if isinstance(schema, Mapping) else None
        if not isinstance(properties, Mapping) or not properties:
            return total
        return sum(
            (self._property(name, each) for name, each in properties.items()), total + Count(3)
        )

    def _property(self, name: str, said: Any) -> Count:
        said = said if isinstance(said, Mapping) else {}
        choices = said.get("enum")
        total = Count(3)
        if isinstance(choices, list):
            total += sum((self.text(str(each)) for each in choices), Count(3 * len(choices) - 3))
        return total + self.text(
            f"{name}:{said.get('type', '')}:{_sentence(said.get('description'))}"
        )

    def tool_calls(self, calls: Iterable[Any]) -> Count:
        """Calls of tools: their names and arguments; what stands around them is not published."""
        functions = [each.get("function", each) for each in calls if isinstance(each, Mapping)]
        said = [
            str(each.get(key, ""))
            for each in functions
            if isinstance(each, Mapping)
            for key in ("name", "arguments")
        ]
        if not said:
            return _NONE
        return self.plain(said) + Count(0, ("tool calls are counted by a rule of thumb",))


def _sentence(text: Any) -> str:
    return text.removesuffix(".") if isinstance(text, str) else ""


def _tool_calls(output: Any) -> Iterable[Any]:
    if not isinstance(output, Mapping):
        return
    for choice in output.get("choices") or ():
        message = choice.get("message") if isinstance(choice, Mapping) else None
        if isinstance(message, Mapping):
            yield from message.get("tool_calls") or ()
    for item in output["output"] if isinstance(output.get("output"), list) else ():
        if isinstance(item, Mapping) and item.get("type") == "function_call":
            yield item


def _is_embedding(output: Any) -> bool:
    """What embeds says nothing: its answer has no tokens."""
    return (
        isinstance(output, Mapping)
        and isinstance(output.get("data"), list)
        and "choices" not in output
    )
