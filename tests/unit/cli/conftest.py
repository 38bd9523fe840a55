"""What the command line is asked here is not answered by a local cloud that this checkout happens to run.

Nor does it leave anything behind in the process of the tests, or wait for a clock.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from typer import main, testing


@pytest.fixture(autouse=True, scope="session")
def parsed_once() -> Iterator[None]:
    """The commands are read from their functions' signatures once: they do not change between tests."""
    parsed = cache(main.get_command)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(testing, "_get_command", parsed)
        patched.setattr(main, "get_command", parsed)
        yield


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a cloud."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SLUICE_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def former_handlers() -> Iterator[None]:
    """The handler of SIGTERM that a command sets ends with its test."""
    former = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, former)


@pytest.fixture(autouse=True)
def without_waiting(no_sleep: None, judged_once: None) -> None:
    """What is polled is looked at again at once, and handlers that pause between attempts go on."""
