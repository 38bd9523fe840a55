"""Work in a process of its own comes to its end, or is ended, and what it was about is known."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import active_children, get_context
from threading import Timer
from types import SimpleNamespace
from typing import Any

import pytest

from sluice.quality import processes
from sluice.quality.processes import ProcessEndedError, Tell

pytestmark = pytest.mark.timeout(60)


def run(work: Callable[[Tell], Any], memory_mb: float | None = None, max_s: float | None = None) -> Any:
    return processes.run(work, memory_mb=memory_mb, max_s=max_s)


def tells(given: int, tell: Tell) -> int:
    tell(("a", "b"))
    return given


def large(tell: Tell) -> bytes:
    tell("this")
    return bytes(5_000_000)


def test_what_the_work_returns_is_returned_whatever_its_size() -> None:
    assert len(run(large, 500, 30)) == 5_000_000


def test_the_waiting_process_does_something_meanwhile() -> None:
    read, write = os.pipe()

    def tell_it() -> None:
        os.write(write, b"1")

    assert processes.run(lambda tell: os.read(read, 1), memory_mb=None, max_s=30, meanwhile=tell_it) == b"1"


def test_where_a_fork_is_unsafe_the_work_is_done_by_a_new_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "_context", lambda: get_context("spawn"))
    assert run(partial(tells, 3), max_s=30) == 3


def test_what_the_work_raises_is_raised_with_the_lines_it_came_from() -> None:
    def fail(tell: Tell) -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing") as raised:
        run(fail)
    assert "test_processes.py" in raised.value.__notes__[0]


def test_work_that_takes_too_long_is_ended_and_what_it_was_about_most_of_the_time_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Time passes as words are heard: a busy machine may take seconds to start a process."""
    now, passing = [0.0], iter((0.1, 0.1, 5.0))
    hear = processes._Watch._hear

    def heard(watch: processes._Watch, told: str) -> None:
        hear(watch, told)
        now[0] += next(passing)

    def sleep(tell: Tell) -> None:
        for told in ("this", "that", "this"):
            tell(told)
        time.sleep(60)

    monkeypatch.setattr(processes._Watch, "_hear", heard)
    monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with pytest.raises(ProcessEndedError) as raised:
        run(sleep, max_s=2)
    assert (raised.value.why, raised.value.told) == ("time", "this")
    # Both times, without that of the other in between.
    assert raised.value.told_s == pytest.approx(5.1)
    assert not active_children()


def test_work_that_holds_too_much_is_ended_and_what_this_process_holds_is_none_of_it() -> None:
    ours = bytearray(os.urandom(1000)) * 100_000

    def allocate(tell: Tell) -> int:
        tell("this")
        held = [bytearray(b"x" * 10_000_000) for _ in range(3)]
        tell("that")
        while True:
            held.append(bytearray(b"x" * 10_000_000))
            time.sleep(0.01)

    with pytest.raises(ProcessEndedError) as raised:
        run(allocate, memory_mb=80)
    assert (raised.value.why, raised.value.told) == ("memory", "that")
    assert len(ours) == 100_000_000


@pytest.mark.parametrize(("limits", "why"), [({"memory_mb": 80}, "memory"), ({"max_s": 0.0}, "time")])
def test_what_the_work_said_before_it_was_ended_is_heard_however_late_this_process_listens(
    limits: dict[str, float], why: str
) -> None:
    read, write = os.pipe()

    def allocate(tell: Tell) -> None:
        for told in ("this", "that", "other"):
            tell(told)
        held = bytearray(os.urandom(1000)) * 100_000
        os.write(write, b"1")
        time.sleep(60 + len(held))

    def wait() -> None:
        os.read(read, 1)

    given: dict[str, Any] = {"memory_mb": None, "max_s": None, **limits}
    with pytest.raises(ProcessEndedError) as raised:
        processes.run(allocate, **given, meanwhile=wait)
    assert (raised.value.why, raised.value.told) == (why, "other")
    os.close(read)
    os.close(write)


def wait_for_the_end() -> None:
    """Listen only once the process has ended."""
    while active_children():
        time.sleep(0.01)


def test_work_that_came_to_its_end_before_it_was_ended_counts() -> None:
    result = processes.run(partial(tells, 3), memory_mb=None, max_s=0.0, meanwhile=wait_for_the_end)
    assert result == 3


def test_a_process_that_is_killed_while_it_sends_its_result_ran_out_of_memory() -> None:
    def die(tell: Tell) -> bytes:
        tell("this")
        # The pipe is full by then.
        Timer(0.1, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return bytes(50_000_000)

    with pytest.raises(ProcessEndedError) as raised:
        processes.run(die, memory_mb=None, max_s=30, meanwhile=wait_for_the_end)
    assert (raised.value.why, raised.value.told) == ("memory", "this")


@pytest.mark.parametrize(
    ("signum", "why"), [(signal.SIGKILL, "memory"), (signal.SIGABRT, "signal"), (signal.SIGTERM, "signal")]
)
def test_work_whose_process_dies_is_told_from_work_that_ends(signum: int, why: str) -> None:
    def die(tell: Tell) -> None:
        tell("this")
        os.kill(os.getpid(), signum)

    with pytest.raises(ProcessEndedError) as raised:
        run(die)
    assert (raised.value.why, raised.value.told) == (why, "this")


def test_what_the_process_that_waits_does_when_it_is_ended_is_not_done_by_the_work() -> None:
    former = signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        with pytest.raises(ProcessEndedError) as raised:
            run(lambda tell: os.kill(os.getpid(), signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, former)
    assert raised.value.why == "signal"


@pytest.fixture
def with_handlers() -> Iterator[None]:
    """This process takes signals in its own way, as a server does."""
    former = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, masked)
    signal.signal(signal.SIGHUP, ignored)
    signal.signal(signal.SIGTERM, former)


@pytest.mark.usefixtures("with_handlers")
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_ends_the_work_however_this_process_takes_it(signum: int) -> None:
    def die(tell: Tell) -> None:
        os.kill(os.getpid(), signum)
        time.sleep(5)

    with pytest.raises(ProcessEndedError) as raised:
        run(die, max_s=30)
    assert (raised.value.why, raised.value.signal) == ("signal", signum)


def test_the_work_is_spared_what_a_signal_means_to_this_process() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    former = signal.set_wakeup_fd(theirs.fileno())
    try:
        assert run(lambda tell: signal.set_wakeup_fd(-1), max_s=30) == -1
    finally:
        signal.set_wakeup_fd(former)
        ours.close()
        theirs.close()


def test_memory_that_python_lacks_is_memory_that_is_not_there() -> None:
    def want(tell: Tell) -> None:
        raise MemoryError

    with pytest.raises(ProcessEndedError) as raised:
        run(want)
    assert (raised.value.why, raised.value.told) == ("memory", None)


def test_a_process_that_leaves_without_a_result_is_an_error_and_no_verdict() -> None:
    with pytest.raises(RuntimeError, match="exit code 3"):
        run(lambda tell: os._exit(3))


def test_what_cannot_be_sent_is_an_error_and_no_verdict() -> None:
    with pytest.raises(RuntimeError, match="exit code 1"):
        run(lambda tell: lambda: None)
