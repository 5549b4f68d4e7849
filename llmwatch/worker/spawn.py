"""Starting the worker from a process that records: quick, never waiting, never raising."""

from __future__ import annotations

import atexit
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from llmwatch import faults
from llmwatch import settings as settings_module
from llmwatch.stream import fork
from llmwatch.worker import lock

if TYPE_CHECKING:
    import subprocess

    from llmwatch.settings import Settings
    from llmwatch.store import Store

LOG_LIMIT = 1 << 20
_RETRY_S, _LONGEST_RETRY_S = 5.0, 600.0
# What would make the worker measure, trace or configure itself as if it were the caller.
_NOT_FOR_THE_WORKER = (
    "COV_",
    "COVERAGE_",
    "PYTEST_",
    "PYTHONWARNINGS",
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
)
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


@dataclass
class _Started:
    """The workers this process started for one store, and when it may try again."""

    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    not_before: float = 0.0


_started: dict[Path, _Started] = {}


def ensure_running(store: Store, settings: Settings) -> None:
    """Start the store's worker unless one runs. Costs a few system calls when one does."""
    if not settings.worker:
        return
    with faults.contained(f"the worker of {store.root} could not be started"):
        started = _started.setdefault(store.root, _Started())
        _reap(store, started)
        if time.monotonic() >= started.not_before:
            _start_unless_running(store, settings, started)


def _start_unless_running(store: Store, settings: Settings, started: _Started) -> None:
    lock_fd = lock.try_take(store)
    if lock_fd is None:
        return
    wait = min(_RETRY_S * 2**started.failures, _LONGEST_RETRY_S)
    started.not_before = time.monotonic() + wait
    try:
        started.process = _spawn(store, settings, lock_fd)
    finally:
        # The worker was handed the locked descriptor, so no second one can start meanwhile;
        # unlocking our copy would unlock its.
        fork.close_only(lock_fd)


def _spawn(store: Store, settings: Settings, lock_fd: int) -> subprocess.Popen[bytes]:
    import subprocess

    with _open_log(store) as log:
        return subprocess.Popen(
            [_python(), "-m", "llmwatch.worker", str(store.root), "--lock-fd", str(lock_fd)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,  # what a crashing interpreter has to say is found nowhere else
            close_fds=True,
            pass_fds=(lock_fd,),
            start_new_session=True,
            cwd="/",
            env=_environment(store, settings),
        )


def _open_log(store: Store) -> BinaryIO:
    path = store.root / "worker.log"
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab"
    )


def _environment(store: Store, settings: Settings) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_FOR_THE_WORKER)}
    for setting in settings_module.TABLE:
        value = getattr(settings, setting.name)
        if value is not None:
            env[setting.env] = str(value)
    env["LLMWATCH_STORE"] = str(store.root)
    if (root := settings_module.project_root()) is not None:
        env[settings_module.ROOT_ENV] = str(
            root
        )  # its files have tables that are no settings: prices
    for name in _ONE_THREAD:
        env.setdefault(name, "1")
    source = Path(__file__).resolve().parents[2]
    if source.name not in ("site-packages", "dist-packages"):
        # Run from a checkout that only the caller's sys.path knows.
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [env.get("PYTHONPATH"), str(source)]))
    return env


def _python() -> str:
    """The interpreter; under uWSGI and its like `sys.executable` is the server."""
    if sys.executable and "python" in Path(sys.executable).name.lower():
        return sys.executable
    return str(Path(sys.exec_prefix) / "bin" / "python3")


def _reap(store: Store, started: _Started) -> None:
    process = started.process
    if process is None or process.poll() is None:
        return
    started.process = None
    if process.returncode <= 0:  # ended by itself or by a signal
        started.failures = 0
        return
    started.failures += 1
    faults.report(
        f"the worker of {store.root} ended with code {process.returncode}; nothing is lost, rows wait "
        f"in the spool. See {store.root / 'worker.log'}"
    )


def _forget_workers() -> None:
    """They go on without us; without a return code each would warn that it still runs."""
    for started in _started.values():
        if started.process is not None and started.process.returncode is None:
            started.process.returncode = 0
    _started.clear()


atexit.register(_forget_workers)
fork.in_child(_forget_workers)
