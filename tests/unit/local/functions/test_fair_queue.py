"""Events wait in flows that are served in turn, in order, each once."""

from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from sluice_local.patches.functions.fair_queue import FairQueue


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_each_item_is_taken_once_in_its_flow_s_order_and_no_flow_waits_for_more_than_one_of_another(
    flows: list[str],
) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for number, flow in enumerate(flows):
        queue.put(flow, (flow, number))
    taken = [queue.take() for _ in flows]
    assert sorted(taken, key=lambda item: item[1]) == list(zip(flows, range(len(flows)), strict=True))
    for flow in set(flows):
        own = [number for name, number in taken if name == flow]
        assert own == sorted(own)
        first = [name for name, _ in taken].index(flow)
        assert first < len(set(flows))
    assert len(queue) == 0


def test_one_upload_does_not_wait_for_two_thousand_of_another() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(2000):
        queue.put("busy", f"busy {number}")
    queue.put("other", "other")
    assert [queue.take() for _ in range(3)] == ["busy 0", "other", "busy 1"]


def test_what_is_held_back_holds_nobody_up_and_is_taken_when_it_may() -> None:
    queue: FairQueue[str] = FairQueue()
    held = {"a1"}
    for item in ("a1", "a2", "b1"):
        queue.put(item[0], item)
    assert queue.take(held.__contains__) == "b1"

    def let_go() -> None:
        held.clear()
        queue.look_again()

    threading.Timer(0.05, let_go).start()
    assert [queue.take(held.__contains__), queue.take(held.__contains__)] == ["a1", "a2"]


def test_what_is_for_later_comes_later() -> None:
    queue: FairQueue[str] = FairQueue()
    started = time.monotonic()
    queue.put("a", "retried", delay_s=0.1)
    queue.put("a", "new")
    assert [queue.take(), queue.take()] == ["new", "retried"]
    assert time.monotonic() - started >= 0.1


def test_a_waiting_taker_gets_what_comes() -> None:
    queue: FairQueue[str] = FairQueue()
    threading.Timer(0.05, lambda: queue.put("a", "late")).start()
    assert queue.take() == "late"
