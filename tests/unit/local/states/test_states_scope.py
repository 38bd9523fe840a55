"""Stopping threads that wait, and running jobs of which the first error stops the rest."""

from __future__ import annotations

import threading
import time

import pytest

from sluice_local.states.scope import StoppedError, StopScope
from sluice_local.states.threads import Threads


def stop_soon(scope: StopScope) -> None:
    threading.Timer(0.05, scope.stop).start()


def test_a_stop_wakes_who_waits_below_it() -> None:
    scope = StopScope(Threads())
    stop_soon(scope)
    started = time.monotonic()
    with pytest.raises(StoppedError):
        scope.below().sleep(30)
    assert time.monotonic() - started < 5


def test_what_is_stopped_stays_stopped() -> None:
    scope = StopScope(Threads())
    scope.stop()
    with pytest.raises(StoppedError):
        scope.sleep(0)
    with pytest.raises(StoppedError):
        scope.below()


def test_stopping_a_part_leaves_the_whole_alone() -> None:
    scope = StopScope(Threads())
    scope.below().stop()
    scope.sleep(0)


def test_a_wait_says_whether_it_happened() -> None:
    event = threading.Event()
    assert not StopScope(Threads()).wait(event, 0.01)
    event.set()
    assert StopScope(Threads()).wait(event, 30)


def test_no_more_jobs_run_at_once_than_workers() -> None:
    lock = threading.Lock()
    running = peak = done = 0

    def job(scope: StopScope) -> None:
        nonlocal running, peak, done
        with lock:
            running += 1
            peak = max(peak, running)
        scope.sleep(0.02)
        with lock:
            running -= 1
            done += 1

    Threads().run_all([job] * 7, 3, StopScope(Threads()))
    assert (peak, done) == (3, 7)


def test_the_first_error_stops_the_others_and_starts_no_more() -> None:
    begun: list[str] = []

    def fail(scope: StopScope) -> None:
        begun.append("fail")
        scope.sleep(0.05)
        raise ValueError("first")

    def wait(scope: StopScope) -> None:
        begun.append("wait")
        scope.sleep(30)

    with pytest.raises(ValueError, match="first"):
        Threads().run_all([fail, wait, wait], 2, StopScope(Threads()))
    assert sorted(begun) == ["fail", "wait"]


def test_a_stop_from_above_stops_every_job() -> None:
    scope = StopScope(Threads())
    stop_soon(scope)
    with pytest.raises(StoppedError):
        Threads().run_all([lambda own: own.sleep(30)] * 3, 3, scope)


def test_nothing_to_run_is_done() -> None:
    Threads().run_all([], 3, StopScope(Threads()))
