"""A pipeline's definition is refused with a sentence wherever a build could not run it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

import sdk_world
from json_faults import Json, put_anywhere
from json_faults import Place as At
from sluice.domain.build import projects
from sluice.domain.build.projects import ProjectError
from sluice.domain.build.sdk import definitions, ends, placing
from sluice.domain.build.sdk.definitions import DefinitionError
from sluice.domain.build.sdk.placing import Place
from sluice.domain.config import ConfigError, overrides
from sluice.domain.config.build import Build
from sluice.domain.config.overrides import OverrideError
from trying import examples


def altered(change: Any) -> dict[str, Any]:
    """The pipeline, as a function changed a copy of it."""
    copy: dict[str, Any] = json.loads(json.dumps(sdk_world.definition()))
    change(copy)
    return copy


def refused(pipeline: Any, yaml: str = sdk_world.PIPELINE_YAML) -> str:
    with pytest.raises((ProjectError, ConfigError)) as refusal:
        projects.load_project(sdk_world.files(pipeline=pipeline, yaml=yaml))
    return str(refusal.value)


def test_a_sound_pipeline_completes_the_config_by_all_that_a_run_may_be_given() -> None:
    build = projects.load_project(sdk_world.files()).config.build
    assert build is not None
    assert build.parameters == {"MinAccuracyValue": 0.6, "Solver": "saga"}
    assert set(build.bind) == {"input_manifest", "output", "role", "image", "model_package_group"}


def test_a_project_that_runs_a_pipeline_has_no_scripts() -> None:
    config = projects.load_project(sdk_world.files()).config
    for job in ("prepare", "train", "evaluate"):
        with pytest.raises(LookupError, match="runs a pipeline of SageMaker, and no scripts"):
            getattr(config, job)


def _lambda(each: dict[str, Any]) -> None:
    each["Steps"][1]["Type"] = "Lambda"


def _misspelt(each: dict[str, Any]) -> None:
    each["Steps"][1]["Arguments"]["RoleArn"] = {"Get": "Parameters.RoleAm"}


def _circle(each: dict[str, Any]) -> None:
    each["Steps"][0]["DependsOn"] = ["IsAccurate"]


def _no_manifest(each: dict[str, Any]) -> None:
    each["Parameters"][0]["Name"] = "InputData"
    each["Steps"][0]["Arguments"]["ProcessingInputs"] = []


def _prefix(each: dict[str, Any]) -> None:
    (data,) = each["Steps"][0]["Arguments"]["ProcessingInputs"]
    data["S3Input"]["S3DataType"] = "S3Prefix"


def _no_registration(each: dict[str, Any]) -> None:
    each["Steps"][2]["Arguments"]["IfSteps"] = []


def _no_metrics(each: dict[str, Any]) -> None:
    del each["Steps"][2]["Arguments"]["IfSteps"][0]["Arguments"]["ModelMetrics"]


def _approved(each: dict[str, Any]) -> None:
    each["Steps"][2]["Arguments"]["IfSteps"][0]["Arguments"]["ModelApprovalStatus"] = "Approved"


def _twice(each: dict[str, Any]) -> None:
    each["Steps"][2]["Arguments"]["ElseSteps"][0]["Name"] = "Train"


def _unknown_step(each: dict[str, Any]) -> None:
    each["Steps"][1]["DependsOn"] = ["Prepared"]


def _manifest_of_a_number(each: dict[str, Any]) -> None:
    each["Parameters"][0] |= {"Type": "Integer"}


def _manifest_of_nobody(each: dict[str, Any]) -> None:
    each["Steps"][0]["Arguments"]["ProcessingInputs"] = []


def _two_containers(each: dict[str, Any]) -> None:
    containers = each["Steps"][2]["Arguments"]["IfSteps"][0]["Arguments"]["InferenceSpecification"]
    containers["Containers"] *= 2


def _branch_of_one(each: dict[str, Any]) -> None:
    each["Steps"][2]["Arguments"]["ElseSteps"] = {"Name": "TooBad"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_unknown_step, "the step Train depends on Prepared, which is no step; did you mean 'Prepare'?"),
        (_manifest_of_a_number, "the parameter InputManifest takes the data set's URI: expected a String"),
        (_manifest_of_nobody, "no step reads InputManifest"),
        (_two_containers, "the step Register-RegisterModel registers 2 containers: expected one"),
        (_branch_of_one, "the steps of IsAccurate are no list"),
        (_lambda, "the step Train is of the type Lambda, which a build does not run"),
        (_misspelt, "there is no such parameter; did you mean 'RoleArn'?"),
        (_circle, "these steps wait for each other"),
        (_no_manifest, "no parameter takes the data set: expected a String InputManifest"),
        (_prefix, "the step Prepare reads InputManifest as S3Prefix: expected S3DataType ManifestFile"),
        (_no_registration, "no step registers a model"),
        (_no_metrics, "expected the evaluation that the gates judge"),
        (_approved, "expected PendingManualApproval"),
        (_twice, "the step Train is there 2 times"),
    ],
)
def test_what_a_build_cannot_run_is_refused_and_named(change: Any, said: str) -> None:
    assert said in refused(altered(change))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "no JSON"),
        (b"[]", "no JSON object"),
        (b'"' + b"x" * definitions.MAX_CHARACTERS + b'"', "it has 1,048,578 characters"),
        (b'{"Version": "2020-12-01", "Steps": {}}', "the steps are no list"),
        (b'{"Version": "2020-12-01"}', "no Steps"),
        (b'{"Version": "2019-01-01", "Steps": []}', "Version is '2019-01-01'"),
        (b'{"Version": "2020-12-01", "Steps": [{"Name": 1}]}', "expected Name, Type and Arguments"),
        (b'{"Version": "2020-12-01", "Parameters": [{"Name": "a", "Type": "Text"}]}', "a Type of String"),
        (
            b'{"Version": "2020-12-01", "Parameters": [{"Name": "a", "Type": "Integer", "DefaultValue": 0.5}]}',  # noqa: E501
            "has the default 0.5: expected an integer",
        ),
    ],
)
def test_what_is_no_definition_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        definitions.read(data)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("parameters: {MinAccuracy: 0.6}", "did you mean 'MinAccuracyValue'?"),
        ("parameters: {MinAccuracyValue: high}", "is 'high': expected a number"),
        ("parameters: {Solver: sgd}", "expected one of saga, liblinear"),
        ("parameters: {OutputUri: s3://mine}", "a run gives it as its output"),
        ("bind: {code: Code}", "which is no parameter of the pipeline"),
    ],
)
def test_a_parameter_that_the_pipeline_has_not_or_of_another_kind_is_refused(line: str, said: str) -> None:
    yaml = sdk_world.PIPELINE_YAML.replace("parameters: {MinAccuracyValue: 0.6}", line)
    assert said in refused(sdk_world.definition(), yaml)


def test_a_fact_may_be_given_to_a_parameter_of_another_name() -> None:
    yaml = sdk_world.PIPELINE_YAML.replace("{MinAccuracyValue: 0.6}", "{}, bind: {code: Solver}")
    build = projects.load_project(sdk_world.files(yaml=yaml)).config.build
    assert build is not None
    assert build.bind["code"] == "Solver"
    assert "Solver" not in build.parameters


def test_a_project_names_scripts_or_a_pipeline_and_not_both() -> None:
    both = sdk_world.PIPELINE_YAML + "prepare: {script: src/prepare.py}\n"
    assert "prepare is given beside build" in refused(sdk_world.definition(), both)
    neither = sdk_world.PIPELINE_YAML.replace("build:", "builds:")
    assert "train is missing" in refused(sdk_world.definition(), neither)


def test_a_gate_that_needs_predictions_is_refused_with_what_would_do() -> None:
    yaml = sdk_world.PIPELINE_YAML.replace("metrics.accuracy.value >= 0.7", "predictions.accuracy >= 0.7")
    assert "needs predictions of both models" in refused(sdk_world.definition(), yaml)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("MinAccuracyValue=high", "expected a number"),
        ("MinAccuracy=0.7", "did you mean 'MinAccuracyValue'?"),
        ("OutputUri=s3://mine", "is no parameter that a run may be given"),
        ("train.hyperparameters.alpha=1", "as pipeline.yaml has no train"),
    ],
)
def test_a_run_is_refused_a_parameter_that_it_may_not_be_given(assignment: str, said: str) -> None:
    config = projects.load_project(sdk_world.files()).config
    with pytest.raises(OverrideError, match=said.replace("?", r"\?")):
        overrides.read_all(config, [assignment])


def test_a_run_is_given_a_parameter_by_its_name_alone() -> None:
    config = projects.load_project(sdk_world.files()).config
    given = overrides.read_all(config, ["MinAccuracyValue=0.8"])
    assert given == {"build.parameters.MinAccuracyValue": 0.8}
    build = overrides.applied(config, given).build
    assert build is not None
    assert build.parameters["MinAccuracyValue"] == 0.8


def test_another_definition_is_another_project_to_build() -> None:
    one = projects.load_project(sdk_world.files())
    other = projects.load_project(sdk_world.files(pipeline=sdk_world.definition(Metadata={"a": "b"})))
    assert one.content != other.content


PLACE = Place("arn:role", ("s3://art/runs", "s3://art/pipelines"), "reviews--built")


@pytest.mark.parametrize(
    ("group", "is_refused"),
    [
        ("another", True),
        ("reviews--built", False),
        ({"Std:Join": {"On": "--", "Values": ["reviews", "built"]}}, False),
        ({"Std:Join": {"On": "--", "Values": ["reviews", "other"]}}, True),
        ({"Std:Join": {"On": "--", "Values": []}}, False),
        ({"Std:Join": {"On": "--", "Values": [{"Get": "Execution.PipelineName"}, "x"]}}, False),
        ({"Get": "Steps.Train.TrainingJobName"}, False),
        ({"Std:JsonGet": {"Path": "a"}}, False),
    ],
)
def test_what_is_known_of_the_group_before_an_execution_is_held_against_the_stacks(
    group: Any, is_refused: bool
) -> None:
    register = {**sdk_world.REGISTER, "Arguments": {"ModelPackageGroupName": group}}
    read = definitions.read(json.dumps(sdk_world.definition(Steps=[register])).encode())
    found = [*placing.problems(read, Build(pipeline="pipeline.json"), PLACE)]
    assert [" registers in the group " in each for each in found] == [True] * is_refused


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            {"Steps": [{"StepName": "Train", "StepStatus": "Failed", "FailureReason": "no luck"}]},
            "Train: no luck",
        ),
        ({"FailureReason": "the role is gone"}, "the role is gone"),
        ({"Steps": [{"StepName": "Train", "StepStatus": "Failed"}]}, "the pipeline failed"),
    ],
)
def test_an_execution_failed_for_the_reason_of_its_steps_or_its_own(
    said: dict[str, Any], reason: str
) -> None:
    assert ends.failure({"PipelineExecutionStatus": "Failed", **said}) == reason


@settings(max_examples=examples(500))
@given(put_anywhere(sdk_world.definition()))
def test_any_json_at_any_place_of_a_definition_is_a_project_or_is_refused_in_words(
    made: tuple[At, Json],
) -> None:
    place = Place("arn:aws:iam::1:role/r", ("s3://b/runs/", "s3://b/pipelines/"), "g")
    try:
        project = projects.load_project(sdk_world.files(pipeline=made[1]))
    except (ProjectError, ConfigError):
        return
    assert project.definition is not None
    assert project.config.build is not None
    assert all([*placing.problems(project.definition, project.config.build, place)])
    assert definitions.images(project.definition) is not None


@pytest.mark.parametrize("depth", [150, 900, 5000])
def test_a_definition_that_is_nested_too_deep_is_refused(depth: int) -> None:
    text = json.dumps(sdk_world.definition(Metadata=0)).replace(
        '"Metadata": 0', f'"Metadata": {"[" * depth}{"]" * depth}'
    )
    with pytest.raises(DefinitionError, match="nested too deep"):
        definitions.read(text.encode())


def test_the_last_version_that_a_step_registered_is_taken_and_none_of_a_step_that_failed() -> None:
    def registering(name: str, status: str = "Succeeded") -> dict[str, Any]:
        return {"StepName": name, "StepStatus": status, "Metadata": {"RegisterModel": {"Arn": name}}}

    steps = [registering("one"), registering("two"), registering("three", "Failed")]
    assert ends.registered({"Steps": steps}) == "two"
    assert ends.registered({"Steps": steps[2:]}) is None
