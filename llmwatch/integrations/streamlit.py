"""Streamlit: one recording process for all reruns, rows by session, and thumbs that are feedback.

from llmwatch.integrations import streamlit as watched

watched.init("support-bot")          # at the top of the script
...
watched.thumbs(row)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmwatch import faults
from llmwatch.errors import MissingExtra

try:
    import streamlit as st
    from streamlit.runtime.scriptrunner import get_script_run_ctx
except ImportError as error:
    raise MissingExtra("streamlit", "watching a Streamlit application") from error

from llmwatch.backend import session as sessions
from llmwatch.remarks import say
from llmwatch.stream import events
from llmwatch.tracing import recorder
from llmwatch.tracing.context import context

if TYPE_CHECKING:
    from llmwatch.tracing.row import Row

_REACTIONS = ("down", "up")


def init(project: str | None = None, *, user: str | None = None, **settings: Any) -> None:
    """`llmwatch.init`, once for all reruns and sessions; what this run of the script records has its session and user.

    user: who it is; else the e-mail address of who logged in with Streamlit.
    """
    _begin(project, tuple(sorted(settings.items())))
    # Not left: it is for the rest of this run, whose thread ends with it or begins the next run here anew.
    context(session_id=_session_id(), user_id=user or _user(), via="streamlit").__enter__()


@st.cache_resource(show_spinner=False)  # type: ignore[untyped-decorator] # Streamlit's, which is Any here
def _begin(project: str | None, settings: tuple[tuple[str, Any], ...]) -> Any:
    return sessions.init(project, **dict(settings))


def thumbs(row: Row | str | None, *, key: str | None = None) -> None:
    """Thumbs up and down for a row, or its id; a click is feedback, another click changes or takes it back.

    Shows nothing for None: a call that was not recorded.
    """
    row_id = row if isinstance(row, str) or row is None else row.id
    if row_id is None:
        return
    name = key or f"llmwatch {row_id}"
    st.feedback("thumbs", key=name, on_change=_changed, args=(row_id, name))


def note(row: Row | str | None, label: str = "What was wrong?", *, key: str | None = None) -> None:
    """A line to write what one thinks of a row; each text that is entered takes the earlier one's place."""
    row_id = row if isinstance(row, str) or row is None else row.id
    if row_id is None:
        return
    name = key or f"llmwatch note {row_id}"
    st.text_input(label, key=name, max_chars=4000, on_change=_noted, args=(row_id, name))


def _changed(row_id: str, key: str) -> None:
    choice = st.session_state.get(key)
    _say(row_id, key, "reaction", None if choice is None else _REACTIONS[int(choice)])


def _noted(row_id: str, key: str) -> None:
    _say(row_id, key, "note", str(st.session_state.get(key) or "").strip() or None)


def _say(row_id: str, key: str, name: str, value: str | None) -> None:
    """Callbacks run once for each change, before the script runs anew: no rerun says a thing twice."""
    with faults.contained("feedback could not be recorded"):
        active = recorder.active()
        if active is None:
            return
        place = f"{key} said"
        before = st.session_state.get(place)
        who = _user() or "visitor"
        if value is not None:
            st.session_state[place] = say.said(
                active.project, row_id, name, value, creator=who, replaces=before, via="streamlit"
            )
        elif before is not None:
            events.take_back(active.project, before, creator=who)
            st.session_state[place] = None


def _session_id() -> str | None:
    running = get_script_run_ctx(suppress_warning=True)
    return None if running is None else str(running.session_id)


def _user() -> str | None:
    with faults.contained("Streamlit's user could not be found"):
        user = getattr(st, "user", None)
        if user is not None and getattr(user, "is_logged_in", False):
            found = user.get("email") or user.get("sub")
            return None if found is None else str(found)
    return None
