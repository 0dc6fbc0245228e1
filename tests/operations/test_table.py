"""The table of operations: every line leads to its function, which takes the services that the line promises."""

from __future__ import annotations

import inspect
from contextlib import aclosing
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

import updater.operations
from tests.actors import TESTER
from updater.errors import Conflict, DigestMismatch, Invalid, NotFound
from updater.operations import OPERATIONS, Operation, Scope
from updater.operations.events import describe_failure, in_milliseconds, in_seconds


def function_of(operation: Operation) -> object:
    module, _, name = operation.place.partition(":")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_line_leads_to_a_function_that_takes_its_scope(name: str) -> None:
    function = function_of(OPERATIONS[name])
    assert inspect.isasyncgenfunction(function)
    services, actor, *arguments = inspect.signature(function).parameters.values()
    assert services.annotation == OPERATIONS[name].scope.value
    assert actor.annotation == "Actor"
    assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in arguments)


def test_every_operation_has_its_line() -> None:
    places = {operation.place for operation in OPERATIONS.values()}
    for path in Path(updater.operations.__file__).parent.glob("[a-z]*.py"):
        module = import_module(f"updater.operations.{path.stem}")
        for name, function in inspect.getmembers(module, inspect.isasyncgenfunction):
            if function.__module__ == module.__name__:
                assert places >= {f"{module.__name__}:{name}"}


@pytest.mark.parametrize("arguments", [{}, {"name": "a"}, {"name": "a", "level": "read", "color": "red"}])
def test_wrong_arguments_are_a_type_error_before_anything_happens(arguments: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        OPERATIONS["key.create"](None, TESTER, **arguments)


async def test_an_operation_takes_services_of_a_wider_scope() -> None:
    """As the control socket does, which has all services."""

    async def list_keys() -> list[object]:
        return []

    wider = SimpleNamespace(access=SimpleNamespace(list_keys=list_keys), telemetry=object())
    async with aclosing(OPERATIONS["key.list"](wider, TESTER)) as events:
        assert [event async for event in events] == [{"result": []}]
    assert OPERATIONS["key.list"].scope is Scope.LISTS


@pytest.mark.parametrize(
    ("failure", "event"),
    [
        (Invalid({"name": "expected a name"}), ("Invalid", "Input validation failed", {"name": "expected a name"})),
        (DigestMismatch({"checksum": "x"}, "Other bytes"), ("DigestMismatch", "Other bytes", {"checksum": "x"})),
        (NotFound("key", "No usable key has id 7"), ("NotFound", "No usable key has id 7", {})),
        (Conflict("Taken", details={"secret": "not for the event"}), ("Conflict", "Taken", {})),
    ],
)
def test_a_failure_is_an_event_with_its_kind_message_and_fields(failure: object, event: object) -> None:
    assert tuple(describe_failure(failure).values()) == event  # type: ignore[arg-type]
    assert list(describe_failure(failure)) == ["failure", "message", "fields"]  # type: ignore[arg-type]


def test_times_are_written_in_utc_to_the_second_or_to_the_millisecond() -> None:
    at = datetime(2026, 2, 10, 13, 0, 5, 678_900, tzinfo=timezone(timedelta(hours=1)))
    assert in_seconds(at) == "2026-02-10T12:00:05Z"
    assert in_seconds(None) is None
    assert in_milliseconds(at) == "2026-02-10T12:00:05.678Z"
    assert in_milliseconds(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"
