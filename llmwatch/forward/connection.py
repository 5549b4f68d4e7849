"""The way to W&B: Weave's own HTTP binding, credentials as wandb finds them, and the project at the other end."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from llmwatch import destination
from llmwatch.backend import quiet
from llmwatch.forward.account import Account
from llmwatch.forward.trouble import Later, meaning

if TYPE_CHECKING:
    from weave.trace_server_bindings.remote_http_trace_server import RemoteHTTPTraceServer
    from weave.wandb_interface.auth import WandbCredentials

    from llmwatch.destination import Wanted

T = TypeVar("T")
CONNECT_S, ANSWER_S = 5.0, 60.0


class NoCredentials(Later):
    """Nobody is logged in: rows wait, nothing is asked of the network."""


class Connection:
    """One project's connection. Nothing is opened until something is asked.

    Weave's binding would try again by itself, from memory; here each request is made once, and the forwarder
    decides, from what is on the disk, what is sent again.
    """

    def __init__(
        self, wanted: Wanted, *, known_as: str | None = None, answer_s: float = ANSWER_S
    ) -> None:
        self.wanted = wanted
        self._answer_s = answer_s
        self._server: RemoteHTTPTraceServer | None = None
        self._project_id = known_as
        self._entity = ""

    @property
    def project_id(self) -> str:
        """`entity/name` at W&B; the project is made there when it is not there."""
        if self._project_id is None:
            try:
                with self._at_home():
                    self._project_id = self._find_project()
            except Exception as error:
                raise meaning(error) from error
        return self._project_id

    @property
    def existing_project_id(self) -> str:
        """`entity/name` at W&B; nothing is made there."""
        if self._project_id is not None:
            return self._project_id
        if not self._entity:
            self._entity = self.wanted.entity
        if not self._entity:
            with self._at_home():
                self._entity = Account(self.wanted.base_url, self._credentials()).default_entity()
        return f"{self._entity}/{self.wanted.project}"

    def ask(self, method: str, *args: Any) -> Any:
        """Call one method of the binding, once."""
        return self.run(getattr(self._binding(), method), *args)

    def run(self, function: Callable[..., T], *args: Any) -> T:
        with _once():
            return function(*args)

    def open(self) -> None:
        """Be ready for several threads at once."""
        self._binding()

    def reset(self) -> None:
        """A key may have been renewed, and a project made again: look for both anew."""
        self.close()
        self._project_id, self._entity = None, ""

    def close(self) -> None:
        if self._server is not None:
            self._server._stainless_client.close()
            self._server = None

    def _binding(self) -> RemoteHTTPTraceServer:
        if self._server is None:
            with self._at_home():
                self._server = self._open()
        return self._server

    def _open(self) -> RemoteHTTPTraceServer:
        quiet.prepare()
        from httpx import Timeout
        from weave.trace_server_bindings.remote_http_trace_server import RemoteHTTPTraceServer

        server = RemoteHTTPTraceServer(self.wanted.trace_url, should_batch=False)
        server.set_auth(self._credentials())
        server._stainless_client = server._stainless_client.copy(
            max_retries=0, timeout=Timeout(self._answer_s, connect=CONNECT_S)
        )
        weakref.finalize(self, server._stainless_client.close)
        return server

    def _find_project(self) -> str:
        account = Account(self.wanted.base_url, self._credentials())
        if not self._entity:
            self._entity = self.wanted.entity or account.default_entity()
        return f"{self._entity}/{account.ensure_project(self._entity, self.wanted.project)}"

    def _credentials(self) -> WandbCredentials:
        from weave.wandb_interface.context import get_wandb_auth_context

        found = get_wandb_auth_context()
        if found is None:
            raise NoCredentials(
                f"nobody is logged in to {self.wanted.base_url}: run `wandb login`, or set WANDB_API_KEY where "
                "the worker is started (`llmwatch up`)",
                in_doubt=False,
            )
        return found

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        """Weave takes W&B's address from the environment when it opens and asks for projects."""
        with _environment(self._address()), _once():
            yield

    def _address(self) -> dict[str, str | None]:
        if destination.base_url() == self.wanted.base_url:
            return {}
        # A key in this process's environment is meant for this process's W&B, not for another.
        return {"WANDB_BASE_URL": self.wanted.base_url, "WANDB_API_KEY": None}


@contextmanager
def _once() -> Iterator[None]:
    from weave.trace.settings import override_settings

    with override_settings(retry_max_attempts=1):
        yield


@contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
