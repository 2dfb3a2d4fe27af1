"""A function call to a closure: name and number of arguments checked at once, types at each evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from gateway.errors import ExpressionError
from gateway.mapping import tree
from gateway.mapping.closures import Closure, Each, Unreadable
from gateway.mapping.limits import Run
from gateway.mapping.literals import check_format, compile_pattern
from gateway.mapping.signatures import FUNCTIONS, Function, Parameter
from gateway.mapping.tree import Node
from gateway.mapping.values import kind_of

Close = Callable[[Node], Closure]
_LONG = 256
_SHORT = 64


def close_call(node: tree.Call, close: Close, cost: Callable[[Node], int]) -> Closure:
    """Raises ExpressionError (unknown-function, arity, type, value)."""
    function = _known(node)
    arguments = tuple(
        _argument(node, function.parameter(place), argument, close, cost)
        for place, argument in enumerate(node.arguments)
    )
    checks = tuple(function.parameter(place) for place in range(len(arguments)))
    perform = _performer(node, function)
    skips_null, null_gives = function.nulls == "null", function.null_gives

    def call(here: Any, run: Run) -> Any:
        values = [argument(here, run) for argument in arguments]
        if skips_null and None in values:
            return null_gives
        for place, check in enumerate(checks):
            if check.types is not None and not check.accepts(values[place]):
                raise _wrong_type(node, check, place, values[place])
        return perform(run, values)

    if len(arguments) != 1 or checks[0].types is None or checks[0].inside:
        return call
    argument, check, types = arguments[0], checks[0], checks[0].types

    def call_with_one(here: Any, run: Run) -> Any:
        value = argument(here, run)
        if value is None and skips_null:
            return null_gives
        if type(value) not in types:
            raise _wrong_type(node, check, 0, value)
        return perform(run, (value,))

    return call_with_one


def _performer(node: tree.Call, function: Function) -> Callable[[Run, Sequence[Any]], Any]:
    """The function on checked arguments, paid for, with its problems placed."""
    work, scans = function.work, function.scans

    def perform(run: Run, values: Sequence[Any]) -> Any:
        try:
            run.spend(1)
            if scans:
                _charge(values, run)
            result = work(run, *values)
            if isinstance(result, str):
                # Short ones are covered by the step.
                if len(result) > _SHORT:
                    run.write(len(result))
            elif isinstance(result, (list, dict)):
                run.build(len(result))
            return result
        except Unreadable as problem:
            run.runtime.vendor_fault(f"`{node.name}()`: {problem}")
            return None
        except ExpressionError as problem:
            raise _placed(problem, node) from None

    return perform


def _known(node: tree.Call) -> Function:
    function = FUNCTIONS.get(node.name)
    if function is None:
        near = get_close_matches(node.name.lower(), FUNCTIONS, 1)
        raise ExpressionError(
            f"There is no function `{node.name}()`.",
            kind="unknown-function",
            offset=node.start,
            width=len(node.name),
            fix=f"Did you mean `{near[0]}()`?" if near else None,
        )
    count = len(node.arguments)
    if count < function.least or (function.most is not None and count > function.most):
        raise ExpressionError(
            f"`{node.name}()` takes {function.arity()}, not {count}.",
            kind="arity",
            offset=node.start,
            width=node.end - node.start,
        )
    return function


def _argument(
    node: tree.Call, parameter: Parameter, argument: Node, close: Close, cost: Callable[[Node], int]
) -> Closure:
    if (parameter.word == "each") != isinstance(argument, tree.Reference):
        raise _wrong_reference(node, parameter, argument)
    if isinstance(argument, tree.Reference):
        inner, price = close(argument.inner), cost(argument.inner)
        return lambda _here, run: Each(inner, price, run)
    if parameter.word == "pattern":
        pattern = compile_pattern(argument)
        return lambda _here, _run: pattern
    if parameter.word == "format":
        check_format(argument)
    return close(argument)


def _wrong_reference(node: tree.Call, parameter: Parameter, argument: Node) -> ExpressionError:
    if parameter.word == "each":
        message, fix = "wants an expression for each item here", "Put `&` before it, as in `&name`."
    else:
        message, fix = "takes no `&` here", "Leave out the `&`."
    return ExpressionError(
        f"`{node.name}()` {message}.",
        kind="type",
        offset=argument.start,
        width=max(argument.end - argument.start, 1),
        fix=fix,
    )


def _wrong_type(node: tree.Call, parameter: Parameter, place: int, value: Any) -> ExpressionError:
    found = kind_of(value)
    if isinstance(value, list) and parameter.inside:
        found = "a list of " + " and ".join(sorted({kind_of(item) for item in value}))
    argument = node.arguments[place]
    return ExpressionError(
        f"`{node.name}()` takes {parameter.takes()} as argument {place + 1}, not {found}.",
        kind="type",
        offset=argument.start,
        width=max(argument.end - argument.start, 1),
    )


def _placed(problem: ExpressionError, node: tree.Call) -> ExpressionError:
    """The same problem, underlined at the innermost call it came from."""
    if problem.offset or problem.width > 1:
        return problem
    return ExpressionError(
        problem.message, kind=problem.kind, offset=node.start, width=node.end - node.start, fix=problem.fix
    )


def _charge(values: Sequence[Any], run: Run) -> None:
    """Work that grows with the length of an argument is paid for before it is done."""
    for value in values:
        if isinstance(value, str):
            if len(value) > _LONG:
                run.spend(len(value) >> 8)
        elif isinstance(value, list):
            run.spend(len(value) >> 2)
            run.spend(sum(len(item) for item in value if isinstance(item, str)) >> 8)
        elif isinstance(value, dict):
            run.spend(len(value) >> 2)
