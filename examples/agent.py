"""An agent with tools: each step of its loop is a row, tools that fail are rows that failed.

    python examples/agent.py

Offline; OPENAI_BASE_URL and OPENAI_API_KEY choose a real service.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
from local_model import MODEL, local_model

import llmwatch
from llmwatch import StreamTable, traced
from llmwatch.testing.openai_server import Request

STOCK = {"lamp": 4, "chair": 0, "desk": 11}
PRICES = {"lamp": 29.0, "chair": 89.0, "desk": 240.0}
MOST_STEPS = 6


@traced(kind="tool")
def stock(item: str) -> int:
    return STOCK[item]


@traced(kind="tool")
def price(item: str) -> float:
    return PRICES[item]


TOOLS: dict[str, Callable[[str], Any]] = {"stock": stock, "price": price}
DESCRIPTIONS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"The {name} of an item of the shop.",
            "parameters": {
                "type": "object",
                "properties": {"item": {"type": "string"}},
                "required": ["item"],
            },
        },
    }
    for name in TOOLS
]


@traced(kind="agent")
def agent(client: openai.OpenAI, question: str) -> str:
    messages: list[Any] = [{"role": "user", "content": question}]
    for _ in range(MOST_STEPS):
        reply = client.chat.completions.create(model=MODEL, messages=messages, tools=DESCRIPTIONS)
        message = reply.choices[0].message
        if not message.tool_calls:
            return message.content or ""
        messages.append(message)
        for call in message.tool_calls:
            told = use(call.function.name, call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": told})
    return "I could not find out."


def use(name: str, arguments: str) -> str:
    """What a tool says; what went wrong is told to the model, which may do better."""
    try:
        return str(TOOLS[name](**json.loads(arguments)))
    except Exception as error:  # noqa: BLE001 - a tool's trouble is the model's to handle
        return f"{type(error).__name__}: {error}"


def scripted(request: Request) -> dict[str, Any] | str | None:
    """What the local server's model does: ask both tools about the item, then answer."""
    told = [m["content"] for m in request.body["messages"] if m["role"] == "tool"]
    item = request.body["messages"][0]["content"].split()[-1].strip("?")
    if not told:
        arguments = {"item": item}
        return {"tool_calls": [{"name": name, "arguments": arguments} for name in TOOLS]}
    return (
        f"{item}: {told[0]} in stock, {told[1]} euros."
        if "Error" not in told[0]
        else f"We have no {item}."
    )


def main() -> None:
    llmwatch.init("example-agent", destination="local")
    with local_model(scripted), openai.OpenAI() as client:
        for user, question in {"ada": "Do you have a lamp?", "ben": "Do you have a sofa?"}.items():
            with llmwatch.context(user_id=user):
                print(f"{user:>4}: {question} {agent(client, question)}")
    llmwatch.finish()
    table = StreamTable("example-agent/traces")
    used = table.query(
        "SELECT display_name, op_name, count(*) AS calls, count(exception) AS failed FROM traces "
        "WHERE kind = 'tool' GROUP BY ALL ORDER BY op_name"
    )
    for row in used.dicts():
        name = row["op_name"].rpartition("/")[2].split(":")[0]
        print(f"tool {name}: {row['calls']} calls, {row['failed']} failed")


if __name__ == "__main__":
    main()
