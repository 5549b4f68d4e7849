"""The template of the route that answered a request: `/users/{id}`, whatever the id was."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any


def template(scope: MutableMapping[str, Any], root_path: str) -> str | None:
    """None where no route fits, so that paths of strangers make no names. `root_path` is what the server said."""
    found = _told(scope)
    if found is None:
        found = _matching(
            getattr(scope.get("app"), "routes", ()), {**scope, "root_path": root_path}
        )
    return found if found is None else found[len(root_path) :] or "/"


def _told(scope: MutableMapping[str, Any]) -> str | None:
    """What the router wrote into the scope: newer Starlettes' all do."""
    route = scope.get("route")
    if route is None:
        return None
    root = str(scope.get("root_path", "")).rstrip("/")
    if hasattr(route, "routes"):  # a mount, whose application says no more
        return root or "/"
    path = getattr(route, "path_format", None)
    return f"{root}{path}" if isinstance(path, str) else None


def _matching(routes: Iterable[Any], scope: MutableMapping[str, Any]) -> str | None:
    """As the router goes about it, where something in between gave it a scope of its own."""
    for route in routes:
        matches = getattr(route, "matches", None)
        if matches is None:
            continue
        match, child = matches(scope)
        if match.name == "FULL":
            inner = {**scope, **child, "route": route}
            below = _matching(getattr(route, "routes", None) or (), inner)
            return below or _told(inner)
    return None
