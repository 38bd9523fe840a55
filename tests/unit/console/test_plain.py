"""Foreign text is read as what it is: nothing of it is hidden, turned round or without end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.console.plain import LONGEST, plain


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("v1\u202egnp.exe", "v1\\u202egnp.exe"),
        ("a\u2066b\u2069c", "a\\u2066b\\u2069c"),
        ("\x1b[31mred", "\\u001b[31mred"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\nand\ttab", "line\nand\ttab"),
        ("تقييم", "تقييم"),
    ],
)
def test_what_cannot_be_seen_is_spelled(hostile: str, shown: str) -> None:
    assert plain(hostile) == shown


def test_what_never_ends_is_cut_and_says_how_much_is_missing() -> None:
    shown = str(plain("x" * 10_000))
    assert len(shown) < LONGEST + 30
    assert shown.endswith("… (6,000 more)")


@given(st.text())
def test_no_control_of_direction_is_left(text: str) -> None:
    assert not set(str(plain(text))) & set(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200F)))


@pytest.mark.parametrize("value", [None, 3, 0.5, ["a"]])
def test_what_is_no_text_stays(value: object) -> None:
    assert plain(value) is value
