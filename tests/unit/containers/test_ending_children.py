"""How long the end of what a script left is waited for: as long as it becomes less."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from sluice.containers import processes

END_S = processes._END_TIMEOUT_S


class Machine:
    """A machine on which some processes more have ended at each look, and a look takes its time."""

    def __init__(self, left: list[int], look_s: float) -> None:
        self.left, self.look_s = left, look_s
        self.now = 0.0

    def look(self, _: int) -> Iterator[int]:
        self.now += self.look_s
        return iter(range(10, 10 + self.left.pop(0)))

    def waitpid(self, *_: int) -> tuple[int, int]:
        if not self.left:
            raise ChildProcessError
        return 0, 0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine([], 0.0)
    monkeypatch.setattr("os.waitpid", made.waitpid)
    monkeypatch.setattr("os.kill", lambda *_: None)
    clock = SimpleNamespace(monotonic=lambda: made.now, sleep=lambda _: None)
    monkeypatch.setattr(processes, "time", clock)
    return made


def test_thousands_that_end_slowly_are_waited_for(machine: Machine) -> None:
    machine.left, machine.look_s = [1200, 900, 600, 300, 1], 0.8 * END_S
    processes.end_children(set(), machine.look)
    assert machine.now > 3 * END_S


@pytest.mark.parametrize("left", [[1] * 99, [3, 1, 2] * 33])
def test_what_starts_others_as_it_is_ended_is_given_up(machine: Machine, left: list[int]) -> None:
    machine.left, machine.look_s = left, 0.4 * END_S
    with pytest.raises(processes.LeftoverError):
        processes.end_children(set(), machine.look)
    assert machine.now < 3 * END_S
