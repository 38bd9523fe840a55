"""How tests are run, and an account of fakes behind the ports of functions.

Tests import nothing from here: that would run it again, and undo what was asked for on the command line.
"""

from __future__ import annotations

import gc
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

import fakes
from handlers import ROOT, invoked

pytest.register_assert_rewrite("catalog_contract")
# How long an example takes is the machine's matter. `make unit` tries few, `make properties` all of them.
settings.register_profile("few", deadline=None, max_examples=20)
settings.register_profile("all", deadline=None, max_examples=100)
settings.load_profile("few")

# A worker that collects thousands of tests makes hardly any garbage, and what it has collected stays.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    # DuckDB complains at the end of a process about what it cannot free.
    gc.unfreeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker ends up alone with one of them."""
    tests = Counter(item.path for item in items)
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: (item.path not in long, -tests[item.path]))


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pauses goes on at once, but for ministack's own threads: they would do nothing else then."""

    def rest(seconds: float, really: Callable[[float], None] = time.sleep) -> None:
        if threading.current_thread().daemon:
            really(seconds)

    monkeypatch.setattr("time.sleep", rest)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> fakes.Cloud:
    """An account in memory, which every function is wired to."""
    from sluice import wiring

    account = fakes.Cloud()
    monkeypatch.setattr(wiring, "cloud", lambda: account)
    return account


@pytest.fixture
def invoke() -> Callable[[str, Any], Any]:
    """`invoke("record_arrival", event)` calls the function's handler as Lambda would."""
    return invoked


@pytest.fixture
def sample() -> Callable[[str], Any]:
    """`sample("record_arrival")` is the function's sample event in `events/`."""

    def read(name: str) -> Any:
        return json.loads((ROOT / "events" / f"{name}.json").read_text())

    return read
