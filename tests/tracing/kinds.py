"""One traced function of every kind, and how a program runs each to its end."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import Any

from llmwatch.tracing import traced


def work(question, act):
    return act(question)


class Model:
    @traced
    def method(self, question, act):
        return act(question)

    @traced
    @classmethod
    def classmethod_inside(cls, question, act):
        return act(question)

    @classmethod
    @traced
    def classmethod_outside(cls, question, act):
        return act(question)

    @traced
    @staticmethod
    def staticmethod_inside(question, act):
        return act(question)

    @staticmethod
    @traced
    def staticmethod_outside(question, act):
        return act(question)

    @traced
    async def async_method(self, question, act):
        await asyncio.sleep(0)
        return act(question)


class Callable:
    def __call__(self, question, act):
        return act(question)


@traced(name="work")
def function(question, act):
    return act(question)


@traced
async def coroutine(question, act):
    await asyncio.sleep(0)
    return act(question)


@traced
def generator(question, act):
    yield "a"
    yield act(question)


@traced
async def async_generator(question, act):
    yield "a"
    await asyncio.sleep(0)
    yield act(question)


class Stream:
    """As openai's: iterated, and closed as a context manager."""

    def __init__(self, question, act):
        self._steps = iter([lambda: "a", lambda: act(question)])
        self.closed = False

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._steps)()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.closed = True


class AsyncStream:
    def __init__(self, question, act):
        self._steps = iter([lambda: "a", lambda: act(question)])

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        step = next(self._steps, None)
        if step is None:
            raise StopAsyncIteration
        return step()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
        pass


@traced
def stream(question, act):
    return Stream(question, act)


@traced
async def async_stream(question, act):
    return AsyncStream(question, act)


@dataclass
class Kind:
    """`run` calls it with (question, act) and gives what came out in the end."""

    name: str
    call: Any
    is_async: bool = False
    streams: bool = False

    def run(self, question, act):
        if self.is_async:
            return asyncio.run(self.arun(question, act))
        return list(self.call(question, act))[-1] if self.streams else self.call(question, act)

    async def arun(self, question, act):
        if not self.is_async:
            return list(self.call(question, act))[-1] if self.streams else self.call(question, act)
        made = self.call(question, act)
        if hasattr(made, "__await__"):
            made = await made
        if not self.streams:
            return made
        return [chunk async for chunk in made][-1]


_model = Model()
KINDS = [
    Kind("function", function),
    Kind("lambda", traced(lambda question, act: act(question))),
    Kind("partial", traced(functools.partial(work))),
    Kind("callable", traced(Callable())),
    Kind("method", _model.method),
    Kind("classmethod_inside", Model.classmethod_inside),
    Kind("classmethod_outside", Model.classmethod_outside),
    Kind("staticmethod_inside", Model.staticmethod_inside),
    Kind("staticmethod_outside", Model.staticmethod_outside),
    Kind("coroutine", coroutine, is_async=True),
    Kind("async_method", _model.async_method, is_async=True),
    Kind("generator", generator, streams=True),
    Kind("async_generator", async_generator, is_async=True, streams=True),
    Kind("stream", stream, streams=True),
    Kind("async_stream", async_stream, is_async=True, streams=True),
]
STREAMS = [kind for kind in KINDS if kind.streams]
ASYNC = [kind for kind in KINDS if kind.is_async]
