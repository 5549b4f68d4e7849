"""Digests: the names that contents go by, the same ones that Weave's own server gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weave.trace.serialization.digest import ObjectDigestResult

LENGTH = 43
"""Characters in the digest of an object, a row or a file."""


def of_object(val: Any, builtin_object_class: str | None = None) -> ObjectDigestResult:
    """The digest of an object, with its value as it is stored and its classes.

    Weave's own code, which it ships so that clients and servers agree: the value goes through JSON,
    built-in classes are normalised, and the rest is SHA-256 over sorted keys.
    """
    from weave.trace.serialization.digest import compute_object_digest_result

    return compute_object_digest_result(val, builtin_object_class)


def of_row(row: Any) -> str:
    from weave.trace.serialization.digest import compute_row_digest

    return str(compute_row_digest(row))


def of_table(row_digests: list[str]) -> str:
    from weave.trace.serialization.digest import compute_table_digest

    return str(compute_table_digest(row_digests))


def of_file(content: bytes) -> str:
    from weave.trace.serialization.digest import compute_file_digest

    return str(compute_file_digest(content))


def check(found: str, expected: str | None, what: str) -> str:
    """`found`, unless the client expected another digest."""
    if expected is not None and expected != found:
        from weave.trace.errors import DigestMismatchError

        raise DigestMismatchError(f"{what}: the client expected {expected}, its content is {found}")
    return found
