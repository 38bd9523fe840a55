"""A queue that serves its flows in turn, so that two thousand items of one do not delay another's."""

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
    """Items in flows: within a flow first come, first served; flows take turns. Thread-safe."""

    def __init__(self) -> None:
        self._flows: OrderedDict[Hashable, deque[T]] = OrderedDict()
        self._later: list[tuple[float, int, Hashable, T]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """Return how many items wait, including those for later."""
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
        """Wait for and return the first item of the next flow whose first item is not held back."""
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
        """Check again whether items are still held back."""
        with self._changed:
            self._changed.notify_all()

    def _bring_what_is_due(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            _, _, flow, item = heapq.heappop(self._later)
            self._flows.setdefault(flow, deque()).append(item)

    def _pause_s(self) -> float | None:
        pauses = [self._later[0][0] - time.monotonic()] if self._later else []
        if self._flows:  # all held back, by something that may change unnoticed
            pauses.append(_LOOK_AGAIN_S)
        return max(0.0, min(pauses)) if pauses else None
