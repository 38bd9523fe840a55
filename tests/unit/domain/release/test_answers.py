"""An answer is what its project says it is, by the standard and not by what Python reads."""

from __future__ import annotations

import pytest

from sluice.domain.release import answers
from sluice.domain.release.answers import NotJsonError

JSON = "application/json"


@pytest.mark.parametrize("body", [b"[1, 2.5e3, null]", b'"NaN"', b" {} ", "ä".encode().join([b'"', b'"'])])
def test_json_is_read(body: bytes) -> None:
    answers.parse_json(body)
    assert answers.faults(body, JSON, JSON) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"prediction": NaN}', "NaN is no number in JSON: answer null, or a text"),
        (b"[Infinity]", "Infinity is no number in JSON"),
        (b"[-Infinity]", "-Infinity is no number in JSON"),
        (b'"\xe4"', "byte 1 is no UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "byte 0 is no UTF-8"),
        ("\ufeff[1]".encode(), "BOM"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b"great", "Expecting value"),
        (b"[1] [2]", "Extra data"),
        (b"1" * 5000, "4300 digits"),
    ],
)
def test_what_python_reads_and_others_do_not_is_no_json(body: bytes, said: str) -> None:
    with pytest.raises(NotJsonError, match=said.replace("[", r"\[")):
        answers.parse_json(body)
    (fault,) = answers.faults(body, JSON, JSON)
    assert fault.startswith("the answer to the sample request is no JSON: ")
    assert said in fault


@pytest.mark.parametrize("accept", [JSON, "text/csv"])
def test_an_empty_answer_is_a_fault(accept: str) -> None:
    assert answers.faults(b"", accept, accept) == ["the answer to the sample request is empty"]


@pytest.mark.parametrize(
    ("content_type", "accept"),
    [
        ("application/json; charset=utf-8", JSON),
        ("Application/JSON", JSON),
        ("text/csv", "text/csv; header=absent"),
        ("text/html", "*/*"),
        ("text/csv", "application/json, text/csv"),
    ],
)
def test_a_type_that_was_asked_for_is_none(content_type: str, accept: str) -> None:
    assert answers.faults(b"[1]", content_type, accept) == []


@pytest.mark.parametrize(("content_type", "said"), [("text/html", "is text/html"), ("", "is of no type")])
def test_another_type_than_was_asked_for_is_a_fault(content_type: str, said: str) -> None:
    (fault,) = answers.faults(b"<html>", content_type, JSON)
    assert f"{said}, not application/json (serve.accept): <html>" in fault


def test_json_of_a_type_of_its_own_is_read_as_json() -> None:
    (fault,) = answers.faults(b"[NaN]", "application/vnd.api+json", "application/vnd.api+json")
    assert "NaN is no number in JSON" in fault


def test_a_number_that_is_too_large_for_a_float_is_still_json() -> None:
    assert answers.faults(b"[1e400]", JSON, JSON) == []
