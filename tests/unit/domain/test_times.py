"""Instants are spelt so that their text sorts as they do."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.times import from_event, from_iso, to_iso

INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(INSTANTS, INSTANTS)
def test_text_order_is_time_order(first: datetime, second: datetime) -> None:
    assert (to_iso(first) <= to_iso(second)) >= (first <= second)


@given(INSTANTS)
def test_an_instant_is_read_back_to_the_millisecond(at: datetime) -> None:
    assert at - timedelta(milliseconds=1) < from_iso(to_iso(at)) <= at


def test_any_offset_becomes_utc_and_none_means_utc() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=timezone(timedelta(hours=2)))
    assert to_iso(at) == "2026-01-02T01:04:05.678Z"
    assert from_iso("2026-01-02T01:04:05") == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "at",
    ["2026-11-24T10:00:00Z", "2026-11-24T10:00:00.000+0000", 1795514400000, "1795514400000", 1795514400000.0],
)
def test_a_time_of_an_event_is_read_however_it_is_spelt(at: str | float) -> None:
    assert from_event(at) == "2026-11-24T10:00:00.000Z"
    assert from_event(None) is None
