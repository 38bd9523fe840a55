"""How many requests the functions of a run make, and how many of these wait for the one before alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import fakes
from build_world import Invoke, World

# Of a port those methods that ask AWS; what a fake calls of itself is no request.
_ASKING = {
    "catalog": ("get", "get_all", "query", "listing", "apply"),
    "objects": ("head", "open", "chunks", "listing", "read", "write", "create", "copy", "download"),
    "registry": ("ensure_group", "create_package", "describe_package"),
    "bus": ("announce",),
    "build_requests": ("send",),
    "workflows": ("start", "succeed"),
    "roles": ("delete",),
}
Asked = dict[str, tuple[int, int]]


@pytest.fixture
def counted(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, in_threads: None
) -> tuple[World, Asked]:
    """A pipeline, and how often each of its functions asks: in all, and alone, with nothing beside."""
    asked: Asked = {}
    within: list[str] = []
    thread, lock = threading.local(), threading.Lock()

    def noted(method: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*given: Any, **how: Any) -> Any:
            if getattr(thread, "is_asking", False) or not within:
                return method(*given, **how)
            with lock:
                in_all, alone = asked.get(within[-1], (0, 0))
                is_alone = threading.current_thread() is threading.main_thread()
                asked[within[-1]] = in_all + 1, alone + is_alone
            thread.is_asking = True
            try:
                return method(*given, **how)
            finally:
                thread.is_asking = False

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


def test_a_build_makes_so_many_requests(counted: tuple[World, Asked]) -> None:
    """Of a second build, with two candidates: `start_job` and `finish_job` are called four times.

    Nothing serves, so `select_candidate` looks also for a champion whose stage the catalog lost.
    """
    world, asked = counted
    assert world.build("b.csv", b"x,y\n3,1\n4,0\n") == "registered"
    assert asked == {
        "record_arrival": (13, 11),
        "start_build": (7, 5),
        "snapshot_dataset": (12, 3),
        "validate_data": (17, 4),
        "start_job": (20, 20),
        "finish_job": (28, 21),
        "select_candidate": (10, 2),
        "check_gates": (5, 3),
        "register_model": (26, 4),
        "finish_run": (19, 3),
    }
