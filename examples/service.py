"""An async FastAPI service: each request is a row, what is traced in it nests below, and pages post thumbs.

    python examples/service.py            # serves, asks itself a few questions, ends
    python examples/service.py --serve    # serves until Ctrl-C

Offline; OPENAI_BASE_URL and OPENAI_API_KEY choose a real service.
"""

from __future__ import annotations

import asyncio
import sys

import httpx
import openai
import uvicorn
from fastapi import FastAPI, HTTPException
from local_model import MODEL, local_model
from pydantic import BaseModel

import llmwatch
from llmwatch import StreamTable, traced
from llmwatch.integrations.asgi import EXCLUDED, Middleware
from llmwatch.integrations.thumbs import Thumbs

PORT = 8000


class Question(BaseModel):
    text: str


@traced(kind="generation")
async def generate(client: openai.AsyncOpenAI, text: str) -> str:
    reply = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": text}]
    )
    return reply.choices[0].message.content or ""


def make_app(client: openai.AsyncOpenAI) -> FastAPI:
    app = FastAPI()
    app.add_middleware(
        Middleware, user="x-user-id", row_header="x-row-id", exclude=(*EXCLUDED, "/feedback*")
    )
    app.mount("/feedback", Thumbs(kinds=("reaction", "note")))

    @app.post("/ask")
    async def ask(question: Question) -> dict[str, str]:
        if not question.text.strip():
            raise HTTPException(422, "ask something")
        return {"answer": await generate(client, question.text)}

    return app


async def try_it(url: str) -> None:
    """What a page would do: ask, and say what it thinks of the answer with the row's id."""
    async with httpx.AsyncClient(base_url=url) as page:
        for user, text in {
            "ada": "What is a vector?",
            "ben": "Why is the sky blue?",
            "cy": " ",
        }.items():
            answered = await page.post("/ask", json={"text": text}, headers={"x-user-id": user})
            print(f"{user:>4}: {answered.status_code} {answered.json()}")
            said = {
                "row_id": answered.headers["x-row-id"],
                "reaction": "up" if user == "ada" else "down",
            }
            (await page.post("/feedback/", json=said)).raise_for_status()


async def serve(*, forever: bool) -> None:
    async with openai.AsyncOpenAI() as client:
        config = uvicorn.Config(make_app(client), port=PORT if forever else 0, log_level="warning")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        if forever:
            print(f"serving http://127.0.0.1:{port}/ask and /feedback; Ctrl-C ends it")
        else:
            await try_it(f"http://127.0.0.1:{port}")
            server.should_exit = True
        await serving


def show() -> None:
    table = StreamTable("example-service/traces")
    said = table.query(
        "SELECT t.user_id, t.status, f.value->>'emoji' FROM traces t JOIN feedback f ON f.row_id = t.id ORDER BY t.user_id"
    )
    for user, status, value in said.rows:
        print(f"{user:>4}: {status}, {value}")


def main() -> None:
    llmwatch.init("example-service", destination="local")
    with local_model():
        asyncio.run(serve(forever="--serve" in sys.argv))
    llmwatch.finish()
    show()


if __name__ == "__main__":
    main()
