"""Stream maps of the SDK, with amounts: expressions calculate with decimals, and what fails in them is explained.

Our numbers are decimals, which Python does not mix with the floats of literals and of `float()`; here it does, by the
digits that a float is written with. So `total * 1.21` has no digit of its own.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from singer_sdk.exceptions import MapExpressionError
from singer_sdk.mapper import CustomStreamMap, StreamMap

from ap_connectors.core.errors import ApError, Stop
from ap_connectors.singer._sdk import failed_expression


def usable_schema(schema: Mapping[str, Any], keys: Iterable[str] | None) -> dict[str, Any]:
    """Return a SCHEMA as stream maps need it: every property an object, and the keys among them.

    Our targets know the types of fields by the service's contract, so what a tap says too little of can be mapped.
    """
    given = schema.get("properties")
    members = given if isinstance(given, dict) else {}
    properties = {name: member if isinstance(member, dict) else {} for name, member in members.items()}
    return {**schema, "properties": {**{key: {} for key in keys or ()}, **properties}}


def prepare(maps: Iterable[StreamMap]) -> None:
    """Let the expressions of stream maps calculate with decimals."""
    for each in maps:
        if isinstance(each, CustomStreamMap):
            operators: dict[Any, Any] = each.expr_evaluator.operators
            for kind, operator in operators.items():
                if not isinstance(operator, _Exact):
                    operators[kind] = _Exact(operator)


class _Exact:
    """An operator whose floats become decimals."""

    def __init__(self, operator: Callable[..., Any]) -> None:
        self._operator = operator

    def __call__(self, *operands: Any) -> Any:
        return self._operator(*map(_exact_number, operands))


def _exact_number(value: Any) -> Any:
    return Decimal(repr(value)) if isinstance(value, float) and math.isfinite(value) else value


def as_json(value: Any) -> Any:
    """Return what an expression made as JSON has it: floats as decimals of their shortest digits, times as text.

    Raises:
        ValueError: a number is not finite.
    """
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: as_json(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(element) for element in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a number in JSON")
    return _exact_number(value)


@contextmanager
def explained(stream: str, where: str = "") -> Iterator[None]:
    """Say which expression failed, and why.

    Args:
        stream: whose record is mapped.
        where: the record is.

    Raises:
        Stop: one failed.
    """
    try:
        yield
    except (ApError, BrokenPipeError):
        raise
    except Exception as error:
        cause = error.__cause__ if isinstance(error, MapExpressionError) and error.__cause__ else error
        raise Stop(
            f"stream_maps: {stream}{where}: {failed_expression(error)} fails: {_why(cause)}. "
            "Correct it; a record may lack a field that it names, or have null there."
        ) from error


def _why(error: BaseException) -> str:
    words = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return f"{type(error).__name__}: {words}".rstrip(".")[:300]
