"""`llmwatch.init`: a normal Weave client on the local backend, as the client of this process."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llmwatch import destination as destination_module
from llmwatch import settings as settings_module
from llmwatch.backend import quiet, seam
from llmwatch.destination import Decision, Wanted
from llmwatch.settings import Settings
from llmwatch.store import Project, open_store

if TYPE_CHECKING:
    from weave.trace.weave_client import WeaveClient

    from llmwatch.backend.server import LocalTraceServer
    from llmwatch.forward.sampler import AdaptiveSampler


@dataclass
class Session:
    """Where this process records to, and how."""

    project: Project
    settings: Settings
    arguments: dict[str, Any]
    """The settings that `init` was given as arguments: they stay when it moves to another project."""
    options: dict[str, Any]
    server: LocalTraceServer
    client: WeaveClient
    destination: Decision = field(default_factory=lambda: Decision(False))
    wanted: Wanted = field(default_factory=Wanted)


_session: Session | None = None
_lock = threading.RLock()


def init(
    project: str | None = None,
    *,
    destination: str | None = None,
    sampler: AdaptiveSampler | None = None,
    allow_stored_code: bool | None = None,
    postprocess_inputs: Any = None,
    postprocess_output: Any = None,
    attributes: dict[str, Any] | None = None,
    **settings: Any,
) -> WeaveClient:
    """Record to a project from now on; returns a Weave client that reads and writes it.

    `project` is `"name"` or `"entity/name"`. `settings` are any of llmwatch's settings. Calling it
    again with the same project changes nothing but what is given; with another, it moves there.
    `destination="wandb"` also sends what is recorded to W&B Weave, from the worker and not from here; with a
    `sampler`, a sample of it.
    `allow_stored_code=True` lets published ops be loaded, which runs their code.

        client = llmwatch.init("support-bot")
    """
    with _lock:
        quiet.prepare()
        arguments = {**_kept(), **_given({"destination": destination, **settings})}
        wanted = _settings_for(project, arguments)
        target = open_store(wanted.store).project(wanted.entity, wanted.project)
        given = {
            "sampler": sampler,
            "allow_stored_code": allow_stored_code,
            "postprocess_inputs": postprocess_inputs,
            "postprocess_output": postprocess_output,
            "attributes": attributes,
        }
        options = {**_kept_options(target), **_given(given)}
        if _session is not None and _is_the_same(_session, target, wanted, options):
            _make_global(_session.client)
            return _session.client
        return _begin(target, wanted, arguments, options).client


def finish() -> None:
    """Write what is under way and stop recording. `init` starts again."""
    global _session
    with _lock:
        session, _session = _session, None
        if session is not None:
            _end(session)
            _make_global(None)
            settings_module.use(None)
            _switch_back_on()
            from weave.integrations.patch import unregister_import_hook

            unregister_import_hook()


def is_active() -> bool:
    return _session is not None


def takes_weave_init() -> bool:
    """Whether `weave.init` is ours: in a session of ours, and where W&B would ask for a key."""
    if _session is not None:
        return True
    from weave.wandb_interface.context import get_wandb_auth_context

    return get_wandb_auth_context() is None


def client_to_read(project_name: str) -> WeaveClient:
    """A client for one look at a project, which does not become the one that records."""
    from weave.trace.context import weave_client_context

    with _lock:
        quiet.prepare()
        settings = _settings_for(project_name, _kept())
        project = open_store(settings.store).project(settings.entity, settings.project)
        client = _client(project, _server_for(project, settings), _kept_options(project))
        if weave_client_context.get_weave_client() is None:
            _make_global(client)  # Weave unsets it when it has looked
        return client


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _kept() -> dict[str, Any]:
    return _session.arguments if _session is not None else {}


def _kept_options(project: Project) -> dict[str, Any]:
    """What stays of earlier options: all in the same project, the leave to run stored code in another."""
    if _session is None:
        return {}
    if _session.project == project:
        return _session.options
    return {k: v for k, v in _session.options.items() if k == "allow_stored_code"}


def _is_the_same(
    session: Session, project: Project, settings: Settings, options: dict[str, Any]
) -> bool:
    return (session.project, session.settings, session.options) == (project, settings, options)


def _settings_for(project: str | None, arguments: dict[str, Any]) -> Settings:
    names: dict[str, Any] = {}
    if project is not None:
        entity, slash, name = project.strip().rpartition("/")
        names = {"entity": entity, "project": name} if slash else {"project": name}
    return settings_module.load(**{**arguments, **names})


def _begin(
    project: Project, settings: Settings, arguments: dict[str, Any], options: dict[str, Any]
) -> Session:
    global _session
    server = _server_for(project, settings)
    if _session is not None:
        _end(_session)
    client = _client(project, server, options)
    _session = Session(project, settings, arguments, options, server, client)
    settings_module.use(settings)
    seam.install()
    _make_global(client)
    _patch_integrations()
    _decide_destination(_session)
    _record(_session)
    _at_exit()
    _announce(_session)
    return _session


def _server_for(project: Project, settings: Settings) -> LocalTraceServer:
    """One server serves every project of a store, as long as it is set up the same."""
    if _session is not None and _session.project.store == project.store:
        known = replace(_session.settings, project=settings.project, entity=settings.entity)
        if known == settings:
            return _session.server
    if settings.destination == "local":
        from llmwatch.backend.server import LocalTraceServer

        return LocalTraceServer(project.store, settings)
    from llmwatch.forward.readthrough import ReadThroughServer

    return ReadThroughServer(project.store, settings)


def _client(project: Project, server: LocalTraceServer, options: dict[str, Any]) -> WeaveClient:
    from llmwatch.backend.client import LocalClient

    ours = {"allow_stored_code", "sampler"}
    own = {name: value for name, value in options.items() if name not in ours}
    client = LocalClient(project.entity, project.name, server, **own)
    client._allow_unsafe_custom_obj_decode = bool(options.get("allow_stored_code"))
    return client


def _make_global(client: WeaveClient | None) -> None:
    from weave.trace.context import weave_client_context

    weave_client_context.set_weave_client_global(None)  # it does not replace, only set and unset
    weave_client_context.set_weave_client_global(client)


def _patch_integrations() -> None:
    """As `weave.init` does: libraries that are imported, and those that will be."""
    from weave.integrations.patch import implicit_patch, register_import_hook

    from llmwatch.backend import langchain_attributes, streamed_logprobs

    streamed_logprobs.install()
    langchain_attributes.install()
    implicit_patch()
    register_import_hook()


_SWITCH = "WEAVE_DISABLED"
_switched_off = False


def _is_disabled() -> bool:
    """Whether the user turned recording off with Weave's or wandb's own switch."""
    from weave.trace.settings import should_disable_weave

    return should_disable_weave() or os.environ.get("WANDB_MODE", "").lower() == "disabled"


def _decide_destination(session: Session) -> None:
    """Note in the project, for the worker, whether what is recorded is meant for W&B. Asks nothing of the network."""
    if _is_disabled():
        return
    said = "destination" in session.arguments or settings_module.was_given("destination")
    session.destination = destination_module.decide(session.settings, said=said)
    session.wanted = destination_module.note(
        session.project, session.destination, **_forwarding(session.options.get("sampler"))
    )


def _forwarding(sampler: AdaptiveSampler | None) -> dict[str, Any]:
    """How rows are forwarded: as given, else as the settings files say."""
    from llmwatch.forward import options

    return options.chosen(sampler)


def _record(session: Session) -> None:
    """Let traced functions record to the session's project, unless recording is off."""
    from llmwatch.tracing import recorder

    if not _is_disabled():
        recorder.configure(session.project, session.settings, session.client)
        return
    _switch_off()
    if recorder.active() is not None:
        recorder.deactivate()


def _switch_off() -> None:
    """WANDB_MODE=disabled means Weave's ops too, and they ask their own switch each time."""
    global _switched_off
    if _SWITCH not in os.environ:
        os.environ[_SWITCH] = "true"
        _switched_off = True


def _switch_back_on() -> None:
    global _switched_off
    if _switched_off:
        os.environ.pop(_SWITCH, None)
        _switched_off = False


def _end(session: Session) -> None:
    from llmwatch.stream import spool
    from llmwatch.tracing import recorder

    if recorder.active() is not None:
        recorder.deactivate()
    session.client.flush()
    spool.close_all()


def _announce(session: Session) -> None:
    """One line: where rows go, and what is redacted, sampled and kept."""
    print(f"llmwatch: {_said(session)}", file=sys.stderr)  # noqa: T201 - said to the person


def _said(session: Session) -> str:
    if _is_disabled():
        return f"recording is off (WEAVE_DISABLED or WANDB_MODE); {session.project.id} can be read"
    days = session.settings.retention_days
    return (
        f"recording {session.project.id} in {session.project.store.root}, {_said_of_destination(session)}; "
        f"{_said_of_redaction(session)} redacted; every call is {_said_of_sampling(session)}; "
        f"kept {f'{days:g} days' if days else 'for ever'}"
    )


def _said_of_redaction(session: Session) -> str:
    names = {"pii": "personal data"}
    named = [names.get(rule, rule) for rule in session.settings.redact]
    return " and ".join(["credentials", ", ".join(named)] if named else ["credentials"]) + " are"


def _said_of_destination(session: Session) -> str:
    wanted, decision = session.wanted, session.destination
    if not wanted.on:
        return "nothing leaves this machine" + (f" ({decision.why})" if decision.why else "")
    place = f"{wanted.entity or '<your default entity>'}/{wanted.project} at {wanted.base_url}"
    because = f" ({decision.why})" if decision.why else "" if decision.sends else " (as set before)"
    if wanted.paused:
        return f"meant for {place}, which waits for the end of {wanted.paused}"
    if destination_module.credentials(wanted.base_url) is None:
        return f"meant for {place}, which waits for `wandb login` or WANDB_API_KEY"
    return f"sent by the worker to {place}{because}"


def _said_of_sampling(session: Session) -> str:
    sampler = session.wanted.sampler if session.wanted.on else None
    if sampler is None:
        return "recorded"
    return f"kept here, {100 * sampler['base_rate']:g}% of ordinary traces are sent"


# --- processes that end, and processes that fork ---------------------------------------------

_exit_registered = False


def _at_exit() -> None:
    global _exit_registered
    if _exit_registered:
        return
    _exit_registered = True
    atexit.register(finish)
    import multiprocessing.util as mp

    # A child of multiprocessing ends without atexit, but runs its finalizers.
    mp.register_after_fork(_lock_owner, lambda _: mp.Finalize(None, finish, exitpriority=100))


class _LockOwner:
    """Something that lives as long as the module, for multiprocessing to hold on to."""


_lock_owner = _LockOwner()


def _fresh_in_child() -> None:
    """A forked child has its parent's client but none of its threads: it gets a client of its own."""
    global _lock
    _lock = threading.RLock()
    session = _session
    if session is None:
        return
    from weave.trace.context import weave_client_context

    weave_client_context.lock = threading.Lock()
    session.client = _client(session.project, session.server, session.options)
    _make_global(session.client)
    from llmwatch.tracing import recorder

    if recorder.active() is not None:
        recorder.configure(session.project, session.settings, session.client)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh_in_child)
