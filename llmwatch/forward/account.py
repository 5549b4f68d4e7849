"""Whose project it is at W&B: the account's default entity, and the project made when it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmwatch.forward.trouble import Later

if TYPE_CHECKING:
    from weave.wandb_interface.auth import WandbCredentials

_TIMEOUT_S = 15.0
_DEFAULT_ENTITY = "query DefaultEntity { viewer { username defaultEntity { name } } }"
_PROJECT = (
    "query Project($name: String!, $entityName: String!) "
    "{ project(name: $name, entityName: $entityName) { name } }"
)
_MAKE_PROJECT = (
    "mutation UpsertModel($name: String!, $entity: String!) "
    "{ upsertModel(input: { name: $name, entityName: $entity }) { model { name } } }"
)


class Account:
    """W&B's GraphQL, as far as finding a project goes."""

    def __init__(self, base_url: str, credentials: WandbCredentials) -> None:
        self._url, self._credentials = f"{base_url}/graphql", credentials

    def default_entity(self) -> str:
        viewer = self._ask(_DEFAULT_ENTITY).get("viewer")
        name = ((viewer or {}).get("defaultEntity") or {}).get("name")
        if not name:
            raise Later(
                "the W&B account has no default entity, or the key is not one of its keys: set WANDB_ENTITY, name the "
                "project 'entity/project', or log in again",
                in_doubt=False,
                status=401,
            )
        return str(name)

    def ensure_project(self, entity: str, name: str) -> str:
        """The project's name as W&B has it; it is made when it is not there."""
        found = self._ask(_PROJECT, name=name, entityName=entity).get("project")
        if not found:
            made = self._ask(_MAKE_PROJECT, name=name, entity=entity).get("upsertModel") or {}
            found = made.get("model")
        if not found:
            raise Later(f"W&B did not make the project {entity}/{name}", in_doubt=False, status=403)
        return str(found["name"])

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        import httpx
        from weave.trace.env import ssl_verify

        answer = httpx.post(
            self._url,
            json={"query": query, "variables": variables},
            headers={"Authorization": self._credentials.authorization_header()},
            timeout=_TIMEOUT_S,
            verify=ssl_verify(),
        )
        answer.raise_for_status()
        told = answer.json()
        if told.get("errors") and not told.get("data"):
            said = "; ".join(str(error.get("message", error)) for error in told["errors"])
            raise Later(f"W&B says: {said}", in_doubt=False, status=403)
        return told.get("data") or {}
