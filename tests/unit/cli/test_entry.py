"""Ctrl-C ends the program whenever it comes, with its own exit code and no traceback."""

from __future__ import annotations

import signal
import sys
from types import SimpleNamespace
from typing import NoReturn

import pytest

import sluice_cli
from sluice_cli import entry, waiting
from sluice_cli.errors import EXIT_INTERRUPTED


@pytest.fixture(autouse=True)
def former_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)


def interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def test_ctrl_c_ends_a_command_and_what_loads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sluice_cli, "main", SimpleNamespace(main=interrupted), raising=False)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == EXIT_INTERRUPTED


def test_ctrl_c_that_comes_while_something_is_closed_is_not_lost() -> None:
    def go_on() -> None:
        entry.interrupt_again(SimpleNamespace(exc_type=KeyboardInterrupt))
        for _ in range(1000):
            pass

    # A shell that starts the tests in its background has them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            go_on()
    finally:
        signal.signal(signal.SIGINT, before)


def test_who_ends_a_wait_is_told_that_what_it_waits_for_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        waiting.until(interrupted, timeout_s=1, what="the release to end")
    said = " ".join(capsys.readouterr().err.split())
    assert "you wait no longer for the release to end, and nothing is undone" in said
