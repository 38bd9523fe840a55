"""Equal content has one spelling."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain import canonical


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_the_order_of_keys_does_not_change_the_digest(value: Any) -> None:
    assert canonical.digest(dict(reversed(value.items()))) == canonical.digest(value)


def test_the_spelling_is_compact_utf8() -> None:
    assert canonical.to_json({"b": 1, "a": ["é"]}) == '{"a":["é"],"b":1}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_spell_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical.to_json(value)
