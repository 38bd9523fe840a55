"""How many requests the functions of a run make: each waits for the one before, and costs what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import fakes
from build_world import Invoke, World

# Of a port those methods that ask AWS; what a fake calls of itself is no request.
_ASKING = {
    "catalog": ("get", "get_all", "query", "listing", "apply"),
    "objects": ("head", "open", "chunks", "listing", "read", "write", "create", "copy", "download"),
}


@pytest.fixture
def counted(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> tuple[World, Counter[str]]:
    """A pipeline, and how often each of its functions asks the catalog and the buckets."""
    asked: Counter[str] = Counter()
    within: list[str] = []
    is_asking = False

    def noted(method: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*given: Any, **how: Any) -> Any:
            nonlocal is_asking
            if is_asking or not within:
                return method(*given, **how)
            asked[within[-1]] += 1
            is_asking = True
            try:
                return method(*given, **how)
            finally:
                is_asking = False

        return ask

    def invoking(function: str, event: Any) -> Any:
        within.append(function)
        try:
            return invoke(function, event)
        finally:
            within.pop()

    for port, methods in _ASKING.items():
        for name in methods:
            its = getattr(cloud, port)
            monkeypatch.setattr(its, name, noted(getattr(its, name)))
    world = World(cloud, invoking)
    world.push()
    assert world.build("a.csv") == "registered"
    asked.clear()
    return world, asked


def test_a_build_makes_so_many_requests(counted: tuple[World, Counter[str]]) -> None:
    """Of a second build, with two candidates: `start_job` and `finish_job` are called four times."""
    world, asked = counted
    assert world.build("b.csv", b"x,y\n3,1\n4,0\n") == "registered"
    assert dict(asked) == {
        "record_arrival": 13,
        "start_build": 8,
        "snapshot_dataset": 13,
        "validate_data": 23,
        "start_job": 29,
        "finish_job": 36,
        "select_candidate": 11,
        "check_gates": 9,
        "register_model": 31,
        "finish_run": 15,
    }
