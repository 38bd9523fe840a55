"""The few arrivals that a rule of batches reads tell the same batches as all that ever came."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.catalog.records.arrivals import Arrival
from sluice.domain.config.models import CompleteWhen
from sluice.domain.data import batches, siblings
from sluice.domain.data.batches import Batch
from trying import examples

RULES = {
    "quiet period": CompleteWhen(quiet_period_s=60),
    "marker": CompleteWhen(marker="_SUCCESS"),
    "manifest": CompleteWhen(manifest="manifest.json"),
}
FOLDERS = ("p/", "p/a/", "p/a/b/", "p/ab/")
TIMES = [f"2026-03-01T12:00:0{second}.000Z" for second in range(6)]
LISTED = json.dumps(["1.csv", {"key": "2.csv", "sha256": "1" * 64}]).encode()


class All:
    """What waits no longer, which counts how much of it is read."""

    def __init__(self, arrivals: Sequence[Arrival]) -> None:
        self.arrivals, self.read = arrivals, 0

    def versions(self, keys: Collection[str]) -> Iterator[Arrival]:
        return self._those(arrival for arrival in self.arrivals if arrival.key in keys)

    def set_aside(self, folder: str) -> Iterator[Arrival]:
        below = (arrival for arrival in self.arrivals if arrival.key.startswith(folder))
        return self._those(arrival for arrival in below if arrival.status == "quarantined")

    def settled(self, folder: str) -> Iterator[Arrival]:
        below = (arrival for arrival in self.arrivals if arrival.key.startswith(folder))
        return self._those(arrival for arrival in below if arrival.status != "quarantined")

    def _those(self, found: Iterator[Arrival]) -> Iterator[Arrival]:
        for arrival in found:
            self.read += 1
            yield arrival


def read(arrival: Arrival) -> bytes:
    return LISTED if arrival.size_bytes else b"no JSON"


@st.composite
def pasts(draw: st.DrawFn, rule: CompleteWhen) -> tuple[list[Arrival], list[Arrival]]:
    """What waits and what does not: in any order, of any batches, set aside or settled for any reason."""
    control = rule.control_name
    names = ["1.csv", "2.csv", *([control] if control else ["_SUCCESS"])]
    waiting, rest = [], []
    for number in range(draw(st.integers(0, 12))):
        folder, name = draw(st.sampled_from(FOLDERS)), draw(st.sampled_from(names))
        is_control = name == control and draw(st.booleans())
        # A batch that an object was taken up with is of a folder above it, or of none.
        above = [each for each in ("", *FOLDERS) if folder.startswith(each)]
        former = ["", *(f"{time}/{time} {each}" for time in TIMES[:3] for each in above)]
        at = draw(st.sampled_from(TIMES))
        arrival = Arrival(
            pipeline="p",
            key=f"{folder}{name}",
            version_id=f"v{number}",
            size_bytes=draw(st.integers(0, 1)),
            sha256=str(draw(st.integers(0, 1))) * 64,
            arrived_at=at,
            status="control" if is_control else "pending",
            is_control=is_control,
            batch="" if is_control else draw(st.sampled_from(former)),
            heard_at=at,
            sequencer=draw(st.sampled_from(["", f"{number:04}"])),
        )
        where = draw(st.sampled_from(["waiting", "taken up", "settled", "quarantined"]))
        if where == "waiting":
            waiting.append(arrival)
        elif where == "taken up":
            # To the next data set it waits, as it was before.
            waiting.append(draw(st.sampled_from([arrival, replace(arrival, status="included")])))
        elif where == "settled":
            # A marker stays one; a manifest file is taken up with its batch.
            stays = is_control and rule.marker is not None
            rest.append(arrival if stays else replace(arrival, status="included"))
        elif not is_control:
            aside = draw(st.sampled_from(["", *TIMES])) if arrival.batch else ""
            rest.append(replace(arrival, status="quarantined", set_aside_at=aside))
    return waiting, rest


def told(batch: Batch) -> tuple[object, ...]:
    """What a decision sees of a batch."""
    is_complete = () if batch.missing else batch.waiting
    return batch.folder, batch.missing, batch.manifest, is_complete, batch.name if batch.is_ready else ""


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@settings(max_examples=examples(150))
@given(data=st.data())
def test_what_is_read_tells_the_same_batches_as_all_that_ever_came(
    rule: CompleteWhen, data: st.DataObject
) -> None:
    """And with what is settled of a batch, where that is the data set, the batch is the same."""
    waiting, rest = data.draw(pasts(rule))
    wide = batches.assemble(rule, [*waiting, *rest], read)

    def narrow(whole: bool) -> list[Batch]:
        found = siblings.find(rule, waiting, All(rest), read, whole=whole)
        return batches.assemble(rule, [*waiting, *found], read)

    assert [told(batch) for batch in narrow(whole=False)] == [told(batch) for batch in wide]
    assert batches.ready(narrow(whole=True)) == batches.ready(wide)


def settled(key: str, at: str = TIMES[0]) -> Arrival:
    return Arrival("p", key, "v0", 1, at, "included", "0" * 64, batch=f"{at}/ p/")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_of_a_long_past_next_to_nothing_is_read(rule: CompleteWhen) -> None:
    past = All([settled(f"p/{number}.csv") for number in range(100)])
    new = Arrival("p", "p/new.csv", "v1", 1, TIMES[1], "pending", "1" * 64)
    control = replace(new, key=f"p/{rule.control_name}", status="control", is_control=True)
    siblings.find(rule, [new, control], past, read)
    assert past.read <= 2


@given(data=st.data())
def test_the_order_does_not_depend_on_who_asks(data: st.DataObject) -> None:
    """Versions of one key that nothing tells apart are in one order for all the same."""
    waiting, rest = data.draw(pasts(RULES["marker"]))
    asked = data.draw(st.permutations([*waiting, *rest]))
    assert batches.in_order(asked) == batches.in_order([*waiting, *rest])


def test_the_order_of_two_versions_does_not_depend_on_a_third() -> None:
    """Who asks may read the third or not: it was set aside, and its event was lost."""
    newer = replace(settled("p/1.csv"), version_id="v10", sequencer="0010")
    older = replace(settled("p/1.csv"), version_id="v5", sequencer="0005")
    third = replace(settled("p/1.csv"), version_id="v6", status="quarantined")
    assert batches.in_order([newer, older]) == [older, newer]
    assert [each for each in batches.in_order([newer, older, third]) if each != third] == [older, newer]
