"""Register the stores to save, each with its capture and its restore."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, AccountScopedDict

Put = Callable[[bytes], str]

# Every scoped store of these is saved, all at one moment, so that they are consistent.
_SERVICES = (
    "cloudformation",
    "dynamodb",
    "eventbridge",
    "iam",
    "scheduler",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
)
# Saved separately: they are large, or need not be consistent with others.
_LARGE = ("lambda_svc", "s3", "cloudwatch", "cloudwatch_logs")
# These end with the process: waiters for tokens, and the log of events, which nothing reads.
_TRANSIENT = frozenset({"_task_tokens", "_activity_tasks", "_events_log", "_esm_backoff_until"})
# Our own type of points: their patch registers them.
_ELSEWHERE = frozenset({("cloudwatch", "_metrics")})


@dataclass(frozen=True, slots=True)
class Store:
    """One part of a save. `capture` returns plain data; large bytes may be `put` separately."""

    name: str
    capture: Callable[[Put], Any]
    restore: Callable[[Any], None]


_registered: list[Store] = []


def register(name: str, capture: Callable[[], Any], restore: Callable[[Any], None]) -> None:
    """Save what `capture` returns; `restore` gets it when a cloud continues."""
    _registered.append(Store(name, lambda put: capture(), restore))


def all_stores() -> list[Store]:
    """Return the stores in the order of capture and restore.

    Later ones may be newer: an object unknown to the catalog is like one whose event was lost, but an object
    known only to the catalog would be a loss.
    """
    moment = Store("services", lambda put: {name: _capture(name) for name in _SERVICES}, _restore_all)
    large = [_large(name) for name in _LARGE]
    return [moment, *_registered, *large]


def _large(name: str) -> Store:
    from sluice_local.state.pickles import without_bodies

    return Store(
        name,
        lambda put: {store: without_bodies(data, put) for store, data in _capture(name).items()},
        lambda value: _restore(name, value),
    )


def _capture(service: str) -> dict[str, dict[Any, Any]]:
    captured = {name: store._data for name, store in _scoped(service)}
    if service == "dynamodb":  # its indexes are rebuilt from its items on demand
        members = importlib.import_module("ministack.services.dynamodb")._INDEX_MEMBERS
        captured["_tables"] = {
            key: {name: value for name, value in table.items() if name != members}
            for key, table in list(captured["_tables"].items())
        }
    return captured


def _restore_all(value: dict[str, Any]) -> None:
    for service, stores in value.items():
        _restore(service, stores)


def _restore(service: str, stores: dict[str, dict[Any, Any]]) -> None:
    present = dict(_scoped(service))
    for name, data in stores.items():
        if name in present:
            present[name]._data.clear()
            present[name]._data.update(data)


def _scoped(service: str) -> list[tuple[str, Any]]:
    module = importlib.import_module(f"ministack.services.{service}")
    return [
        (name, value)
        for name, value in vars(module).items()
        if isinstance(value, (AccountScopedDict, AccountRegionScopedDict))
        and name not in _TRANSIENT
        and (service, name) not in _ELSEWHERE
    ]
