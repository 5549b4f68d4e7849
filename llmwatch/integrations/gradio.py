"""Gradio: each event is a row, and flags and likes are feedback on the row that made what they are about.

with gr.Blocks() as demo: ...
llmwatch.integrations.gradio.watch(demo).launch()
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import aclosing
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, TypeVar

from llmwatch import faults
from llmwatch.errors import MissingExtra

try:
    import gradio as gr
    from gradio.context import LocalContext
    from gradio.flagging import FlaggingCallback, FlagMethod
except ImportError as error:
    raise MissingExtra("gradio", "watching a Gradio application") from error

from llmwatch.integrations import shown
from llmwatch.remarks import say
from llmwatch.stream import events
from llmwatch.tracing import recorder
from llmwatch.tracing.context import context
from llmwatch.tracing.decorator import traced
from llmwatch.tracing.wrappers import flavour_of

if TYPE_CHECKING:
    from llmwatch.tracing.row import Row

logger = logging.getLogger("llmwatch")
B = TypeVar("B", bound=gr.Blocks)
_OPTIONS = {"Like": True, "Dislike": False}


def watch(demo: B, *, likes: bool = True) -> B:
    """Record what an application does from now on; returns it, to be launched.

    Works on `Blocks`, `Interface` and `ChatInterface`, before `launch`. Rows are of kind `event`, their session is
    Gradio's and their user the one that logged in. `likes`: chatbots get thumbs; False leaves those without as they are.
    """
    if getattr(demo, "_llmwatch", None) is None:
        watched = demo._llmwatch = _Watched()
        watched.functions(demo)
        watched.flags(demo)
        if likes:
            watched.likes(demo)
    return demo


class _Watched:
    """One application: what it showed whom lately."""

    def __init__(self) -> None:
        self._shown = shown.Shown()
        self._said: dict[tuple[str, str], str] = {}

    # --- events ------------------------------------------------------------------------

    def functions(self, demo: Any) -> None:
        for chat in _chats(demo):  # its events are Gradio's own functions, which call this one
            chat.fn = self._watching(chat.fn, _name(chat, "chat"))
        for block_fn in demo.fns.values():
            if block_fn.fn is not None and not _is_gradios(block_fn.fn):
                block_fn.fn = self._watching(block_fn.fn, _name(block_fn, "event"))

    def _watching(self, function: Any, name: str) -> Any:
        flavour = flavour_of(function)
        recorded: Any = traced(
            kind="event",
            name=name,
            attributes={"via": "gradio"},
            postprocess_inputs=_without_gradios,
            accumulator=_the_last,
        )(function)
        recorded._set_on_finish_handler(self._note)
        return update_wrapper(_WRAPPERS[flavour](recorded), function)

    def _note(self, row: Row, output: Any, error: BaseException | None) -> None:
        if error is None and row.thread_id is not None:
            self._shown.add(row.thread_id, row.id, output)

    # --- what people say ---------------------------------------------------------------

    def likes(self, demo: Any) -> None:
        chatbots = [block for block in demo.blocks.values() if isinstance(block, gr.Chatbot)]
        with demo:
            for chatbot in chatbots:
                chatbot.like(
                    self._liker(),
                    None,
                    None,
                    show_progress="hidden",
                    trigger_mode="multiple",  # by default Gradio drops a thumb while another is on its way
                    api_visibility="private",
                )

    def _liker(self) -> Callable[..., None]:
        # Gradio goes by the types of the arguments, which have to be the classes themselves.
        def like(data: Any, request: Any) -> None:
            with faults.contained("a like could not be recorded"):
                self._liked(data.value, data.liked, request)

        like.__annotations__ = {"data": gr.LikeData, "request": gr.Request, "return": None}
        return like

    def _liked(self, value: Any, liked: Any, request: Any) -> None:
        session = str(request.session_hash)
        row_id = self._shown.row_of(session, value)
        if row_id is None:
            logger.warning("a like is about a message that no recorded event showed")
            return
        verdict = _OPTIONS.get(liked, liked)
        if isinstance(verdict, bool):
            self._say(session, row_id, "reaction", "up" if verdict else "down", request.username)
        elif isinstance(verdict, str) and verdict:
            self._say(session, row_id, "flag", verdict, request.username)
        else:
            self._take_back(session, row_id)

    def flags(self, demo: Any) -> None:
        for block_fn in demo.fns.values():
            if isinstance(block_fn.fn, FlagMethod):
                method = block_fn.fn
                method.flagging_callback = _Flags(method.flagging_callback, self._flagged)

    def _flagged(self, option: str | None, username: str | None) -> None:
        request = LocalContext.request.get(None)
        session = str(getattr(request, "session_hash", None))
        row_id = self._shown.latest(session)
        if row_id is None:
            logger.warning("a flag is about something that no recorded event showed")
            return
        self._say(session, row_id, "flag", option or "flagged", username)

    def _say(self, session: str, row_id: str, name: str, value: str, username: str | None) -> None:
        """A person has one opinion of each answer: the last."""
        active = recorder.active()
        if active is None:
            return
        self._said[session, row_id] = say.said(
            active.project,
            row_id,
            name,
            value,
            creator=username or "visitor",
            replaces=self._said.get((session, row_id)),
            via="gradio",
        )
        while len(self._said) > shown.SESSIONS:
            del self._said[next(iter(self._said))]

    def _take_back(self, session: str, row_id: str) -> None:
        active, said = recorder.active(), self._said.pop((session, row_id), None)
        if active is not None and said is not None:
            events.take_back(active.project, said, creator="visitor")


class _Flags(FlaggingCallback):  # type: ignore[misc] # Gradio's, which is Any here
    """Does what the application's own callback does, and makes feedback of it."""

    def __init__(
        self, own: FlaggingCallback, told: Callable[[str | None, str | None], None]
    ) -> None:
        self._own, self._told = own, told

    def setup(self, *args: Any, **kwargs: Any) -> None:
        self._own.setup(*args, **kwargs)

    def flag(
        self,
        flag_data: list[Any],
        flag_option: str | None = None,
        username: str | None = None,
        **more: Any,
    ) -> int:
        with faults.contained("a flag could not be recorded"):
            self._told(flag_option, username)
        kept: int = self._own.flag(flag_data, flag_option=flag_option, username=username, **more)
        return kept


# --- the functions that take the place of the application's: each of the same kind -----------


def _here() -> context:
    """The session and user of the event that runs here."""
    request = LocalContext.request.get(None)
    user = getattr(request, "username", None)
    return context(session_id=getattr(request, "session_hash", None), user_id=user)


def _sync(recorded: Any) -> Any:
    def watched(*args: Any, **kwargs: Any) -> Any:
        with _here():
            return recorded(*args, **kwargs)

    return watched


def _async(recorded: Any) -> Any:
    async def watched(*args: Any, **kwargs: Any) -> Any:
        with _here():
            return await recorded(*args, **kwargs)

    return watched


# A row takes what is around it when it begins; the steps of a generator may each run in another thread.


def _generator(recorded: Any) -> Any:
    def watched(*args: Any, **kwargs: Any) -> Any:
        with _here():
            stream = recorded(*args, **kwargs)
        return (yield from stream)

    return watched


def _async_generator(recorded: Any) -> Any:
    async def watched(*args: Any, **kwargs: Any) -> Any:
        with _here():
            stream = recorded(*args, **kwargs)
        async with aclosing(stream):
            async for chunk in stream:
                yield chunk

    return watched


_WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "function": _sync,
    "async_function": _async,
    "generator": _generator,
    "async_generator": _async_generator,
}


def _chats(demo: Any) -> list[Any]:
    """Chats may be tabs of another application."""
    found = [demo, *demo.blocks.values()]
    return list({id(one): one for one in found if isinstance(one, gr.ChatInterface)}.values())


def _name(event: Any, otherwise: str) -> str:
    return event.api_name if isinstance(event.api_name, str) and event.api_name else otherwise


def _is_gradios(function: Any) -> bool:
    """Where its code is: what Gradio puts around a function says that it is of the function's module."""
    while isinstance(function, partial):
        function = function.func
    home = getattr(function, "__globals__", {}).get("__name__") or type(function).__module__
    return str(home).partition(".")[0] == "gradio"


def _without_gradios(inputs: dict[str, Any]) -> dict[str, Any]:
    """Without what Gradio itself passes: a request holds cookies, a token is a secret."""
    return {
        name: value
        for name, value in inputs.items()
        if type(value).__module__.partition(".")[0] != "gradio"
    }


def _the_last(state: Any, chunk: Any) -> Any:
    """Each chunk of a Gradio stream is all there is to be shown by then."""
    del state
    return chunk
