"""What a definition's references mean: parameters, joins, property files, conditions."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_local.sagemaker.pipelines.definition import conditions, parameters, references
from sluice_local.sagemaker.pipelines.definition.errors import (
    DefinitionError,
    ParameterError,
    ResolutionError,
)
from sluice_local.sagemaker.pipelines.definition.resolving import Values, resolved

REPORT = {"metrics": {"accuracy": {"value": 0.74}, "by.class": [{"f1": 1}]}}
VALUES = Values(
    parameters={"Threshold": 0.7, "Count": 2, "Skip": False, "Name": "reviews"},
    execution={"PipelineExecutionId": "abc123"},
    steps={
        "Prepare": {
            "ProcessingOutputConfig": {
                "Outputs": [
                    {"OutputName": "train", "S3Output": {"S3Uri": "s3://b/train"}},
                    {"OutputName": "test", "S3Output": {"S3Uri": "s3://b/test"}},
                ]
            },
            "PropertyFiles": {"Report": "s3://b/evaluation.json"},
        },
        "Train": {"FinalMetricDataList": [{"MetricName": "test:acc", "Value": 0.5}]},
        "Call": {"OutputParameters": {"statusCode": "200"}},
    },
    read_json=lambda uri: {"s3://b/evaluation.json": REPORT}[uri],
)


def get(name: str) -> dict[str, str]:
    return {"Get": name}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (get("Parameters.Threshold"), 0.7),
        (get("Execution.PipelineExecutionId"), "abc123"),
        (get("Steps.Prepare.ProcessingOutputConfig.Outputs['test'].S3Output.S3Uri"), "s3://b/test"),
        (get("Steps.Prepare.ProcessingOutputConfig.Outputs[0].S3Output.S3Uri"), "s3://b/train"),
        (get("Steps.Train.FinalMetricDataList['test:acc'].Value"), 0.5),
        (get("Steps.Call.OutputParameters['statusCode']"), "200"),
        ({"Deep": [get("Parameters.Count"), 3]}, {"Deep": [2, 3]}),
        ({"Get": "Parameters.Count", "Other": 1}, {"Get": "Parameters.Count", "Other": 1}),
    ],
)
def test_a_reference_is_replaced_by_what_it_names(value: Any, expected: Any) -> None:
    assert resolved(value, VALUES) == expected


def test_join_writes_numbers_and_truth_as_json_does() -> None:
    values = [
        "s3://b",
        get("Execution.PipelineExecutionId"),
        get("Parameters.Count"),
        get("Parameters.Skip"),
        0.5,
    ]
    assert resolved({"Std:Join": {"On": "/", "Values": values}}, VALUES) == "s3://b/abc123/2/false/0.5"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metrics.accuracy.value", 0.74),
        ("metrics['accuracy'].value", 0.74),
        ("['metrics']['by.class'][0].f1", 1),
    ],
)
@pytest.mark.parametrize(
    "source",
    [{"PropertyFile": get("Steps.Prepare.PropertyFiles.Report")}, {"S3Uri": "s3://b/evaluation.json"}],
)
def test_a_property_file_is_read_by_a_dotted_or_bracketed_path(source: Any, path: str, expected: Any) -> None:
    assert resolved({"Std:JsonGet": {**source, "Path": path}}, VALUES) == expected


@pytest.mark.parametrize(
    "value",
    [
        get("Steps.Late.TrainingJobName"),
        get("Steps.Prepare.ProcessingOutputConfig.Outputs['validation'].S3Output.S3Uri"),
        get("Steps.Train.FinalMetricDataList[1].Value"),
        {"Std:Join": {"On": "", "Values": [{"a": 1}]}},
        {
            "Std:JsonGet": {
                "PropertyFile": get("Steps.Prepare.PropertyFiles.Report"),
                "Path": "metrics.recall",
            }
        },
    ],
)
def test_what_is_not_there_is_an_error(value: Any) -> None:
    with pytest.raises(ResolutionError):
        resolved(value, VALUES)


@pytest.mark.parametrize("text", ["Train.X", "Steps.Train", "Parameters.A.B", "Steps.Train.A..B", "", None])
def test_a_reference_that_cannot_be_read_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r"Get|path"):
        references.parse(text)


DECLARED = parameters.read(
    [
        {"Name": "Text", "Type": "String", "DefaultValue": "a", "EnumValues": ["a", "b"]},
        {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
        {"Name": "Share", "Type": "Float"},
        {"Name": "Skip", "Type": "Boolean", "DefaultValue": False},
    ]
)


def test_parameters_are_given_as_text_and_become_what_they_are_declared() -> None:
    given = {"Share": "0.25", "Count": "3", "Skip": "True"}
    assert parameters.bound(DECLARED, given) == {"Text": "a", "Count": 3, "Share": 0.25, "Skip": True}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Missing values for parameters [Share]."),
        ({"Share": "1", "Depth": "1"}, "Unknown parameters [Depth]."),
        ({"Share": "1", "Count": "1.5"}, "Parameter Count must be of type Integer, not '1.5'."),
        ({"Share": "1", "Skip": "yes"}, "Parameter Skip must be of type Boolean, not 'yes'."),
        ({"Share": "1", "Text": "c"}, "Parameter Text must be one of [a, b], not 'c'."),
    ],
)
def test_values_that_are_not_declared_so_are_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        parameters.bound(DECLARED, given)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "declared",
    [
        {"Name": "A B", "Type": "String"},
        {"Name": "A", "Type": "Number"},
        {"Name": "A", "Type": "Integer", "DefaultValue": "1"},
        {"Name": "A", "Type": "Integer", "DefaultValue": True},
        {"Name": "A", "Type": "String", "DefaultValue": "c", "EnumValues": ["a"]},
    ],
)
def test_a_declaration_must_be_true_to_itself(declared: Any) -> None:
    with pytest.raises(DefinitionError, match=r"[Pp]arameter"):
        parameters.read([declared])


ACCURACY = {
    "Std:JsonGet": {
        "PropertyFile": get("Steps.Prepare.PropertyFiles.Report"),
        "Path": "metrics.accuracy.value",
    }
}


def compared(kind: str, left: Any, right: Any) -> dict[str, Any]:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (compared("GreaterThanOrEqualTo", ACCURACY, get("Parameters.Threshold")), True),
        (compared("GreaterThan", 0.7, get("Parameters.Threshold")), False),
        (compared("LessThan", 1, 2.5), True),
        (compared("LessThanOrEqualTo", "a", "b"), True),
        (compared("Equals", 1, 1.0), True),
        (compared("Equals", get("Parameters.Skip"), 0), False),
        (compared("NotEquals", "1", 1), True),
        ({"Type": "In", "QueryValue": get("Parameters.Name"), "Values": ["x", "reviews"]}, True),
        ({"Type": "In", "QueryValue": 3, "Values": [1, 2]}, False),
        ({"Type": "Not", "Condition": compared("Equals", 1, 1)}, False),
        ({"Type": "Or", "Conditions": [compared("Equals", 1, 2), compared("Equals", 2, 2)]}, True),
    ],
)
def test_a_condition_holds_or_not(condition: Any, expected: bool) -> None:
    conditions.check("it", condition)
    assert conditions.holds(condition, VALUES) is expected


@pytest.mark.parametrize(
    ("kind", "below", "same", "above"),
    [
        ("GreaterThan", False, False, True),
        ("GreaterThanOrEqualTo", False, True, True),
        ("LessThan", True, False, False),
        ("LessThanOrEqualTo", True, True, False),
        ("Equals", False, True, False),
        ("NotEquals", True, False, True),
    ],
)
def test_a_comparison_tells_what_is_below_the_same_and_above(
    kind: str, below: bool, same: bool, above: bool
) -> None:
    held = [
        conditions.holds(compared(kind, left, get("Parameters.Threshold")), VALUES)
        for left in (0.6, 0.7, 0.8)
    ]
    assert held == [below, same, above]


def test_all_conditions_of_a_step_must_hold() -> None:
    holding, failing = compared("Equals", 1, 1), compared("Equals", 1, 2)
    assert conditions.all_hold([holding, holding], VALUES)
    assert not conditions.all_hold([holding, failing], VALUES)


def test_what_has_no_order_cannot_be_compared() -> None:
    with pytest.raises(ResolutionError, match="GreaterThan cannot compare '3' with 2"):
        conditions.holds(compared("GreaterThan", "3", 2), VALUES)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"Type": "Like"}, r"it\.Type must be one of Equals"),
        ({"Type": "Equals", "LeftValue": 1}, "it of type Equals needs RightValue"),
        ({"Type": "Not", "Condition": {"Type": "Or", "Conditions": []}}, "not empty"),
        ({"Type": "Or", "Conditions": [{"Type": "x"}]}, r"it\.Conditions\[0\]\.Type"),
    ],
)
def test_a_condition_that_is_none_is_refused_where_it_stands(condition: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        conditions.check("it", condition)
