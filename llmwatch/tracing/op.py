"""What makes a traced function a Weave op: the attributes of Weave's `Op`, none of which needs Weave until used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from llmwatch.tracing import calls, wrappers
from llmwatch.tracing.plan import Plan
from llmwatch.tracing.row import Row


def make_op(function: Any, plan: Plan, flavour: str) -> None:
    """Give `function` (the wrapper) every attribute that `weave.op` gives its own."""
    options = plan.options
    vars(function).update(
        resolve_fn=plan.function,
        name=plan.name,
        ref=None,
        call=partial(_call, plan, flavour),
        calls=partial(_calls, function),
        __call__=function,
        __self__=function,
        postprocess_inputs=options.postprocess_inputs,
        postprocess_output=options.postprocess_output,
        call_display_name=options.call_display_name,
        tracing_sample_rate=options.tracing_sample_rate,
        kind=options.weave_kind,
        color=options.color,
        attributes=options.attributes,
        eager_call_start=options.eager_call_start,
        scorers=tuple(options.scorers),
        get_captured_code=partial(_captured_code, function),
        _accumulator=options.accumulator,
        _set_on_input_handler=partial(_set_handler, function, "_on_input_handler"),
        _on_input_handler=None,
        _set_on_output_handler=partial(_set_handler, function, "_on_output_handler"),
        _on_output_handler=None,
        _set_on_finish_handler=partial(_set_handler, function, "_on_finish_handler"),
        _on_finish_handler=None,
        _on_finish_post_processor=None,
        _tracing_enabled=True,
        _code_capture_enabled=options.enable_code_capture,
        _is_async=flavour == "async_function",
        _is_generator=flavour == "generator",
        _is_async_generator=flavour == "async_generator",
        # What Weave parses from annotations such as `Content[...]`: capture knows such values itself.
        _weave_cached_parsed_input_annotations={},
        _weave_cached_parsed_return_annotation=None,
    )
    if plan.binder.signature is not None:
        function.__signature__ = plan.binder.signature
    plan.op = vars(function)


def _call(
    plan: Plan,
    flavour: str,
    /,
    *args: Any,
    __weave: Mapping[str, Any] | None = None,
    __should_raise: bool = False,
    __require_explicit_finish: bool = False,
    **kwargs: Any,
) -> Any:
    """`(output, row)` of one call. An error of the function is in `row.exception`, not raised, as in Weave."""
    begin = partial(calls.begin, plan, args, kwargs, __weave or {})
    if flavour == "async_function":
        return _call_async(plan, begin, args, kwargs, should_raise=__should_raise)
    row = _kept(begin(push="generator" not in flavour), explicit=__require_explicit_finish)
    try:
        output = wrappers.run(plan, flavour, row, args, kwargs)
    except Exception:
        if __should_raise:
            raise
        output = None
    return output, row or _placeholder(output)


async def _call_async(
    plan: Plan,
    begin: Callable[[], Row | None],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    should_raise: bool,
) -> Any:
    row = _kept(begin())
    try:
        if row:
            output = await wrappers.run_async(row, plan.function, args, kwargs)
        else:
            output = await wrappers.untraced_async(plan, row, args, kwargs)
    except Exception:
        if should_raise:
            raise
        output = None
    return output, row or _placeholder(output)


def _kept(row: Row | None, *, explicit: bool = False) -> Row | None:
    if row:
        row._keep = True
        row._held = explicit
        if row._parent is not None:
            row._parent._children.append(row)
    return row


def _placeholder(output: Any) -> Any:
    from weave.trace.call import NoOpCall

    call = NoOpCall()
    call.output = output
    return call


def _calls(function: Any) -> Any:
    from weave.trace.context import weave_client_context

    return weave_client_context.require_weave_client()._op_calls(function)


def _captured_code(function: Any) -> str:
    from weave.trace.op import get_captured_code

    code: str = get_captured_code(function)
    return code


def _set_handler(function: Any, name: str, handler: Any) -> None:
    if getattr(function, name) is not None:
        raise ValueError(f"{function.name} has its {name} already")
    setattr(function, name, handler)
