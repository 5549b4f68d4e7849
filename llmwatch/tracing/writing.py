"""A row as a line of the spool: rendered once, when the call ends (and when it begins, if it is eager)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter_ns
from typing import Any

from orjson import Fragment, dumps

from llmwatch import capture, clock, faults
from llmwatch.tracing import failures, naming, unfinished, usage
from llmwatch.tracing.plan import Plan
from llmwatch.tracing.redact import LONG, may_hold_secret
from llmwatch.tracing.row import Row

_PLAIN = frozenset({str, int, float, bool, type(None), list, tuple})


def finish(  # noqa: C901 - one function: each call inside costs 1% of a traced call
    row: Row, output: Any, error: BaseException | None = None
) -> None:
    """Record how a call ended. Never raises; the second end of a call (a stream closed twice) is not recorded."""
    if row._ended_us:
        return
    # The wall clock may be set while a call runs; in a test that sets it, it is meant.
    passed = (perf_counter_ns() - row._clock_ns) // 1000
    if clock._replaced_now is None:
        row._ended_us = row._started_us + passed
    else:
        row._ended_us = clock.now_us()
        passed = row._ended_us - row._started_us
    plan, recorder = row.plan, row.recorder
    try:
        process = plan.op["postprocess_output"]
        if process is not None or recorder.postprocess is not None:
            output = processed(plan, output, process, recorder.postprocess)
        form = type(output)
        about = None if form is str and row._kept is None else _about(row, output)
        if error is not None:
            about = {**(about or {}), **_about_error(row, error)}
        if row._keep:
            row.output = output
        if (handler := plan.op["_on_finish_handler"]) is not None:
            with faults.contained(f"the finish handler of {plan.name} failed"):
                handler(row, output, error)
        columns = _columns(row)  # only now: a handler may have named the row, or put it in a thread
        columns["status"] = "success" if error is None else "error"
        columns["ended_at"] = row._ended_us
        columns["latency_ms"] = passed / 1000
        if form is str:
            columns["output_chars"] = len(output)
        if about is not None:
            columns |= about
        _show(row, columns, output, form)
        if row._held:
            row._release = lambda: _write(row, columns)
            unfinished.add(row, row._release)
        else:
            _write(row, columns)
    except Exception as fault:  # noqa: BLE001 - our faults stop here: what the user's code did stands
        faults.report(f"the end of a call of {plan.name} could not be recorded", fault, lost=1)


def _about_error(row: Row, error: BaseException) -> dict[str, Any]:
    kind, row.exception = failures.describe(error, row.plan.redactor)
    return {"exception_type": kind, "exception": row.exception}


def _about(row: Row, output: Any) -> dict[str, Any] | None:
    """The model that an output names, and the tokens it took."""
    if type(output) not in _PLAIN:
        return usage.columns(row, output)
    if row._kept:
        usage.roll_up(row)
    return None


def _show(row: Row, columns: dict[str, Any], output: Any, form: type) -> None:
    """The inputs and the output: as they are when they are texts without a secret, else as JSON without it."""
    recorder, redactor = row.recorder, row.plan.redactor
    said: str | None = None
    if form is list:
        output = output.copy()  # another thread may change it between two looks
    # A rule may have come while the call ran.
    if row._unseen is not None and not (row._held or row._eager or redactor.always):
        if form is str:
            said = output if output is not row._clean else ""
        elif form is list and len(output) <= recorder.short and all_texts(output):
            said = "".join(output)
        elif output is None:
            said = ""
        if said is not None and len(said) <= recorder.short and not may_hold_secret(row._unseen + said):
            columns["inputs"], columns["output"] = row._inputs, output
            if len(said) >= LONG and said is output and isinstance(row._parent, Row):
                row._parent._clean = output  # which may well return it too
            return
    _show_json(row, columns, output, form)


def _show_json(row: Row, columns: dict[str, Any], output: Any, form: type) -> None:
    recorder, redactor = row.recorder, row.plan.redactor
    texts = form is str or (form is list and all_texts(output))
    data = (capture.encode_texts(output, recorder.limit) if texts else None) or (
        recorder.encode(output)
    )
    if not row._eager:
        clean = row._unseen is not None and not (redactor.always or may_hold_secret(row._unseen))
        columns["inputs"] = row._inputs if clean else Fragment(inputs_json(row))
    columns["output"] = Fragment(redactor.json(data, plain=texts))


def inputs_json(row: Row) -> bytes:
    """The inputs without their secrets."""
    data, recorder = row._inputs, row.recorder
    if isinstance(data, bytes):
        return row.plan.redactor.json(data, plain=row._plain)
    data = capture.encode_texts(data, recorder.limit) or recorder.encode_fields(data)
    return row.plan.redactor.json(data, plain=True)


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


def _columns(row: Row) -> dict[str, Any]:
    """The columns of a row that its output does not change."""
    plan = row.plan
    if plan.waiting is not None:
        naming.note(plan, row)
    columns: dict[str, Any] = {
        "id": row.id,
        "trace_id": row.trace_id,
        "started_at": row._started_us,
        **(plan.columns if plan.recorder is row.recorder else plan.short_columns),
    }
    if row.parent_id is not None:
        columns["parent_id"] = row.parent_id
    if row._frame.columns:
        columns |= row._frame.columns
    if row.thread_id is not None:
        columns["session_id"], columns["turn_id"] = _text(row.thread_id), row.turn_id
    if name := row._given_name or plan.options.call_display_name:
        columns["display_name"] = _display_name(row, name)
    if row._prompt_chars:
        columns["prompt_chars"] = row._prompt_chars
    if row._first_ns:
        columns["ttft_ms"] = (row._first_ns - row._clock_ns) // 1000 / 1000
    return columns


def _display_name(row: Row, name: Any) -> Any:
    if callable(name):
        try:
            name = row._given_name = str(name(row))
        except Exception as error:  # noqa: BLE001 - the user's naming; the call itself must go on
            faults.report(f"call_display_name of {row.plan.name} failed", error)
            row._given_name = name = row.plan.name
    return _text(name)


def _text(given: Any) -> str:
    return str.__str__(given) if isinstance(given, str) else str(given)  # of an enum's member, its value


def _write(row: Row, columns: dict[str, Any]) -> None:
    row._written = True
    if row._release is not None:
        unfinished.remove(row)
    columns["attributes"] = _attributes(row)
    if row._summary is not None:
        columns["summary"] = Fragment(row.recorder.encode(row._summary))
    row.writer.write("end" if row._eager else "row", b"", _rendered(row, columns)[1:])


def _attributes(row: Row) -> Fragment:
    attrs = row._attrs
    frame = row._frame
    if not attrs and not frame.attributes and row._given_attributes is None and row._added is None:
        if not row.recorder.own_attributes:
            return row.plan.rendered_attributes
        return Fragment(row.recorder.encode(row.attributes))
    merged = {**row.attributes, **frame.attributes}
    if attrs is frame.for_weave:  # those that are columns already
        for name in frame.values:
            if name not in frame.attributes:
                merged.pop(name, None)
    merged.update(row._given_attributes or {})
    merged.update(row._added or {})
    merged["weave"] = {**_mapping(merged.get("weave")), **row.plan.attributes["weave"]}
    return Fragment(row.plan.redactor.json(row.recorder.encode(merged)))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def write_start(row: Row) -> None:
    columns = _columns(row)
    columns["inputs"] = Fragment(inputs_json(row))
    columns["attributes"] = _attributes(row)
    row.writer.append("start", _rendered(row, columns))


def patch_attributes(row: Row) -> None:
    """Data added after the row was written: the whole of its attributes takes their place."""
    row.writer.append("patch", dumps({"id": row.id, "attributes": _attributes(row)}))


def all_texts(items: list[Any]) -> bool:
    for item in items:  # noqa: SIM110 - a generator costs more than the list
        if type(item) is not str:
            return False
    return True


def chars_of_messages(messages: list[Any]) -> int:
    contents = [m.get("content") for m in messages if type(m) is dict]
    return sum(len(text) for text in contents if type(text) is str)


def _rendered(row: Row, columns: dict[str, Any]) -> bytes:
    try:
        return dumps(columns)
    except TypeError:  # a lone surrogate, a huge int
        for name, value in columns.items():
            if type(value) is not Fragment:
                ours = name not in ("inputs", "output")
                columns[name] = Fragment(capture.encode(value) if ours else row.recorder.encode(value))
        return dumps(columns)
