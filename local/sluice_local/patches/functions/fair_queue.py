"""A queue that takes its flows in turn: who puts two thousand items does not keep another's one waiting."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

_LOOK_AGAIN_S = 1.0


class FairQueue(Generic[T]):
    """Items in flows: within a flow first come, first served; of the flows each in its turn. Thread-safe."""

    def __init__(self) -> None:
        self._flows: OrderedDict[Hashable, deque[T]] = OrderedDict()
        self._later: list[tuple[float, int, Hashable, T]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """How many wait, those for later included."""
        with self._changed:
            return len(self._later) + sum(len(items) for items in self._flows.values())

    def put(self, flow: Hashable, item: T, delay_s: float = 0.0) -> None:
        """Append an item to a flow, now or after a while."""
        with self._changed:
            if delay_s > 0:
                due = time.monotonic() + delay_s
                heapq.heappush(self._later, (due, next(self._numbers), flow, item))
            else:
                self._flows.setdefault(flow, deque()).append(item)
            self._changed.notify()

    def take(self, is_held_back: Callable[[T], bool] = lambda item: False) -> T:
        """The next item of the next flow whose first item is not held back; waits for one."""
        with self._changed:
            while True:
                self._bring_what_is_due()
                for flow, items in self._flows.items():
                    if is_held_back(items[0]):
                        continue
                    item = items.popleft()
                    self._flows.move_to_end(flow)
                    if not items:
                        del self._flows[flow]
                    return item
                self._changed.wait(self._pause_s())

    def look_again(self) -> None:
        """What was held back may be no more."""
        with self._changed:
            self._changed.notify_all()

    def _bring_what_is_due(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            _, _, flow, item = heapq.heappop(self._later)
            self._flows.setdefault(flow, deque()).append(item)

    def _pause_s(self) -> float | None:
        pauses = [self._later[0][0] - time.monotonic()] if self._later else []
        if self._flows:  # each held back, by something that may change without a word
            pauses.append(_LOOK_AGAIN_S)
        return max(0.0, min(pauses)) if pauses else None
