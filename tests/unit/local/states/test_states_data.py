"""Paths, intrinsic functions, templates and rules, as the States Language has them."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_local.states import choices, intrinsics, paths, templates
from sluice_local.states.errors import ExecutionError

DATA = {"a": {"b": [1, {"c": 2}], "d.e": 3, "it's": 4}, "none": None, "name": "é"}
CONTEXT = {"Execution": {"Name": "run"}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DATA),
        ("$.a.b", [1, {"c": 2}]),
        ("$.a.b[0]", 1),
        ("$.a.b[1].c", 2),
        ("$['a']['d.e']", 3),
        ('$.a["d.e"]', 3),
        (r"$.a['it\'s']", 4),
        ("$.none", None),
        ("$.a.b[*]", [1, {"c": 2}]),
        ("$.a.b[*].c", [2]),
        ("$.a.*", [[1, {"c": 2}], 3, 4]),
        ("$.missing[*]", []),
        ("$$.Execution.Name", "run"),
        ("$$", CONTEXT),
    ],
)
def test_a_path_leads_to_a_value(path: str, value: Any) -> None:
    assert paths.find(path, DATA, CONTEXT) == value


@pytest.mark.parametrize(
    "path", ["$.missing", "$.a.b[7]", "$.name.x", "$.a[0]", "$.", "$.a[", "a.b", "$a", ""]
)
def test_a_path_that_leads_nowhere_or_is_none_fails_the_execution(path: str) -> None:
    with pytest.raises(ExecutionError) as failed:
        paths.find(path, DATA, CONTEXT)
    assert failed.value.error == "States.Runtime"
    assert path in failed.value.cause


@pytest.mark.parametrize(
    ("path", "original", "output"),
    [
        ("$", {"a": 1}, 9),
        ("$.b", {"a": 1}, {"a": 1, "b": 9}),
        ("$.a.b.c", {"a": {"d": 1}}, {"a": {"d": 1, "b": {"c": 9}}}),
        ("$['x.y']", {}, {"x.y": 9}),
        ("$.a.b", {"a": 1}, {"a": {"b": 9}}),
    ],
)
def test_a_result_is_put_into_the_input_which_stays_as_it_was(path: str, original: Any, output: Any) -> None:
    before = repr(original)
    assert paths.put(path, original, 9) == output
    assert repr(original) == before


def test_a_result_is_not_put_into_a_list() -> None:
    with pytest.raises(ExecutionError):
        paths.put("$.a[0]", {"a": [1]}, 9)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("States.Format('train-{}', $.a.b[0])", "train-1"),
        ("States.Format('{} {} {}', true, null, $.a.b)", 'true null [1,{"c":2}]'),
        (r"States.Format('it\'s {}, \{\}', $.name)", "it's é, {}"),
        ("States.Format('{}', 'a, (b)')", "a, (b)"),
        ("States.Format('{}', $['name'])", "é"),
        ("States.Format('{}', $$.Execution.Name)", "run"),
        ("States.Array()", []),
        ("States.Array( 1 , -2.5, States.Array('x') )", [1, -2.5, ["x"]]),
        ("States.ArrayLength($.a.b)", 2),
        ("States.ArrayContains($.a.b, 1)", True),
        ("States.ArrayGetItem($.a.b, 1)", {"c": 2}),
        ("States.ArrayPartition(States.ArrayRange(1, 5, 1), 2)", [[1, 2], [3, 4], [5]]),
        ("States.ArrayRange(5, 1, -2)", [5, 3, 1]),
        ("States.ArrayUnique(States.Array(2, 1, 2, 1, true))", [2, 1, True]),
        ("States.JsonToString($.name)", '"é"'),
        ("States.StringToJson('{\"a\": [1]}')", {"a": [1]}),
        ("States.JsonMerge($.a.b[1], States.StringToJson('{\"x\": 1}'), false)", {"c": 2, "x": 1}),
        ("States.Base64Encode('a')", "YQ=="),
        ("States.Base64Decode('YQ==')", "a"),
        ("States.Hash('a', 'SHA-1')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        ("States.MathAdd(2, -3)", -1),
        ("States.MathRandom(4, 5)", 4),
        ("States.StringSplit('a,b;;c', ',;')", ["a", "b", "c"]),
    ],
)
def test_an_intrinsic_function(expression: str, value: Any) -> None:
    assert intrinsics.evaluate(expression, DATA, CONTEXT) == value


@pytest.mark.parametrize(
    "expression",
    [
        "States.Format('{}'",
        "States.Format('{}' 1)",
        "States.Format('{} {}', 1)",
        "States.Nothing(1)",
        "States.MathAdd('a', 1)",
        "States.ArrayGetItem(States.Array(), 3)",
        "States.Array(1) and more",
        "'a'x",
    ],
)
def test_what_is_no_call_or_cannot_be_computed_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid|Unsupported"):
        intrinsics.evaluate(expression, DATA, CONTEXT)


def test_a_template_is_filled_at_any_depth() -> None:
    template = {
        "fixed": {"n": 1, "list": [{"c.$": "$.a.b[1].c"}, 2]},
        "name.$": "$.name",
        "run.$": "$$.Execution.Name",
        "step.$": "States.Format('s-{}', $.a.b[0])",
    }
    assert templates.fill(template, DATA, CONTEXT) == {
        "fixed": {"n": 1, "list": [{"c": 2}, 2]},
        "name": "é",
        "run": "run",
        "step": "s-1",
    }


@pytest.mark.parametrize(
    ("rule", "value", "held"),
    [
        ({"StringEquals": "x"}, "x", True),
        ({"StringEquals": "1"}, 1, False),
        ({"StringLessThan": "b"}, "a", True),
        ({"StringMatches": "log-*.txt"}, "log-7.txt", True),
        ({"StringMatches": r"a\*"}, "a*", True),
        ({"StringMatches": r"a\*"}, "ab", False),
        ({"NumericEquals": 1}, True, False),
        ({"NumericGreaterThanEquals": 2}, 2.0, True),
        ({"NumericLessThanPath": "$.limit"}, 2, True),
        ({"NumericLessThanPath": "$.limit"}, 3, False),
        ({"BooleanEquals": True}, True, True),
        ({"BooleanEquals": True}, 1, False),
        ({"BooleanEqualsPath": "$.yes"}, True, True),
        ({"TimestampLessThan": "2030-01-02T00:00:00Z"}, "2030-01-01T00:00:00+00:00", True),
        ({"TimestampEquals": "2030-01-02T00:00:00Z"}, "no time", False),
        ({"IsTimestamp": True}, "2030-01-01T00:00:00Z", True),
        ({"IsNumeric": False}, True, True),
        ({"IsString": True}, None, False),
        ({"IsNull": True}, None, True),
        ({"IsPresent": True}, None, True),
        ({"IsBoolean": True}, False, True),
        ({"Unknown": 1}, 1, False),
    ],
)
def test_a_rule_compares_by_type(rule: dict[str, Any], value: Any, held: bool) -> None:
    data = {"value": value, "limit": 3, "yes": True}
    assert choices.holds({"Variable": "$.value", **rule}, data, CONTEXT) is held


def test_rules_are_combined() -> None:
    present = {"Variable": "$.a", "IsPresent": True}
    missing = {"Variable": "$.x", "IsPresent": True}
    assert choices.holds({"And": [present, {"Not": missing}]}, DATA, CONTEXT)
    assert choices.holds({"Or": [missing, present]}, DATA, CONTEXT)
    assert not choices.holds({"And": [present, missing]}, DATA, CONTEXT)


def test_to_compare_what_is_not_there_fails_the_execution() -> None:
    with pytest.raises(ExecutionError):
        choices.holds({"Variable": "$.x", "StringEquals": "x"}, DATA, CONTEXT)
