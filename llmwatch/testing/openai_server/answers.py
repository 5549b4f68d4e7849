"""The default reply: extracted from the prompt's context when there is one, a template otherwise."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from .deterministic import draw, pick
from .examples import example
from .reply import Reply, ToolCall
from .words import content_words, sentences, stems

if TYPE_CHECKING:
    from .conversation import Conversation, Tool
    from .request import Request

NOT_FOUND = "I could not find an answer to that in the context."

_CONTEXT = re.compile(
    r"<(?P<tag>context|documents?|sources?|passages?)\b[^>]*>(?P<tagged>.*?)</(?P=tag)>"
    r"|^\W*(?:[\w' ]{0,40}\b)?(?:context|documents?|sources?|passages?|excerpts?|search results|"
    r"knowledge(?: base)?)\b[^\n:.?!]{0,40}:(?P<marked>.*?)(?=^\W*(?:\w+ )?(?:question|query|answer)\W*:|\Z)",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_LONG = 200
_OPENINGS = ["", "According to the context: ", "From what I have here: ", "In short: "]
_TEMPLATES = [
    "Here is what matters about {topic}: start from what you know, check {first} first, and keep it simple.",
    "{Topic} comes down to {first}. Take it one step at a time and test each step.",
    "A short answer on {topic}: begin with {first}, then look at the rest in turn.",
]
_PROSE_FIELDS = ("answer", "reply", "response", "text", "summary", "content", "message", "explanation",
                 "reason", "reasoning", "description")  # fmt: skip


def default_reply(request: Request) -> Reply:
    """A tool call when one fits the question, else JSON when asked for, else text."""
    talk = request.conversation
    tool = _tool_to_call(talk, request.question)
    if tool:
        return Reply(tool_calls=[_call(tool, request)], confidence=0.9)
    told = answer(request)
    if talk.schema is not None:
        prose = dict.fromkeys(_PROSE_FIELDS, told.content or "")
        filled = example(talk.schema, request.question, prose)
        return Reply(content=json.dumps(filled, ensure_ascii=False), confidence=told.confidence)
    if talk.json_mode:
        content = json.dumps({"answer": told.content}, ensure_ascii=False)
        return Reply(content=content, confidence=told.confidence)
    return told


def answer(request: Request) -> Reply:
    """The answer in prose: sentences of the context, or a template about the question's words."""
    question = request.question
    context = find_context(request.conversation, question)
    variant = _variant(request)
    if context is None:
        return Reply(content=_templated(question, variant), confidence=0.7)
    found = nearest_sentences(question, context)
    if not found:
        return Reply(content=NOT_FOUND, confidence=0.4)
    opening = _OPENINGS[int(variant * len(_OPENINGS))]
    return Reply(content=opening + " ".join(found), confidence=0.93)


def _variant(request: Request) -> float:
    """0 for the plain wording. Other choices, and a temperature with a seed, get other wordings."""
    seed, temperature = request.body.get("seed"), request.body.get("temperature")
    if temperature == 0 or (seed is None and request.choice == 0):
        return 0.0
    return draw("variant", seed, request.choice, request.question)


def _templated(question: str, variant: float) -> str:
    topic = list(dict.fromkeys(content_words(question)))
    if not topic:
        return "Hello! How can I help you today?"
    template = _TEMPLATES[int(variant * len(_TEMPLATES))]
    about = " ".join(topic[:5])
    first = pick(topic, "first", question)
    return template.format(topic=about, Topic=about[:1].upper() + about[1:], first=first)


def find_context(talk: Conversation, question: str) -> str | None:
    """The text the model is to answer from, or None when the prompt brings none.

    Tool results come first; then what stands in ``<context>`` tags or after ``Context:`` and its
    like; then whatever long text the user put beside the question.
    """
    if talk.messages and talk.messages[-1].role == "tool":
        return _trailing_tool_results(talk)
    prompt = "\n".join(m.text for m in talk.messages if m.role not in ("assistant", "tool"))
    marked = [
        m["tagged"] or m["marked"] for m in _CONTEXT.finditer(prompt) if m["tagged"] or m["marked"]
    ]
    if any(text.strip() for text in marked):
        return _without("\n".join(marked), question)
    beside = _without(talk.last("user"), question)
    return beside if len(beside) >= _LONG else None


def _trailing_tool_results(talk: Conversation) -> str:
    results: list[str] = []
    for message in reversed(talk.messages):
        if message.role != "tool":
            break
        results.insert(0, message.text)
    return "\n".join(results)


def _without(text: str, question: str) -> str:
    return text.replace(question, "").strip() if question else text


def nearest_sentences(question: str, context: str, most: int = 2) -> list[str]:
    """The sentences that share the question's rarer words, in the order of the context.

    A lone sentence (a tool's result) needs nothing in common with the question.
    """
    candidates = list(dict.fromkeys(sentences(context)))
    if len(candidates) <= 1:
        return candidates
    bags = [set(stems(sentence)) for sentence in candidates]
    spread = Counter(word for bag in bags for word in bag)
    asked = set(stems(question))
    scores = [sum(math.log(1 + len(bags) / spread[w]) for w in sorted(asked & bag)) for bag in bags]
    best = max(scores)
    ranked = sorted(range(len(bags)), key=lambda index: -scores[index])[:most]
    return [candidates[i] for i in sorted(ranked) if best > 0 and scores[i] >= 0.6 * best]


def _tool_to_call(talk: Conversation, question: str) -> Tool | None:
    """The tool that is forced, or whose name and description share most words with the question."""
    after_result = bool(talk.messages) and talk.messages[-1].role == "tool"
    if not talk.tools or talk.tool_choice == "none":
        return None
    named = [tool for tool in talk.tools if tool.name == talk.tool_choice]
    if named:
        return named[0]
    if after_result and talk.tool_choice != "required":
        return None
    asked = set(stems(question))
    scores = [
        len(asked & set(stems(f"{tool.name.replace('_', ' ')} {tool.description}")))
        for tool in talk.tools
    ]
    if max(scores) == 0 and talk.tool_choice != "required":
        return None
    return talk.tools[scores.index(max(scores))]


def _call(tool: Tool, request: Request) -> ToolCall:
    return ToolCall(
        tool.name, json.dumps(example(tool.parameters, request.question), ensure_ascii=False)
    )
