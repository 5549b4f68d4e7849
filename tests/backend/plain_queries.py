"""Weave's query language evaluated in plain Python, as its documentation describes it: what SQL has to agree with.

A field is text until the literal beside it says what it is to be; what is missing or cannot be that is unknown, and
so is a condition on it. Unknown is None here, and logic has three values.
"""

from __future__ import annotations

import json
import math
import re

import orjson

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
WHOLE = re.compile(r"-?\d+")


def value_at(call, path):
    head, *keys = split(path)
    found = call.get(head)
    for key in keys:
        if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            found = found.get(key) if isinstance(found, dict) else None
    return found


def split(path):
    return [part.replace("\0", ".") for part in path.replace("\\.", "\0").split(".")]


def text(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return f"{value:.1f}"  # as DuckDB has it of 1e+20, which is how orjson writes it
    return orjson.dumps(value).decode()


def number(value):
    value = text(value)
    if value is None or not NUMBER.fullmatch(value):
        return None
    found = float(value)
    return found if math.isfinite(found) else None


def boolean(value):
    return {"true": True, "false": False}.get(text(value))


class Query:
    """A condition, asked of one call at a time."""

    def __init__(self, expr):
        self._expr = expr

    def holds(self, call):
        return self._condition(self._expr, call) is True

    def _condition(self, expr, call):
        [(operator, operands)] = expr.items()
        if operator in {"$and", "$or"}:
            together = all_of if operator == "$and" else any_of
            return together([self._condition(each, call) for each in operands])
        if operator == "$not":
            return not_(self._condition(operands[0], call))
        if operator == "$in":
            return any_of([self._compare("$eq", operands[0], each, call) for each in operands[1]])
        if operator == "$contains":
            return self._contains(operands, call)
        if operator == "$convert" and operands["to"] == "exists":
            return value_at(call, operands["input"]["$getField"]) is not None
        return self._compare(operator, *operands, call)

    def _contains(self, operands, call):
        parts = [text(self._value(operands[name], call)) for name in ("input", "substr")]
        if None in parts:
            return None
        if operands.get("case_insensitive"):
            parts = [part.lower() for part in parts]
        return parts[1] in parts[0]

    def _value(self, operand, call):
        if "$literal" in operand:
            return operand["$literal"]
        return value_at(call, operand["$getField"])

    def _compare(self, operator, left, right, call):
        if "$literal" in left and "$literal" in right:
            return compared(operator, left["$literal"], right["$literal"])
        if "$literal" in left:
            turned = {"$gt": "$lt", "$gte": "$lte", "$lt": "$gt", "$lte": "$gte"}
            return self._compare(turned.get(operator, operator), right, left, call)
        found = value_at(call, left["$getField"])
        if "$literal" not in right:
            return compared(operator, text(found), text(value_at(call, right["$getField"])))
        given = right["$literal"]
        if given is None:
            return found is None if operator == "$eq" else None
        return compared(
            operator, cast_as(found, given), given if not containers(given) else text(given)
        )


def cast_as(found, given):
    """The field as what the literal is."""
    if isinstance(given, bool):
        return boolean(found)
    if isinstance(given, int) and abs(given) > 2**53:
        whole = text(found)
        return int(whole) if whole is not None and WHOLE.fullmatch(whole) else number(found)
    return number(found) if isinstance(given, (int, float)) else text(found)


def containers(value):
    return isinstance(value, (list, dict))


def compared(operator, left, right):
    if left is None or right is None:
        return None
    try:
        return {
            "$eq": lambda: left == right,
            "$gt": lambda: left > right,
            "$gte": lambda: left >= right,
            "$lt": lambda: left < right,
            "$lte": lambda: left <= right,
        }[operator]()
    except TypeError:
        return None


def not_(value):
    return None if value is None else not value


def all_of(values):
    return False if False in values else None if None in values else True


def any_of(values):
    return True if True in values else None if None in values else False


def ordered(calls, sort_by):
    """Present before missing in both directions, then numbers, then text; ties by id."""
    calls = list(calls)
    last = sort_by[-1]["direction"] if sort_by else "asc"
    calls.sort(key=lambda call: call["id"], reverse=last == "desc")
    for order in reversed(sort_by):
        descending = order["direction"] == "desc"
        found = {call["id"]: value_at(call, order["field"]) for call in calls}
        present = [call for call in calls if found[call["id"]] is not None]
        missing = [call for call in calls if found[call["id"]] is None]
        numbers = [call for call in present if number(found[call["id"]]) is not None]
        texts = [call for call in present if number(found[call["id"]]) is None]
        for some in (numbers, texts):
            some.sort(key=lambda call: text(found[call["id"]]).encode(), reverse=descending)
        numbers.sort(key=lambda call: number(found[call["id"]]), reverse=descending)
        calls = numbers + texts + missing
    return calls


def passes(call, filter_):
    """Weave's filter: AND across keys, OR inside one; None and [] are no constraint, but for threads."""
    for key, wanted in filter_.items():
        if wanted is None or (wanted == [] and key != "thread_ids"):
            continue
        if key == "trace_roots_only":
            if wanted and call.get("parent_id") is not None:
                return False
        elif key in {"input_refs", "output_refs"}:
            said = json.dumps(call["inputs" if key == "input_refs" else "output"])
            if not any(f'"{ref}"' in said for ref in wanted):
                return False
        elif call.get(_FIELD[key]) not in wanted:
            return False
    return True


_FIELD = {
    "op_names": "op_name",
    "trace_ids": "trace_id",
    "parent_ids": "parent_id",
    "call_ids": "id",
    "thread_ids": "thread_id",
}
