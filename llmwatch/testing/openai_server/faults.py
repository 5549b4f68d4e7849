"""Faults to inject: which requests fail, how, how often and after how much of a stream."""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .deterministic import draw
from .errors import ApiError

if TYPE_CHECKING:
    from .request import Request


@dataclass
class Fault:
    """One thing that goes wrong; see `Faults.add` for what the parts mean."""

    status: int | None = None
    message: str | None = None
    code: str | None = None
    retry_after: float | None = None
    drop: bool = False
    malformed: bool = False
    delay: float = 0.0
    token_delay: float = 0.0
    after: int = 0
    times: int | None = None
    rate: float = 1.0
    seed: object = 0
    endpoint: str | None = None
    match: str | None = None
    fired: int = 0

    @property
    def breaks(self) -> bool:
        """Whether the request fails, rather than only being slow."""
        return self.status is not None or self.drop or self.malformed

    def error(self) -> ApiError:
        return ApiError(
            self.status or 500, self.message, code=self.code, retry_after=self.retry_after
        )

    def applies_to(self, request: Request) -> bool:
        if self.times is not None and self.fired >= self.times:
            return False
        if self.endpoint is not None and self.endpoint.strip("/") != request.endpoint:
            return False
        if self.match is not None and not re.search(self.match, request.prompt, re.IGNORECASE):
            return False
        return draw("fault", self.seed, request.fingerprint, request.occurrence) < self.rate


@dataclass(frozen=True)
class Trouble:
    """All that goes wrong with one request: added delays, and at most one break."""

    delay: float = 0.0
    token_delay: float = 0.0
    broken: Fault | None = None

    def breaks_at_once(self, *, streaming: bool) -> bool:
        return self.broken is not None and not (streaming and self.broken.after)


class Faults:
    """The faults of a server: ``server.faults.add(status=429, times=2)``."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        *,
        status: int | None = None,
        message: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        drop: bool = False,
        malformed: bool = False,
        delay: float = 0.0,
        token_delay: float = 0.0,
        after: int = 0,
        times: int | None = None,
        rate: float = 1.0,
        seed: object = 0,
        endpoint: str | None = None,
        match: str | None = None,
    ) -> Fault:
        """Let requests go wrong, until ``times`` of them have (None: until `clear`).

        How: ``status`` answers that error (``retry_after`` seconds in its headers), ``drop``
        closes the connection, ``malformed`` sends JSON that does not parse. With ``after=n`` a
        stream breaks after n events instead of at once. ``delay`` waits before answering
        (``math.inf``: never answers), ``token_delay`` between the tokens of a stream.

        Which: ``endpoint`` ("chat/completions", "embeddings", ...), ``match`` (a pattern in the
        prompt), and a share ``rate`` of them, drawn from ``seed`` and the request itself, so that
        the same requests fail however many threads send them.
        """
        if not 0 <= rate <= 1 or delay < 0 or token_delay < 0 or math.isnan(delay):
            raise ValueError("rate is between 0 and 1, and delays are not negative")
        fault = Fault(
            status, message, code, retry_after, drop, malformed, delay, token_delay, after, times,
            rate, seed, endpoint, match,
        )  # fmt: skip
        if not (fault.breaks or delay or token_delay):
            raise ValueError("a fault needs one of status, drop, malformed, delay, token_delay")
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._faults.clear()

    def strike(self, request: Request) -> Trouble:
        """What goes wrong with this request; counts the faults that fired."""
        delay = token_delay = 0.0
        broken: Fault | None = None
        with self._lock:
            for fault in self._faults:
                if (fault.breaks and broken) or not fault.applies_to(request):
                    continue
                fault.fired += 1
                delay += fault.delay
                token_delay += fault.token_delay
                broken = fault if fault.breaks else broken
        return Trouble(delay, token_delay, broken)
