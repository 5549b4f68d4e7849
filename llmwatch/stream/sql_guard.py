"""One SELECT over named views, and nothing else: what a person's SQL may be.

DuckDB's own sandbox does not make a query read-only, so the parsed statement decides: every table it names must be one of
ours, every table function one that reads nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from llmwatch.errors import QueryRefused

if TYPE_CHECKING:
    import duckdb

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "json_each", "json_tree", "repeat"})
"""Table functions that touch nothing but their arguments."""
QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
"""What a query and its parts may be; DuckDB also takes DELETE, INSERT, UPDATE and COPY TO in a WITH."""
_PLAIN = re.compile(r"(?!(?:duckdb|pragma|sqlite|pg)_)[a-z_]\w*", re.ASCII)
"""What a query may name a table of its own: nothing that is a file or a system view where that table is out of scope."""
REFUSED_FUNCTIONS = frozenset(
    {"getenv", "current_setting", "getvariable", "nextval", "currval", "write_log", "query", "query_table"}
)


def check(sql: str, views: set[str], connection: duckdb.DuckDBPyConnection) -> None:
    """Raise `QueryRefused` unless `sql` is one SELECT over `views`."""
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryRefused(f"this is not SQL that DuckDB reads: {error}") from None
    if len(statements) != 1:
        raise QueryRefused(f"a query is one SELECT statement; this is {len(statements)}")
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = statements[0].type.name
        raise QueryRefused(f"a query is a SELECT; {kind} is refused, because it could change or reveal files")
    _check_tree(_tree(statements[0].query, connection), views)


def _tree(sql: str, connection: duckdb.DuckDBPyConnection) -> Any:
    row = connection.cursor().execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree.get("error"):
        raise QueryRefused(f"a query is one plain SELECT: {tree.get('error_message', 'cannot be read')}")
    return tree


def _check_tree(tree: Any, views: set[str]) -> None:
    known = {name.lower() for name in views}
    own = {_checked_name(str(name)) for name in _common_tables(tree)}
    for node in _nodes(tree):
        if ("cte_map" in node or str(node.get("type")).endswith("_NODE")) and node.get("type") not in QUERIES:
            raise QueryRefused(f"a query is a SELECT, also in its WITH; {node.get('type')} is refused")
        if node.get("type") == "BASE_TABLE":
            _check_table(node, known | own, known)
        elif node.get("type") == "TABLE_FUNCTION":
            _check_function(node.get("function", {}), TABLE_FUNCTIONS)
        elif node.get("type") == "SHOW_REF":
            raise QueryRefused("a query is a SELECT; use `table.schema` for the columns")
        elif str(node.get("function_name", "")).lower() in REFUSED_FUNCTIONS:
            raise QueryRefused(f"the function {node['function_name']} is refused in a query")


def _check_table(node: dict[str, Any], names: set[str], views: set[str]) -> None:
    name = str(node.get("table_name", ""))
    if node.get("catalog_name") or node.get("schema_name"):
        raise QueryRefused(f"name tables without a schema: {name}")
    if name.lower() not in names:
        raise QueryRefused(f"no table {name!r} here; there are: {', '.join(sorted(views))}")


def _checked_name(name: str) -> str:
    if not _PLAIN.fullmatch(name.lower()):
        raise QueryRefused(f"name the query's own table {name!r} in letters, digits and _, unlike a file or a system table")
    return name.lower()


def _check_function(function: dict[str, Any], allowed: frozenset[str]) -> None:
    name = str(function.get("function_name", "")).lower()
    if name not in allowed:
        raise QueryRefused(f"the table function {name!r} is refused in a query: it could read files or settings")


def _common_tables(tree: Any) -> Iterator[str]:
    for node in _nodes(tree):
        for entry in (node.get("cte_map") or {}).get("map", ()):
            yield entry["key"]
        if "cte_name" in node:
            yield node["cte_name"]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)
