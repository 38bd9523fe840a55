"""A batch is complete by what completes it, and says what it lacks until then."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sluice.catalog.records.arrivals import Arrival, ArrivalStatus
from sluice.domain.config.models import CompleteWhen
from sluice.domain.data import listings
from sluice.domain.data.batches import Batch, assemble, in_doubt

QUIET, MARKER = CompleteWhen(), CompleteWhen(marker="_SUCCESS")
MANIFEST = CompleteWhen(manifest="manifest.json")
SHA = "ab" * 32


def arrived(
    key: str, second: int, status: ArrivalStatus = "pending", size: int = 1, version: str = "1"
) -> Arrival:
    name = key.rpartition("/")[2]
    return Arrival(
        pipeline="p",
        key=key,
        version_id=version,
        size_bytes=size,
        sha256=SHA,
        arrived_at=f"2026-03-01T00:00:{second:02d}.000Z",
        status=status,
        is_control=name in {"_SUCCESS", "manifest.json"},
        reason="3 rows too few" if status == "quarantined" else "",
    )


def control(key: str, second: int, status: ArrivalStatus = "control") -> Arrival:
    return arrived(key, second, status, size=0)


def no_read(_: Arrival) -> bytes:
    raise AssertionError("nothing is to be read")


def listing(*entries: object) -> bytes:
    return json.dumps(entries).encode()


def found(complete_when: CompleteWhen, *arrivals: Arrival, content: bytes | None = None) -> list[Batch]:
    return assemble(complete_when, arrivals, (lambda _: content) if content is not None else no_read)


def keys(batch: Batch) -> list[str]:
    return [obj.key for obj in batch.objects]


def test_with_a_quiet_period_whatever_waits_is_one_batch() -> None:
    (batch,) = found(QUIET, arrived("p/b", 2), arrived("p/a", 1), arrived("p/old", 0, "included"))
    assert keys(batch) == ["p/a", "p/b"]
    assert batch.is_ready
    assert found(QUIET, arrived("p/old", 0, "included"), arrived("p/bad", 1, "quarantined")) == []


def set_aside(obj: Arrival, batch: str, second: int) -> Arrival:
    """The arrival as a rejection at a time leaves it that took it up with a batch."""
    at = f"2026-03-01T00:00:{second:02d}.000Z"
    return replace(obj, status="quarantined", batch=batch, set_aside_at=at, reason="bad")


def test_with_a_quiet_period_what_is_left_of_a_batch_is_a_batch() -> None:
    former = "2026-03-01T00:00:02.000Z "
    rest = replace(arrived("p/a", 1), batch=former)
    (batch,) = found(QUIET, rest, set_aside(arrived("p/bad", 2), former, 9))
    assert (keys(batch), batch.is_ready, batch.name) == (["p/a"], True, former)


def test_with_a_quiet_period_what_is_released_joins_what_was_left_of_its_batch() -> None:
    former = "2026-03-01T00:00:02.000Z "
    built = [replace(arrived(f"p/{name}", 1, "included"), batch=name) for name in ("old ", former)]
    (batch,) = found(QUIET, *built, replace(arrived("p/released", 2), batch=former))
    assert keys(batch) == [f"p/{former}", "p/released"]
    assert [obj.key for obj in batch.waiting] == ["p/released"]
    assert found(QUIET, *built) == []


# ---------------------------------------------------------------------------------------------- by a marker


def test_a_marker_completes_what_lies_in_and_below_its_folder() -> None:
    arrivals = [arrived("p/a/1", 1), arrived("p/a/dt=1/2", 2), arrived("p/b/3", 3)]
    complete, waiting = found(MARKER, *arrivals, control("p/a/_SUCCESS", 4))[::-1]
    assert (complete.folder, keys(complete), complete.is_ready) == ("p/a/", ["p/a/1", "p/a/dt=1/2"], True)
    assert (keys(waiting), waiting.missing) == (["p/b/3"], ("p/b/_SUCCESS is missing",))


def test_a_marker_of_the_same_second_completes_an_object() -> None:
    """S3 tells whole seconds, and the marker comes last."""
    (batch,) = found(MARKER, arrived("p/1", 1), control("p/_SUCCESS", 1))
    assert batch.is_ready


def test_of_two_markers_above_an_object_the_nearest_counts() -> None:
    arrivals = [arrived("p/a/1", 1), control("p/_SUCCESS", 5), control("p/a/_SUCCESS", 6)]
    (batch,) = found(MARKER, *arrivals)
    assert batch.folder == "p/a/"


def test_what_comes_after_the_marker_waits_for_the_next_one() -> None:
    arrivals = [arrived("p/1", 1), control("p/_SUCCESS", 2), arrived("p/2", 3)]
    assert [batch.is_ready for batch in found(MARKER, *arrivals)] == [False, True]
    first, second = found(MARKER, *arrivals, control("p/_SUCCESS", 4))
    assert (keys(first), keys(second)) == (["p/1"], ["p/2"])
    assert first.name < second.name


def test_an_object_whose_event_comes_after_its_markers_belongs_to_the_batch_all_the_same() -> None:
    built = [arrived("p/1", 1, "included"), control("p/_SUCCESS", 3)]
    assert found(MARKER, *built) == []
    (batch,) = found(MARKER, *built, arrived("p/late", 2))
    assert keys(batch) == ["p/1", "p/late"]
    assert [obj.key for obj in batch.waiting] == ["p/late"]


def test_a_marker_that_was_there_before_it_was_one_is_no_data() -> None:
    uploaded_as_data = arrived("p/_SUCCESS", 2)
    (batch,) = found(MARKER, arrived("p/1", 1), uploaded_as_data)
    assert keys(batch) == ["p/1"]
    (quiet,) = found(QUIET, arrived("p/1", 1), control("p/_SUCCESS", 2))
    assert keys(quiet) == ["p/1"]


MARKED = "2026-03-01T00:00:03.000Z p/a/"


def marked(*more: Arrival) -> list[Batch]:
    """The batches after one of which p/a/bad was set aside, at second 9, and p/a/1 is left."""
    rest = replace(arrived("p/a/1", 1), batch=MARKED)
    bad = set_aside(arrived("p/a/bad", 2), MARKED, 9)
    return found(MARKER, rest, bad, control("p/a/_SUCCESS", 3), *more)


def test_what_is_left_of_a_marked_batch_waits_and_says_for_what() -> None:
    (batch,) = marked(control("p/a/_SUCCESS", 8))
    assert (batch.folder, keys(batch), batch.is_ready) == ("p/a/", ["p/a/1"], False)
    said = "p/a/bad is quarantined until it is released, or p/a/_SUCCESS comes again: bad"
    assert batch.missing == (said,)


def test_what_is_left_of_a_batch_from_before_there_were_markers_waits_for_one() -> None:
    rest, bad = arrived("p/a/1", 1), set_aside(arrived("p/a/bad", 2), "t ", 9)
    (batch,) = found(MARKER, replace(rest, batch="t "), bad)
    said = "p/a/bad is quarantined until it is released, or p/a/_SUCCESS comes again: bad"
    assert (batch.folder, batch.missing) == ("p/a/", (said,))


def test_a_released_object_completes_its_marked_batch_again() -> None:
    released = replace(arrived("p/a/bad", 2), batch=MARKED, set_aside_at="2026-03-01T00:00:09.000Z")
    rest = replace(arrived("p/a/1", 1), batch=MARKED)
    (batch,) = found(MARKER, rest, released, control("p/a/_SUCCESS", 3))
    assert (keys(batch), batch.name, batch.is_ready) == (["p/a/1", "p/a/bad"], MARKED, True)


def test_a_replacement_waits_for_the_marker_which_completes_what_was_left_as_well() -> None:
    better = arrived("p/a/bad", 10, version="2")
    assert [batch.missing for batch in marked(better)] == [("p/a/_SUCCESS is missing",)] * 2
    (batch,) = marked(better, control("p/a/_SUCCESS", 11))
    assert (keys(batch), batch.is_ready) == (["p/a/1", "p/a/bad"], True)


def test_a_marker_that_comes_again_completes_a_folder_without_what_was_set_aside() -> None:
    (batch,) = marked(control("p/a/_SUCCESS", 11))
    assert (keys(batch), batch.is_ready) == (["p/a/1"], True)


def test_what_a_data_set_holds_already_is_in_no_later_batch() -> None:
    built = replace(arrived("p/a/0", 1, "included"), batch=MARKED)
    (batch,) = marked(built, control("p/a/_SUCCESS", 11))
    assert keys(batch) == ["p/a/1"]


def test_an_object_that_no_data_set_ever_took_up_holds_no_batch_up() -> None:
    empty = arrived("p/a/empty", 1, "quarantined")
    (batch,) = found(MARKER, empty, arrived("p/a/1", 1), control("p/a/_SUCCESS", 3))
    assert (keys(batch), batch.is_ready) == (["p/a/1"], True)


# --------------------------------------------------------------------------------------- by a manifest file


def test_a_manifest_file_completes_what_it_lists_in_any_order() -> None:
    content = listing("1", {"key": "dt=1/2", "size_bytes": 1, "sha256": SHA.upper()})
    manifest = control("p/a/manifest.json", 1)
    (batch,) = found(MANIFEST, manifest, arrived("p/a/1", 2), content=content)
    assert batch.missing == ("p/a/dt=1/2 is missing",)
    (batch,) = found(MANIFEST, manifest, arrived("p/a/1", 2), arrived("p/a/dt=1/2", 3), content=content)
    assert batch.is_ready
    assert batch.completed_at == "2026-03-01T00:00:03.000Z"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"key": "1", "size_bytes": 7}, "p/1 has 1 bytes, 7 were expected"),
        ({"key": "1", "sha256": "cd" * 32}, "p/1 has sha256 abababababab..., cdcdcdcdcdcd... was expected"),
    ],
)
def test_an_object_that_is_not_as_listed_is_named_until_it_is_replaced(entry: object, said: str) -> None:
    manifest, content = control("p/manifest.json", 1), listing(entry)
    (batch,) = found(MANIFEST, manifest, arrived("p/1", 2), content=content)
    assert (batch.missing, batch.is_ready) == ((said,), False)
    right = Arrival("p", "p/1", "2", 7, "2026-03-01T00:00:03.000Z", "pending", "cd" * 32)
    (batch,) = found(MANIFEST, manifest, arrived("p/1", 2), right, content=content)
    assert [obj.version_id for obj in batch.objects] == ["1", "2"]
    assert batch.is_ready


def test_of_two_uploads_within_a_second_the_one_that_is_as_listed_settles_both() -> None:
    wrong, right = arrived("p/a", 1, size=2, version="1"), arrived("p/a", 1, size=1, version="2")
    content = listing({"key": "a", "size_bytes": 1})
    for order in ((wrong, right), (right, wrong)):
        (batch,) = found(MANIFEST, *order, control("p/manifest.json", 0), content=content)
        assert batch.is_ready
        assert set(batch.objects) == {wrong, right}


def test_a_quarantined_object_keeps_its_batch_from_being_complete_and_says_why() -> None:
    arrivals = [control("p/manifest.json", 1), arrived("p/1", 2, "quarantined")]
    (batch,) = found(MANIFEST, *arrivals, content=listing("1"))
    assert batch.missing == ("p/1 is quarantined: 3 rows too few",)


def test_a_version_before_a_quarantined_one_does_not_stand_in_for_it() -> None:
    before, bad = arrived("p/1", 1, "included"), arrived("p/1", 3, "quarantined", version="2")
    arrivals = [before, bad, arrived("p/2", 3), control("p/manifest.json", 2)]
    (batch,) = found(MANIFEST, *arrivals, content=listing("1", "2"))
    assert (keys(batch), batch.missing) == (["p/2"], ("p/1 is quarantined: 3 rows too few",))
    (batch,) = found(MANIFEST, *arrivals, arrived("p/1", 4, version="3"), content=listing("1", "2"))
    assert batch.is_ready


def test_what_no_manifest_file_lists_waits_for_one_that_does() -> None:
    arrivals = [control("p/manifest.json", 1), arrived("p/1", 2), arrived("p/2", 3)]
    waiting, listed = found(MANIFEST, *arrivals, content=listing("1"))
    assert (keys(listed), listed.is_ready) == (["p/1"], True)
    assert (keys(waiting), waiting.missing) == (["p/2"], ("no p/manifest.json lists this",))


def test_a_newer_manifest_file_replaces_one_whose_batch_never_was_complete() -> None:
    older, newer = control("p/manifest.json", 1), control("p/manifest.json", 3)
    contents = {older: listing("1", "2"), newer: listing("1")}
    (batch,) = assemble(MANIFEST, [older, newer, arrived("p/1", 2)], contents.__getitem__)
    assert (batch.manifest, batch.is_ready) == (newer, True)


def test_a_replaced_manifest_file_is_not_completed_by_what_comes_later() -> None:
    older, newer = control("p/manifest.json", 1), control("p/manifest.json", 2)
    contents = {older: listing("1"), newer: listing("1", "2")}
    (batch,) = assemble(MANIFEST, [older, newer, arrived("p/1", 3)], contents.__getitem__)
    assert (batch.manifest, batch.missing) == (newer, ("p/2 is missing",))


@pytest.mark.parametrize("status", ["pending", "included"])
def test_a_manifest_file_whose_batch_was_complete_stays_open_beside_a_newer_one(
    status: ArrivalStatus,
) -> None:
    older, newer = control("p/manifest.json", 1), control("p/manifest.json", 3)
    contents = {older: listing("1", "2"), newer: listing("3")}
    arrivals = [older, newer, arrived("p/1", 2, status), arrived("p/2", 2)]
    complete, waiting = sorted(assemble(MANIFEST, arrivals, contents.__getitem__), key=lambda b: b.missing)
    assert (complete.manifest, complete.is_ready) == (older, True)
    assert waiting.missing == ("p/3 is missing",)


def test_what_replaces_a_quarantined_object_completes_its_batch_after_a_newer_manifest_file() -> None:
    older, newer = control("p/manifest.json", 1), control("p/manifest.json", 3)
    contents = {older: listing("1"), newer: listing("2")}
    arrivals = [older, newer, arrived("p/1", 2, "quarantined"), arrived("p/2", 3)]
    (batch,) = assemble(MANIFEST, arrivals, contents.__getitem__)
    assert batch.manifest == newer
    again = arrived("p/1", 4, version="2")
    batches = assemble(MANIFEST, [*arrivals, again], contents.__getitem__)
    assert {(batch.manifest, batch.is_ready) for batch in batches} == {(older, True), (newer, True)}


def test_two_manifest_files_of_one_second_are_both_heeded() -> None:
    one, other = control("p/manifest.json", 1), replace(control("p/manifest.json", 1), version_id="2")
    contents = {one: listing("1"), other: listing("2")}
    found = assemble(MANIFEST, [one, other, arrived("p/1", 2), arrived("p/2", 2)], contents.__getitem__)
    assert [batch.is_ready for batch in found] == [True, True]


def test_a_manifest_file_that_is_gone_or_too_large_stops_no_other_batch() -> None:
    def gone(_: Arrival) -> bytes:
        raise FileNotFoundError

    (batch,) = assemble(MANIFEST, [control("p/manifest.json", 1)], gone)
    assert batch.missing == ("p/manifest.json is not in the bucket any more: upload it again",)
    large = replace(control("p/manifest.json", 1), size_bytes=listings.MAX_BYTES + 1)
    (batch,) = found(MANIFEST, large)
    assert batch.missing == (f"p/manifest.json has more than {listings.MAX_BYTES} bytes",)


def test_a_manifest_file_that_was_taken_up_is_not_read_again() -> None:
    arrivals = [control("p/manifest.json", 1, "included"), arrived("p/1", 2, "included")]
    assert found(MANIFEST, *arrivals) == []


def test_what_was_included_before_counts_as_there_and_builds_nothing_by_itself() -> None:
    arrivals = [arrived("p/1", 0, "included"), control("p/manifest.json", 1)]
    (batch,) = found(MANIFEST, *arrivals, content=listing("1"))
    assert (batch.missing, batch.is_ready) == ((), False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff", "is no JSON"),
        (b"{}", "is no list of objects"),
        (b"[]", "is no list of objects"),
        (b"[1]", "has an entry that is neither a key nor an object with one"),
        (b'[{"size_bytes": 1}]', "has an entry that is neither a key nor an object with one"),
        (b'[{"key": "a", "size_bytes": true}]', "has a size_bytes of a that is no number of bytes"),
        (b'[{"key": "a", "sha256": "xyz"}]', "has a sha256 of a that is not 64 hex digits"),
        (
            b'[{"key": "a", "size": 1}]',
            "has a field 'size' of a, unlike key, size_bytes, sha256; did you mean 'size_bytes'?",
        ),
        (b'["/a"]', "lists '/a', which is no path below its folder"),
        (b'["../b/a"]', "lists '../b/a', which is no path below its folder"),
        (b'["a", "manifest.json"]', "lists 'manifest.json', which is a manifest file and no data"),
        (b"[" * 100_000, "is no JSON"),
    ],
)
def test_a_manifest_file_that_cannot_be_understood_says_why_and_completes_nothing(
    content: bytes, said: str
) -> None:
    batch, unlisted = found(MANIFEST, control("p/manifest.json", 1), arrived("p/a", 2), content=content)
    assert batch.missing == (f"p/manifest.json {said}",)
    assert unlisted.missing == ("no p/manifest.json lists this",)


# ------------------------------------------------------------------------------------ within one second of S3


def heard(arrival: Arrival, millisecond: int, sequencer: str = "") -> Arrival:
    at = f"2026-03-01T00:00:05.{millisecond:03d}Z"
    return replace(arrival, heard_at=at, sequencer=sequencer)


def test_of_batches_completed_in_one_second_that_heard_of_last_is_the_newest() -> None:
    objects = [
        heard(arrived("p/day-9/a.csv", 5), 1),
        heard(control("p/day-9/_SUCCESS", 5), 2),
        heard(arrived("p/day-10/a.csv", 5), 3),
        heard(control("p/day-10/_SUCCESS", 5), 4),
    ]
    batches = found(MARKER, *objects)
    assert [batch.folder for batch in batches] == ["p/day-9/", "p/day-10/"]
    assert [batch.name for batch in batches] == sorted(batch.name for batch in batches)
    assert in_doubt(batches) == batches
    later = [control("p/day-8/_SUCCESS", 6), arrived("p/day-8/a.csv", 5)]
    assert len(in_doubt(found(MARKER, *objects, *later))) == 1


def test_a_manifest_file_of_the_same_second_is_told_from_the_one_it_replaces() -> None:
    first = heard(replace(control("p/manifest.json", 5), version_id="old"), 2, "0A")
    second = heard(replace(control("p/manifest.json", 5), version_id="new"), 1, "0B")
    content = {"old": listing("missing.csv"), "new": listing("a.csv")}
    batches = assemble(
        MANIFEST, [second, first, arrived("p/a.csv", 4)], lambda manifest: content[manifest.version_id]
    )
    assert [(batch.manifest and batch.manifest.version_id, batch.is_ready) for batch in batches] == [
        ("new", True)
    ]


def test_of_versions_of_a_key_in_one_second_the_sequencer_tells_the_newer() -> None:
    good = heard(arrived("p/a.csv", 5, version="good"), 1, "0061")
    bad = heard(arrived("p/a.csv", 5, "quarantined", version="bad"), 2, "006")
    newer = replace(bad, sequencer="00611")
    manifest = control("p/manifest.json", 4)
    (batch,) = found(MANIFEST, good, bad, manifest, content=listing("a.csv"))
    assert batch.is_ready
    (batch,) = found(MANIFEST, good, newer, manifest, content=listing("a.csv"))
    assert batch.missing == ("p/a.csv is quarantined: 3 rows too few",)
