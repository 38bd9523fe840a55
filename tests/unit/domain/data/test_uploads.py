"""An uploaded object is data of a pipeline, nothing, nobody's or unusable, and says why."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain import locations
from sluice.domain.data import uploads

KNOWN = ("reviews-sentiment", "flights")


@dataclass(frozen=True)
class Head:
    key: str
    size_bytes: int = 1


@pytest.mark.parametrize(
    "key",
    [
        "flights/a.csv",
        "flights/2026/03/a.csv",
        "flights/a b+c%20é.csv",
        "flights/...csv",
        "flights/a\\b.csv",
        "flights/a?b=c&d.csv",
    ],
)
def test_data_below_a_pipelines_name_are_accepted_whatever_their_name(key: str) -> None:
    assert uploads.classify(Head(key), KNOWN) == uploads.Classification(
        "accepted", "flights", "data of flights"
    )


@pytest.mark.parametrize("key", ["flights/", "flights/2026/", "any/"])
def test_an_empty_folder_marker_is_ignored(key: str) -> None:
    assert uploads.classify(Head(key, 0), KNOWN).status == "ignored"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("a.csv", "no folder: upload to <pipeline>/<file>"),
        ("/flights/a.csv", "no folder: upload to <pipeline>/<file>"),
        ("", "no folder: upload to <pipeline>/<file>"),
        ("reviews-sentimnt/a.csv", "no pipeline 'reviews-sentimnt'; did you mean 'reviews-sentiment'?"),
        ("Flights/a.csv", "no pipeline 'Flights'; did you mean 'flights'?"),
        ("zzz/a.csv", "no pipeline 'zzz'"),
        ("../a.csv", "no pipeline '..'"),
    ],
)
def test_what_belongs_to_no_pipeline_is_unclaimed_and_says_why(key: str, reason: str) -> None:
    assert uploads.classify(Head(key), KNOWN) == uploads.Classification("unclaimed", None, reason)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (Head("flights/a.csv", 0), "zero bytes"),
        (Head("flights/", 5), "empty, '.' or '..' part"),
        (Head("flights//a.csv"), "empty, '.' or '..' part"),
        (Head("flights/../a.csv"), "empty, '.' or '..' part"),
        (Head("flights/./a.csv"), "empty, '.' or '..' part"),
        (Head("flights/a\n.csv"), "a control character"),
        (Head("flights/a\x00.csv"), "a control character"),
        (Head("flights/" + "é" * 450), "more than 900 bytes"),
        (Head("flights/" + "é" * 128 + "/a.csv"), "a part of more than 255 bytes"),
    ],
)
def test_what_no_job_could_read_is_quarantined(head: Head, reason: str) -> None:
    found = uploads.classify(head, KNOWN)
    assert (found.status, found.pipeline) == ("quarantined", "flights")
    assert reason in found.reason


@given(st.text(), st.integers(0, 3))
def test_any_key_is_classified_and_only_known_pipelines_get_data(key: str, size: int) -> None:
    found = uploads.classify(Head(key, size), KNOWN)
    assert found.pipeline in (*KNOWN, None)
    assert (found.pipeline is None) == (found.status in {"ignored", "unclaimed"})


@given(st.text(), st.text())
def test_a_key_is_split_at_its_first_slash(prefix: str, rest: str) -> None:
    prefix = prefix.replace("/", "")
    expected = (prefix, rest) if prefix else (None, f"/{rest}")
    assert locations.parse_key(f"{prefix}/{rest}") == expected
