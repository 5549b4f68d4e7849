"""Weave's query language (`{"$expr": ...}`) as parameterised SQL.

A field is JSON text until it is cast, and the cast follows from the literal on the other side. What
is missing or cannot be cast is NULL, and a condition on NULL never holds, under `$not` neither: that
is SQL's own logic, so the operators map one to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llmwatch.backend import wire
from llmwatch.backend.fields import Field, Kind, cast, literal_for
from llmwatch.backend.fragments import Fragment, all_of, any_of, sql, value

_COMPARISONS = {"$eq": "=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_CONVERSIONS: dict[str, Kind] = {
    "double": "double",
    "int": "int",
    "string": "text",
    "bool": "bool",
}
_TURNED = {"=": "=", ">": "<", ">=": "<=", "<": ">", "<=": ">="}
FindField = Callable[[str], Field]
"""Finds the field of a `$getField` path, or raises `InvalidFieldError`."""


@dataclass(frozen=True)
class _Literal:
    value: Any


def condition(query: Mapping[str, Any] | None, find: FindField) -> Fragment:
    """The SQL condition of a query; TRUE of none."""
    if not query:
        return Fragment("TRUE")
    if not isinstance(query, Mapping) or "$expr" not in query:
        raise _invalid(f"a query is an object with $expr, not {query!r}")
    return _Compiler(find).condition(query["$expr"])


class _Compiler:
    def __init__(self, find: FindField) -> None:
        self._find = find

    def condition(self, expr: Any) -> Fragment:
        operator, operands = _operation(expr)
        if operator in {"$and", "$or"}:
            put_together = all_of if operator == "$and" else any_of
            return put_together(map(self.condition, _several(operator, operands)))
        if operator == "$not":
            return sql("(NOT {})", self.condition(_only(operands)))
        if operator in _COMPARISONS:
            left, right = self._pair(operator, operands)
            return self._compare(_COMPARISONS[operator], left, right)
        if operator in {"$in", "$contains"}:
            return self._in(operands) if operator == "$in" else self._contains(operands)
        return self._truth(self._operand(expr))

    def _truth(self, operand: Field | _Literal) -> Fragment:
        """An operand that stands where a condition is wanted."""
        if isinstance(operand, _Literal):
            return Fragment("TRUE" if operand.value is True else "FALSE")
        return _among(operand, cast(operand, "bool"))

    def _operand(self, expr: Any) -> Field | _Literal:
        if not isinstance(expr, Mapping):
            return _Literal(expr)
        operator, operand = _operation(expr)
        if operator == "$literal":
            return _Literal(operand)
        if operator == "$getField":
            return self._find(_path(operand))
        if operator == "$convert":
            return self._convert(operand)
        return Field(self.condition(expr), "bool")

    def _convert(self, spec: Any) -> Field | _Literal:
        given, to = _parts("$convert", spec, "input", "to")
        operand = self._operand(given)
        if isinstance(operand, _Literal):
            operand = Field(sql("CAST({} AS VARCHAR)", value(_text(operand.value))))
        if to == "exists":
            exists = _among(operand, sql("({} IS NOT NULL)", operand.sql))
            return Field(sql("coalesce({}, false)", exists), "bool")
        if not isinstance(to, str) or to not in _CONVERSIONS:
            raise _invalid(f"$convert to {to!r}: it is one of {[*_CONVERSIONS, 'exists']}")
        kind = _CONVERSIONS[to]
        return Field(cast(operand, kind), kind, operand.among)

    def _pair(self, operator: str, operands: Any) -> tuple[Field | _Literal, Field | _Literal]:
        if not isinstance(operands, (list, tuple)) or len(operands) != 2:
            raise _invalid(f"{operator} takes two operands, not {operands!r}")
        return self._operand(operands[0]), self._operand(operands[1])

    def _in(self, operands: Any) -> Fragment:
        if (
            not isinstance(operands, (list, tuple))
            or len(operands) != 2
            or not isinstance(operands[1], (list, tuple))
        ):
            raise _invalid("$in takes an operand and a list of operands")
        left = self._operand(operands[0])
        return any_of(self._compare("=", left, self._operand(each)) for each in operands[1])

    def _compare(self, sign: str, left: Field | _Literal, right: Field | _Literal) -> Fragment:
        if isinstance(left, _Literal) and isinstance(right, _Literal):
            return _constant(sign, left.value, right.value)
        if isinstance(right, _Literal):
            assert isinstance(left, Field)
            return _among(left, _beside_literal(left, sign, right.value))
        if isinstance(left, _Literal):
            return _among(right, _beside_literal(right, _TURNED[sign], left.value))
        return _among(left, _among(right, _fields(sign, left, right)))

    def _contains(self, spec: Any) -> Fragment:
        fields = [self._operand(each) for each in _parts("$contains", spec, "input", "substr")]
        texts = [_as_text(field) for field in fields]
        if spec.get("case_insensitive"):
            texts = [sql("lower({})", text) for text in texts]
        found = sql("contains({}, {})", *texts)
        for field in fields:
            found = _among(field, found)
        return found


def _beside_literal(field: Field, sign: str, given: Any) -> Fragment:
    """A field compared with a literal, which decides how the field is cast."""
    template = "({} " + sign + " {})"
    if given is None:
        return sql("({} IS NULL)", field.sql) if sign == "=" else Fragment("NULL::BOOLEAN")
    if isinstance(given, float) and math.isnan(given):
        return Fragment("NULL::BOOLEAN")  # nothing is equal to it, less or more
    if field.kind != "text" and not (isinstance(given, str) and field.kind == "bool"):
        return sql(template, field.sql, literal_for(field.kind, given))
    if isinstance(given, bool):
        return sql(template, cast(field, "bool"), value(given))
    if isinstance(given, (int, float)):
        return _beside_number(field, template, given)
    return sql(template, cast(field, "text"), sql("CAST({} AS VARCHAR)", value(_text(given))))


def _beside_number(field: Field, template: str, given: float) -> Fragment:
    # past 2**53 a double no longer tells neighbours apart
    if isinstance(given, int) and 2**53 < abs(given) < 2**127:
        return sql(template, cast(field, "int"), Fragment("CAST(? AS HUGEINT)", (given,)))
    return sql(template, cast(field, "double"), Fragment("CAST(? AS DOUBLE)", (_double(given),)))


def _fields(sign: str, left: Field, right: Field) -> Fragment:
    """Two fields: as what one of them is, when it is more than text."""
    kind = left.kind if left.kind != "text" else right.kind
    if {left.kind, right.kind} == {"int", "double"}:
        kind = "double"
    return sql("({} " + sign + " {})", cast(left, kind), cast(right, kind))


def _constant(sign: str, left: Any, right: Any) -> Fragment:
    """Two literals; of types that have no order, no comparison holds."""
    try:
        holds = {
            "=": lambda: left == right,
            ">": lambda: left > right,
            ">=": lambda: left >= right,
            "<": lambda: left < right,
            "<=": lambda: left <= right,
        }[sign]()
    except TypeError:
        return Fragment("NULL::BOOLEAN")
    return Fragment("TRUE" if holds else "FALSE")


def _double(given: float) -> float:
    try:
        return float(given)
    except OverflowError:
        return math.inf if given > 0 else -math.inf


def _among(operand: Field | _Literal, found: Fragment) -> Fragment:
    return operand.holds(found) if isinstance(operand, Field) else found


def _as_text(operand: Field | _Literal) -> Fragment:
    if isinstance(operand, _Literal):
        return sql("CAST({} AS VARCHAR)", value(_text(operand.value)))
    return cast(operand, "text")


def _text(given: Any) -> str | None:
    """A literal as JSON values read as text."""
    if given is None:
        return None
    return given if isinstance(given, str) else wire.dumps(given).decode()


def _path(given: Any) -> str:
    if not isinstance(given, str):
        raise _invalid(f"$getField takes a dotted path, not {given!r}")
    return given


def _parts(operator: str, spec: Any, *names: str) -> list[Any]:
    if not isinstance(spec, Mapping) or not all(name in spec for name in names):
        raise _invalid(f"{operator} takes an object with {' and '.join(names)}, not {spec!r}")
    return [spec[name] for name in names]


def _operation(expr: Any) -> tuple[str, Any]:
    if not isinstance(expr, Mapping) or len(expr) != 1:
        raise _invalid(f"an operation is an object with one key, not {expr!r}")
    [(operator, operands)] = expr.items()
    if operator not in _KNOWN:
        raise _invalid(f"there is no operation {operator!r}")
    return operator, operands


_KNOWN = {
    *_COMPARISONS,
    *("$and", "$or", "$not", "$in", "$contains", "$convert", "$getField", "$literal"),
}


def _several(operator: str, operands: Any) -> list[Any]:
    if not isinstance(operands, (list, tuple)):
        raise _invalid(f"{operator} takes a list, not {operands!r}")
    return list(operands)


def _only(operands: Any) -> Any:
    if isinstance(operands, Mapping):
        return operands
    if not isinstance(operands, (list, tuple)) or len(operands) != 1:
        raise _invalid(f"$not takes a list of one operand, not {operands!r}")
    return operands[0]


def _invalid(message: str) -> Exception:
    from weave.trace.errors import InvalidRequest

    error: Exception = InvalidRequest(message)
    return error
