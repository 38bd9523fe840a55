"""Any JSON at any place of a document: what a checker must take, or refuse in words."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Json = Any
Place = tuple[str | int, ...]


def places(value: Json, here: Place = ()) -> Iterator[Place]:
    """All places of a document, the inner ones too."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*here, key)
        yield from places(item, (*here, key))


def at(document: Json, place: Place) -> Json:
    for key in place:
        document = document[key]
    return document


def changed(document: Json, place: Place, put: Json) -> Json:
    """A copy of a document with something else at a place."""
    copied = copy.deepcopy(document)
    at(copied, place[:-1])[place[-1]] = put
    return copied


_TEXTS = ["Prepare", "Refuse", "T30m", "P" + "9" * 5000 + "D", "1" * 5000, "s3://b/x"]
_GETS = [
    "Steps.Prepare.PropertyFiles.Report",
    "Parameters.Input",
    "Parameters",
    "Steps.Train.x[",
    "Execution.No",
    "",
]
_KEYS = st.sampled_from(["Name", "Type", "Outputs", "Conditions", "Get", "ExperimentName", "Values", "S3Uri"])
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from([*_TEXTS, 10**400]),
)


def _grown(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    functions = st.one_of(
        st.builds(lambda to: {"Get": to}, st.sampled_from(_GETS) | inner),
        st.builds(lambda on, values: {"Std:Join": {"On": on, "Values": values}}, inner, inner),
        st.builds(lambda file, path: {"Std:JsonGet": {"PropertyFile": file, "Path": path}}, inner, inner),
        st.builds(lambda uri, path: {"Std:JsonGet": {"S3Uri": uri, "Path": path}}, inner, inner),
        st.builds(lambda operand: {"Std:Join": operand}, inner),
    )
    return functions | st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3)


ANYTHING = st.recursive(_LEAVES, _grown, max_leaves=8)


def put_anywhere(document: Json) -> st.SearchStrategy[tuple[Place, Json]]:
    """A place of a document, and the document with anything there, also with another part of itself."""
    here = [*places(document)]
    parts = st.sampled_from(here).map(lambda place: at(document, place))
    return st.builds(
        lambda place, put: (place, changed(document, place, put)), st.sampled_from(here), ANYTHING | parts
    )
