"""The init of a container ends what its command leaves behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sluice_local import namespace


def test_thousands_that_end_at_once_are_not_looked_for_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    left, looks = set(range(10, 1210)), 0
    ended: list[int] = []

    def children() -> Iterator[int]:
        nonlocal looks
        looks += 1
        return iter(sorted(left))

    def kill(pid: int, _: int) -> None:
        if pid not in ended:
            ended.append(pid)

    def waitpid(*_: int) -> tuple[int, int]:
        if not left:
            raise ChildProcessError
        if not ended:
            return 0, 0
        left.discard(pid := ended.pop())
        return pid, 9

    monkeypatch.setattr(namespace, "_children", children)
    monkeypatch.setattr("os.kill", kill)
    monkeypatch.setattr("os.waitpid", waitpid)
    namespace._end_the_rest()
    assert (left, looks) == (set(), 1)
