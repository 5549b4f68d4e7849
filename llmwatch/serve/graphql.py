"""The little of W&B's GraphQL that Weave's clients ask before they send anything: who am I, is the project there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ANYONE = "local"
_FIELD = re.compile(r"[{\s](viewer|project|upsertModel|upsertProject|serverInfo|entity)\s*[({]")


class GraphQL:
    """Answers queries by the fields they name at the top; what else they select of those is left to the asker."""

    def __init__(self, entity: str) -> None:
        self._entity = entity

    def answer(self, request: Any, url: str = "") -> dict[str, Any]:
        """`url` is where this server was asked."""
        query = request.get("query") if isinstance(request, Mapping) else None
        if not isinstance(query, str):
            return _error("a GraphQL request is an object with a query")
        variables = request.get("variables")
        variables = variables if isinstance(variables, Mapping) else {}
        match = _FIELD.search(query)
        if match is None:
            return _error(f"this query is not available on the local backend: {query.strip()[:80]}")
        field = match.group(1)
        return {"data": {field: self._value(field, variables, url)}}

    def _value(self, field: str, variables: Mapping[str, Any], url: str) -> dict[str, Any]:
        entity = str(variables.get("entityName") or variables.get("entity") or self._entity)
        name = str(variables.get("name") or variables.get("projectName") or "")
        project = {"name": name, "entityName": entity, "description": None}
        values: dict[str, dict[str, Any]] = {
            "viewer": {
                "id": ANYONE,
                "username": ANYONE,
                "entity": self._entity,
                "defaultEntity": {"name": self._entity},
                "teams": {"edges": [{"node": {"name": self._entity}}]},
                "flags": "{}",
            },
            "project": project,
            "upsertModel": {"model": project, "project": project},
            "upsertProject": {"project": project},
            "serverInfo": {"frontendHost": url},
            "entity": {"name": entity, "readOnly": False},
        }
        return values[field]


def _error(message: str) -> dict[str, Any]:
    return {"errors": [{"message": message}]}
