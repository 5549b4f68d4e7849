"""The two functions of Weave that ours stand in for, and how Weave gets its own back.

`weave.init` goes through `weave_init.init_weave`, which would prompt for a W&B key; stored code is
refused by `custom_objs.is_safe_to_decode`, whose error should say how to allow it. This module must
stay importable without Weave: `import llmwatch` puts the stand-ins in place as Weave is imported.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_INIT = "weave.trace.weave_init"
_DECODE = "weave.trace.serialization.custom_objs"
_originals: dict[tuple[str, str], Any] = {}


def install() -> None:
    """Put the stand-ins in place, now or as soon as Weave is imported."""
    for name in (_INIT, _DECODE):
        if (module := sys.modules.get(name)) is not None:
            _stand_in(module)
        elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())


def remove() -> None:
    """Give Weave its own functions back."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    for (module, function), original in _originals.items():
        setattr(sys.modules[module], function, original)
    _originals.clear()


def _stand_in(module: ModuleType) -> None:
    function, make = {
        _INIT: ("init_weave", _init_weave),
        _DECODE: ("is_safe_to_decode", _is_safe_to_decode),
    }[module.__name__]
    if (module.__name__, function) not in _originals:
        original = _originals[module.__name__, function] = getattr(module, function)
        setattr(module, function, make(original))


def _init_weave(original: Callable[..., Any]) -> Callable[..., Any]:
    def init_weave(project_name: str, ensure_project_exists: bool = True, **options: Any) -> Any:
        from llmwatch.backend import session

        if not session.takes_weave_init():
            return original(project_name, ensure_project_exists, **options)
        if not ensure_project_exists:
            return session.client_to_read(project_name)
        return session.init(project_name, **options)

    return init_weave


def _is_safe_to_decode(original: Callable[..., bool]) -> Callable[..., bool]:
    def is_safe_to_decode(weave_type_id: str, *, allow_unsafe: bool) -> bool:
        from llmwatch.backend import session

        if original(weave_type_id, allow_unsafe=allow_unsafe):
            return True
        if session.is_active():
            raise _refusal(weave_type_id)
        return False

    return is_safe_to_decode


def _refusal(weave_type_id: str) -> Exception:
    from weave.trace.serialization.custom_objs import UnsafeDeserializationError

    what = "an op" if weave_type_id == "Op" else f"a {weave_type_id}"
    error: Exception = UnsafeDeserializationError(
        f"loading {what} would run code stored in this project, which is off: "
        "llmwatch.init(..., allow_stored_code=True) allows it"
    )
    return error


class _Finder:  # no subclass of importlib.abc's, whose import takes longer than all of llmwatch's
    """Sees the two modules being imported, and hands them on with the stand-ins in place."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname not in {_INIT, _DECODE} or fullname in _finding:
            return None
        _finding.add(fullname)
        try:
            spec = find_spec(fullname)
        finally:
            _finding.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec


_finding: set[str] = set()


class _Loader:
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _stand_in(module)
