"""The texts of a row, however its call was made: what was asked, with which context, and what was answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from llmwatch.scorers.protocol import Row

Message = Mapping[str, Any]

_PROMPTS = ("messages", "input", "prompt", "contents", "question", "query")


def inputs_of(row: Row) -> Mapping[str, Any]:
    inputs = row.get("inputs")
    return inputs if isinstance(inputs, Mapping) else {}


def model_of(row: Row) -> str | None:
    """The model that answered, else the one that was asked."""
    output = row.get("output")
    places = (row, output if isinstance(output, Mapping) else {}, inputs_of(row))
    found = (place.get("model") for place in places)
    return next((name for name in found if isinstance(name, str) and name), None)


def messages_of(inputs: Mapping[str, Any]) -> list[Message]:
    """The chat messages of a call, those of a responses call and its instructions too; empty when it was no chat.

    >>> messages_of({"instructions": "Be brief.", "input": "Why?"})
    [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Why?'}]
    """
    said = inputs.get("messages")
    if not _is_list(said):
        said = inputs.get("input")
        if isinstance(said, str) and "model" not in inputs and "instructions" not in inputs:
            return []
    if isinstance(said, str):
        said = [{"role": "user", "content": said}]
    if not _is_list(said) or not all(isinstance(each, Mapping) for each in said):
        return []
    above = inputs.get("instructions") or inputs.get("system")
    first: list[Message] = [{"role": "system", "content": above}] if above else []
    return [*first, *said]


def question_of(row: Row) -> str:
    """What was asked: the last message of the user, else the prompt, else the first text among the inputs."""
    inputs = inputs_of(row)
    asked = [message for message in messages_of(inputs) if message.get("role") == "user"]
    if asked:
        return text_of(asked[-1].get("content"))
    named = [inputs[name] for name in _PROMPTS if isinstance(inputs.get(name), str)]
    texts = named or [value for value in inputs.values() if isinstance(value, str)]
    return texts[0] if texts else ""


def answers_of(output: Any) -> list[str]:
    """The text of each answer in an output: of every choice of a chat, else one.

    >>> answers_of({"choices": [{"message": {"content": "Yes."}}, {"message": {"content": "No."}}]})
    ['Yes.', 'No.']
    >>> answers_of("Yes.")
    ['Yes.']
    """
    if isinstance(output, str):
        return [output]
    if _is_list(output):
        return [text for item in output for text in answers_of(item)]
    if not isinstance(output, Mapping):
        return []
    if _is_list(choices := output.get("choices")):
        return [text for text in map(_of_choice, choices) if text]
    for name in (
        "output_text",
        "output",
        "content",
        "answer",
        "text",
        "response",
        "completion",
        "result",
        "message",
    ):
        if name in output and (text := text_of(output[name])):
            return [text]
    return []


def answer_of(row: Row) -> str:
    """The answer of a row, its choices one after another."""
    return "\n".join(answers_of(row.get("output")))


def _of_choice(choice: Any) -> str:
    if not isinstance(choice, Mapping):
        return ""
    message = choice.get("message")
    return text_of(message) if isinstance(message, Mapping) else text_of(choice.get("text"))


def text_of(content: Any) -> str:
    """The text of a message, of a list of its parts, or of a part.

    >>> text_of(
    ...     [
    ...         {"type": "text", "text": "one"},
    ...         {"type": "image_url"},
    ...         {"type": "text", "text": "two"},
    ...     ]
    ... )
    'one\\ntwo'
    """
    if isinstance(content, str):
        return content
    if _is_list(content):
        return "\n".join(filter(None, map(text_of, content)))
    if isinstance(content, Mapping):
        return next(
            filter(
                None, (text_of(content.get(name)) for name in ("text", "content", "parts", "value"))
            ),
            "",
        )
    return ""


def strings_in(value: Any, *, depth: int = 8) -> Iterator[str]:
    """Every text inside a value, as deep as a person would write one."""
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, Mapping):
        for each in value.values():
            yield from strings_in(each, depth=depth - 1)
    elif depth and _is_list(value):
        for each in value:
            yield from strings_in(each, depth=depth - 1)


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
