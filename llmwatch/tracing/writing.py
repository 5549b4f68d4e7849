"""A row as a line of the spool: rendered once, when the call ends (and when it begins, if it is eager)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter_ns
from typing import Any

import orjson

from llmwatch import capture, clock, faults
from llmwatch.tracing import failures, naming, unfinished, usage
from llmwatch.tracing.plan import Plan
from llmwatch.tracing.row import Row

_PLAIN = frozenset({str, int, float, bool, type(None), list, tuple})


def write_end(  # noqa: C901, PLR0912 - one function: each call inside costs 1% of a traced call
    row: Row, output: Any, error: BaseException | None = None
) -> None:
    """Write the row. Once: a call that ended already (a stream closed twice) is left alone."""
    if row._ended_us:
        return
    # The wall clock may be set while a call runs; in a test that sets it, it is meant.
    passed = perf_counter_ns() - row._clock_ns
    if clock._replaced_now is None:
        row._ended_us = row._started_us + passed // 1000
    else:
        row._ended_us = clock.now_us()
        passed = (row._ended_us - row._started_us) * 1000
    more = ""
    if error is not None:
        kind, text = failures.describe(error, row.plan.redactor)
        row.exception = text
        more = f',"exception_type":{_quoted(kind)},"exception":{_quoted(text)}'
    plan = row.plan
    process = plan.op["postprocess_output"]
    if process is not None or row.recorder.postprocess is not None:
        output = processed(plan, output, process, row.recorder.postprocess)
    form = type(output)
    if form is str and row._kept is None:
        more = f'{more},"output_chars":{len(output)}'
    else:
        more += _about(row, output)
    if row._keep:
        row.output = output
    if (handler := plan.op["_on_finish_handler"]) is not None:
        with faults.contained(f"the finish handler of {plan.name} failed"):
            handler(row, output, error)
    texts = form is str or (form is list and all_texts(output))
    data = (capture.encode_texts(output, row.recorder.limit) if texts else None) or (
        row.recorder.encode(output)
    )
    if row._eager:
        data = plan.redactor.json(data, plain=texts)
    else:
        row._inputs, data = plan.redactor.pair(row._inputs, data, plain=texts and row._plain)
    head = _head(row, "error" if error is not None else "success", passed, more)
    if row._held:
        row._release = lambda: _write(row, head, data)
        unfinished.add(row, row._release)
    else:
        _write(row, head, data)


def _about(row: Row, output: Any) -> str:
    """What the output says of itself: its length, or the model and the tokens it took."""
    if type(output) not in _PLAIN:
        return usage.columns(row, output)
    if row._kept:
        usage.roll_up(row)
    return f',"output_chars":{len(output)}' if type(output) is str else ""


def processed(plan: Plan, value: Any, *steps: Callable[[Any], Any] | None) -> Any:
    """A value after the user's processing. Where that fails, nothing of the value is recorded: it may be there
    to take something out."""
    try:
        for step in steps:
            if step is not None:
                value = step(value)
        return value
    except Exception as error:  # noqa: BLE001 - the user's processing; the call itself must go on
        faults.report(f"postprocessing for {plan.name} failed; the value is not recorded", error)
        note = f"[not recorded: postprocessing failed with {type(error).__name__}]"
        return {"error": note} if isinstance(value, dict) else note


def _head(row: Row, status: str, passed_ns: int, more: str) -> str:
    """The columns that are known only at the end, and those that never change, up to `inputs`."""
    plan = row.plan
    if plan.waiting is not None:
        naming.note(plan, row)
    if row._first_ns:
        more += f',"ttft_ms":{(row._first_ns - row._clock_ns) / 1e6:.3f}'
    if row._prompt_chars:
        more += f',"prompt_chars":{row._prompt_chars}'
    return (
        f'{_identity(row)},"ended_at":{row._ended_us},"latency_ms":{passed_ns / 1e6:.3f}'
        f',"status":"{status}"{more}'
    )


def _identity(row: Row) -> str:
    plan = row.plan
    prefix = plan.prefix if plan.recorder is row.recorder else plan.short_prefix
    parent = f',"parent_id":"{row.parent_id}"' if row.parent_id is not None else ""
    more = row._frame.columns
    if row.thread_id is not None:
        more += f',"session_id":{_quoted(row.thread_id)},"turn_id":"{row.turn_id}"'
    if name := row._given_name or plan.options.call_display_name:
        more += _display_name(row, name)
    return (
        f'"id":"{row.id}","trace_id":"{row.trace_id}"{parent},{prefix}{more}'
        f',"started_at":{row._started_us}'
    )


def _display_name(row: Row, name: Any) -> str:
    if callable(name):
        try:
            name = row._given_name = str(name(row))
        except Exception as error:  # noqa: BLE001 - the user's naming; the call itself must go on
            faults.report(f"call_display_name of {row.plan.name} failed", error)
            row._given_name = name = row.plan.name
    return f',"display_name":{_quoted(name)}'


def _write(row: Row, head: str, output: bytes) -> None:
    row._written = True
    if row._release is not None:
        unfinished.remove(row)
    summary = b"" if row._summary is None else b',"summary":' + row.recorder.encode(row._summary)
    attributes = _attributes(row)
    if row._eager:
        row.writer.append(
            "end", b',"output":%b,"attributes":%b%b}' % (output, attributes, summary), head.encode()
        )
        return
    row.writer.append(
        "row",
        b',"inputs":%b,"output":%b,"attributes":%b%b}' % (row._inputs, output, attributes, summary),
        head.encode(),
    )


def _attributes(row: Row) -> bytes:
    attrs = row._attrs
    frame = row._frame
    if not attrs and not frame.attributes and row._given_attributes is None and row._added is None:
        if not row.recorder.own_attributes:
            return row.plan.attributes_json
        return row.recorder.encode(row.attributes)
    merged = {**row.attributes, **frame.attributes}
    if attrs is frame.for_weave:  # those that are columns already
        for name in frame.values:
            if name not in frame.attributes:
                merged.pop(name, None)
    merged.update(row._given_attributes or {})
    merged.update(row._added or {})
    merged["weave"] = {**_mapping(merged.get("weave")), **row.plan.attributes["weave"]}
    return row.plan.redactor.json(row.recorder.encode(merged))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def write_start(row: Row) -> None:
    inputs = row.plan.redactor.json(row._inputs, plain=row._plain)
    body = b',"inputs":%b,"attributes":%b}' % (inputs, _attributes(row))
    if row.plan.waiting is not None:
        naming.note(row.plan, row)
    row.writer.append("start", body, _identity(row).encode())


def patch_attributes(row: Row) -> None:
    """Data added after the row was written: the whole of its attributes takes their place."""
    row.writer.append("patch", b'{"id":"%b","attributes":%b}' % (row.id.encode(), _attributes(row)))


def all_texts(items: list[Any]) -> bool:
    for item in items:  # noqa: SIM110 - a generator costs more than the list
        if type(item) is not str:
            return False
    return True


def chars_of_messages(messages: list[Any]) -> int:
    contents = [m.get("content") for m in messages if type(m) is dict]
    return sum(len(text) for text in contents if type(text) is str)


def _quoted(text: str) -> str:
    try:
        return orjson.dumps(text).decode()
    except TypeError:  # a lone surrogate
        return capture.encode(text).decode()
