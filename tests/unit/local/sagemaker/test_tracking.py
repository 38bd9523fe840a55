"""What follows from jobs and model packages: trial components, lineage, and what Search finds of them."""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_local.sagemaker import service  # noqa: F401 - it registers the operations
from sluice_local.sagemaker.api.core import OPERATIONS, ApiError, Item, Scope
from sluice_local.sagemaker.api.iam import CALLER, Caller
from sluice_local.sagemaker.containers.metric_summaries import summarized
from sluice_local.sagemaker.experiments import metrics, stored
from sluice_local.sagemaker.jobs.processing import PROCESSING
from sluice_local.sagemaker.jobs.training import TRAINING
from sluice_local.sagemaker.registry.groups import PACKAGES

RAW, TRAIN, MODEL, IMAGE = "s3://b/raw/", "s3://b/train/", "s3://b/model.tar.gz", "account/image:1"
GROUP = "reviews"


@pytest.fixture(autouse=True)
def caller() -> Iterator[None]:
    token = CALLER.set(Caller("arn:aws:iam::000000000000:root", "root"))
    yield
    CALLER.reset(token)


@pytest.fixture
def scope() -> Scope:
    """An account that nothing has been done in."""
    return Scope(uuid.uuid4().hex[:12], "us-east-1")


@pytest.fixture
def ask(scope: Scope) -> Callable[..., Item]:
    return lambda operation, **params: OPERATIONS[operation](scope, params) or {}


def prepared(scope: Scope, name: str = "Prepare", **more: Any) -> Item:
    return PROCESSING.table.create(
        scope,
        name,
        {
            "ProcessingJobStatus": "Completed",
            "AppSpecification": {"ImageUri": IMAGE},
            "ProcessingInputs": [{"InputName": "raw", "S3Input": {"S3Uri": RAW}}],
            "ProcessingOutputConfig": {"Outputs": [{"OutputName": "train", "S3Output": {"S3Uri": TRAIN}}]},
            "ProcessingResources": {"ClusterConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.large"}},
            **more,
        },
    )


def trained(scope: Scope, name: str = "Train", **more: Any) -> Item:
    source = {"S3DataSource": {"S3Uri": TRAIN}}
    return TRAINING.table.create(
        scope,
        name,
        {
            "TrainingJobStatus": "Completed",
            "AlgorithmSpecification": {"TrainingImage": IMAGE},
            "HyperParameters": {"alpha": "0.5", "solver": '"saga"'},
            "InputDataConfig": [{"ChannelName": "train", "ContentType": "text/csv", "DataSource": source}],
            "ModelArtifacts": {"S3ModelArtifacts": MODEL},
            "_MetricSummaries": [summarized("accuracy", [(1.0, 0.5), (2.0, 0.9)])],
            **more,
        },
    )


def registered(scope: Scope, version: int = 1) -> Item:
    return PACKAGES.create(
        scope,
        f"{GROUP}/{version}",
        {
            "ModelPackageGroupName": GROUP,
            "ModelPackageVersion": version,
            "ModelApprovalStatus": "PendingManualApproval",
            "InferenceSpecification": {"Containers": [{"Image": IMAGE, "ModelDataUrl": MODEL}]},
        },
    )


def in_trial(ask: Callable[..., Item], trial: str, experiment: str = "Reviews") -> Any:
    """Make a trial; the config of its jobs."""
    try:
        ask("CreateExperiment", ExperimentName=experiment)
    except ApiError as error:
        assert "already exists" in error.message  # noqa: PT017 - the SDK goes by these words
    ask("CreateTrial", TrialName=trial, ExperimentName=experiment)
    return {"ExperimentConfig": {"ExperimentName": experiment, "TrialName": trial}}


def names(answer: Item) -> list[str]:
    return [item["TrialComponentName"] for item in answer["TrialComponentSummaries"]]


def test_a_job_has_a_component_with_its_parameters_artifacts_and_metrics(
    scope: Scope, ask: Callable[..., Item]
) -> None:
    job = trained(scope)
    found = ask("DescribeTrialComponent", TrialComponentName="Train-aws-training-job")
    assert found["TrialComponentArn"].endswith(":experiment-trial-component/Train-aws-training-job")
    assert found["Source"] == {"SourceArn": job["TrainingJobArn"], "SourceType": "SageMakerTrainingJob"}
    assert found["Parameters"] == {
        "alpha": {"NumberValue": 0.5},
        "solver": {"StringValue": '"saga"'},
    }
    assert found["InputArtifacts"] == {
        "SageMaker.ImageUri": {"Value": IMAGE},
        "train": {"MediaType": "text/csv", "Value": TRAIN},
    }
    assert found["OutputArtifacts"] == {"SageMaker.ModelArtifact": {"Value": MODEL}}
    (metric,) = found["Metrics"]
    assert (metric["Last"], metric["Min"], metric["Count"]) == (0.9, 0.5, 2)
    # The SDK in a job asks in lower case.
    assert names(ask("ListTrialComponents", SourceArn=job["TrainingJobArn"].lower())) == [
        "Train-aws-training-job"
    ]


def test_what_a_user_changes_of_a_jobs_component_is_laid_over_what_follows_from_the_job(
    scope: Scope, ask: Callable[..., Item]
) -> None:
    trained(scope, TrainingJobStatus="InProgress")
    name = "train-aws-training-job"
    ask("UpdateTrialComponent", TrialComponentName=name, Parameters={"note": {"StringValue": "mine"}})
    TRAINING.table.change(scope, "Train", TrainingJobStatus="Completed")
    found = ask("DescribeTrialComponent", TrialComponentName=name)
    assert found["Status"]["PrimaryStatus"] == "Completed"
    assert found["Parameters"]["note"] == {"StringValue": "mine"}
    assert found["Parameters"]["alpha"] == {"NumberValue": 0.5}
    ask("AddTags", ResourceArn=found["TrialComponentArn"], Tags=[{"Key": "team", "Value": "a"}])
    assert ask("ListTags", ResourceArn=found["TrialComponentArn"])["Tags"] == [{"Key": "team", "Value": "a"}]

    ask("DeleteTrialComponent", TrialComponentName=name)
    with pytest.raises(ApiError, match="does not exist"):
        ask("DescribeTrialComponent", TrialComponentName=name)
    assert names(ask("ListTrialComponents")) == []
    # Saved and restored, it is still deleted.
    stored.COMPONENTS.restore(stored.COMPONENTS.saved())
    assert names(ask("ListTrialComponents")) == []


def test_components_are_listed_by_trial_and_experiment_until_they_leave(
    scope: Scope, ask: Callable[..., Item]
) -> None:
    config = in_trial(ask, "One")
    prepared(scope, **config)
    trained(scope, **config)
    trained(scope, "Elsewhere", **in_trial(ask, "Two"))
    ask("CreateTrialComponent", TrialComponentName="Notes")
    ask("AssociateTrialComponent", TrialComponentName="notes", TrialName="one")
    both = ["Notes", "Train-aws-training-job", "Prepare-aws-processing-job"]
    assert sorted(names(ask("ListTrialComponents", TrialName="One"))) == sorted(both)
    assert sorted(names(ask("ListTrialComponents", ExperimentName="reviews"))) == sorted(
        [*both, "Elsewhere-aws-training-job"]
    )
    trials = ask("ListTrials", TrialComponentName="Notes")["TrialSummaries"]
    assert [trial["TrialName"] for trial in trials] == ["One"]

    with pytest.raises(ApiError, match="disassociate"):
        ask("DeleteTrial", TrialName="One")
    for name in both:
        ask("DisassociateTrialComponent", TrialComponentName=name, TrialName="One")
    assert names(ask("ListTrialComponents", TrialName="One")) == []
    ask("DeleteTrial", TrialName="One")
    with pytest.raises(ApiError, match="has trials"):
        ask("DeleteExperiment", ExperimentName="Reviews")


def rows(ask: Callable[..., Item], **ends: str) -> set[tuple[str, str, str]]:
    listed = ask("ListAssociations", MaxResults=100, **ends)["AssociationSummaries"]
    return {(row["SourceType"], row["AssociationType"], row["DestinationType"]) for row in listed}


def artifact(ask: Callable[..., Item], uri: str) -> str:
    (found,) = ask("ListArtifacts", SourceUri=uri)["ArtifactSummaries"]
    return str(found["ArtifactArn"])


def test_data_jobs_models_and_versions_are_linked(scope: Scope, ask: Callable[..., Item]) -> None:
    prepared(scope)
    trained(scope)
    package = registered(scope)
    assert rows(ask, SourceArn=artifact(ask, RAW)) == {("DataSet", "ContributedTo", "ProcessingJob")}
    assert rows(ask, DestinationArn=artifact(ask, MODEL)) == {("TrainingJob", "Produced", "Model")}
    # As the SDK begins at a job: its component is named like the job, in its own case.
    (component,) = ask("ListTrialComponents", SourceArn=scope.arn("training-job", "Train"))[
        "TrialComponentSummaries"
    ]
    assert rows(ask, SourceArn=component["TrialComponentArn"]) == {("TrainingJob", "Produced", "Model")}
    version = artifact(ask, package["ModelPackageArn"])
    assert rows(ask, DestinationArn=version) == {
        ("Model", "ContributedTo", "Model"),
        ("Image", "ContributedTo", "Model"),
        ("Approval", "ContributedTo", "Model"),
    }
    assert rows(ask, SourceArn=version) == {("Model", "AssociatedWith", "ModelGroup")}
    assert rows(ask, SourceArn=version, DestinationType="Endpoint") == set()
    kinds = [item["ArtifactType"] for item in ask("ListArtifacts")["ArtifactSummaries"]]
    assert sorted(kinds) == ["DataSet", "DataSet", "Image", "Model", "Model"]
    # A version that is approved has another action.
    PACKAGES.change(scope, f"{GROUP}/1", ModelApprovalStatus="Approved")
    (action,) = ask("ListActions")["ActionSummaries"]
    assert action["ActionName"] == f"{GROUP}-1-Approved-aws-model-package"


def test_a_query_finds_what_led_to_a_version_and_what_came_of_data(
    scope: Scope, ask: Callable[..., Item]
) -> None:
    prepared(scope)
    trained(scope)
    version = artifact(ask, registered(scope)["ModelPackageArn"])

    def reached(start: str, direction: str, **more: Any) -> list[str]:
        answer = ask("QueryLineage", StartArns=[start], Direction=direction, **more)
        return sorted(vertex["Type"] for vertex in answer["Vertices"])

    data = {"Filters": {"Types": ["DataSet"]}}
    assert reached(version, "Ascendants", **data) == ["DataSet", "DataSet"]
    assert reached(artifact(ask, RAW), "Descendants", Filters={"LineageTypes": ["Context"]}) == ["ModelGroup"]
    assert reached(artifact(ask, RAW), "Descendants", MaxDepth=1) == ["DataSet", "ProcessingJob"]
    assert reached(version, "Ascendants", Filters={"Types": ["DataSet"], "CreatedBefore": 0}) == []
    answer = ask("QueryLineage", StartArns=[version], Direction="Both")
    assert len(answer["Edges"]) == len({(e["SourceArn"], e["DestinationArn"]) for e in answer["Edges"]}) == 10
    # One may begin at the job itself.
    assert "TrainingJob" in reached(scope.arn("training-job", "Train"), "Ascendants")
    with pytest.raises(ApiError, match="no lineage entity"):
        reached(scope.arn("training-job", "other"), "Ascendants")


def test_associations_of_ones_own_are_made_listed_and_deleted(scope: Scope, ask: Callable[..., Item]) -> None:
    trained(scope)
    made = ask("CreateArtifact", ArtifactType="Code", Source={"SourceUri": "git://x"})["ArtifactArn"]
    ends = {"SourceArn": made, "DestinationArn": artifact(ask, MODEL)}
    ask("AddAssociation", **ends, AssociationType="DerivedFrom")
    assert rows(ask, SourceArn=made) == {("Code", "DerivedFrom", "Model")}
    with pytest.raises(ApiError, match="already exists"):
        ask("AddAssociation", **ends)
    with pytest.raises(ApiError, match="has associations"):
        ask("DeleteArtifact", ArtifactArn=made)
    ask("DeleteAssociation", **ends)
    assert rows(ask, SourceArn=made) == set()
    ask("DeleteArtifact", Source={"SourceUri": "git://x"})
    # One that follows from a job is gone as well, and stays so.
    (link,) = ask("ListAssociations", DestinationArn=artifact(ask, MODEL))["AssociationSummaries"]
    ask("DeleteAssociation", SourceArn=link["SourceArn"], DestinationArn=link["DestinationArn"])
    assert rows(ask, DestinationArn=artifact(ask, MODEL)) == set()
    with pytest.raises(ApiError, match="does not exist"):
        ask("AddAssociation", SourceArn=made, DestinationArn=artifact(ask, MODEL))


def test_an_artifact_that_a_job_has_exists_already(scope: Scope, ask: Callable[..., Item]) -> None:
    trained(scope)
    with pytest.raises(ApiError, match="already exists"):
        ask("CreateArtifact", ArtifactType="Model", Source={"SourceUri": MODEL})


def test_logged_metrics_are_summarized_and_given_by_step(scope: Scope, ask: Callable[..., Item]) -> None:
    arn = ask("CreateTrialComponent", TrialComponentName="run")["TrialComponentArn"]
    for step in range(3):
        point = {"MetricName": "loss", "Timestamp": 100.0 + 60 * step, "Step": step, "Value": 3.0 - step}
        metrics.put(scope, {"TrialComponentName": "run", "MetricData": [point]})
    (found,) = ask("DescribeTrialComponent", TrialComponentName="run")["Metrics"]
    assert (found["Avg"], found["Last"], found["SourceArn"]) == (2.0, 1.0, arn)

    def answered(**query: Any) -> tuple[list[int], list[float]]:
        asked = {"MetricName": "loss", "ResourceArn": arn, "MetricStat": "Last", "Period": "IterationNumber"}
        (result,) = metrics.get(scope, {"MetricQueries": [{**asked, **query}]})["MetricQueryResults"]
        return result["XAxisValues"], result["MetricValues"]

    assert answered(XAxisType="IterationNumber", Start=1) == ([1, 2], [2.0, 1.0])
    assert answered(XAxisType="Timestamp", Period="FiveMinute", MetricStat="Max") == ([0], [3.0])
    with pytest.raises(ApiError, match="does not exist"):
        metrics.put(scope, {"TrialComponentName": "other", "MetricData": []})


def test_the_last_of_the_values_of_one_moment_is_the_one_that_came_last() -> None:
    assert summarized("m", [(1.0, 3.0), (2.0, 5.0), (2.0, 4.0)])["Last"] == 4.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_a_summary_is_what_statistics_say(values: list[float]) -> None:
    found = summarized("m", list(enumerate(values)))
    assert found["Avg"] == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert found["StdDev"] == pytest.approx(statistics.stdev(values), abs=1e-6)
    assert (found["Min"], found["Max"], found["Last"]) == (min(values), max(values), values[-1])


def searched(ask: Callable[..., Item], *filters: tuple[str, str, str], **more: Any) -> list[str]:
    conditions = [{"Name": name, "Operator": how, "Value": value} for name, how, value in filters]
    asked = {"Resource": "ExperimentTrialComponent", "SearchExpression": {"Filters": conditions}, **more}
    return [each["TrialComponent"]["TrialComponentName"] for each in ask("Search", **asked)["Results"]]


def test_components_are_found_by_parent_parameter_and_metric(scope: Scope, ask: Callable[..., Item]) -> None:
    config = in_trial(ask, "One")
    trained(scope, "Good", **config)
    poor = [summarized("accuracy", [(1.0, 0.2)])]
    trained(scope, "Poor", HyperParameters={"alpha": "2"}, _MetricSummaries=poor, **config)
    prepared(scope, **config)
    trained(scope, "Other")
    good, bad = "Good-aws-training-job", "Poor-aws-training-job"
    parent = ("Parents.ExperimentName", "Equals", "Reviews")
    assert len(searched(ask, parent)) == 3
    assert searched(ask, parent, ("Parameters.alpha.NumberValue", "GreaterThan", "1")) == [bad]
    assert searched(ask, parent, ("Metrics.accuracy.max", "LessThanOrEqualTo", "0.2")) == [bad]
    by_metric = {"SortBy": "metrics.accuracy.max", "SortOrder": "Descending"}
    assert searched(ask, parent, **by_metric)[:2] == [good, bad]
    assert searched(ask, parent, **{**by_metric, "SortOrder": "Ascending"})[:2] == [bad, good]
    assert searched(ask, ("Parents.TrialName", "NotExists", "")) == ["Other-aws-training-job"]


def test_a_nested_filter_holds_of_one_element(scope: Scope, ask: Callable[..., Item]) -> None:
    trained(scope)
    name = "InputDataConfig"

    def found(channel: str, uri: str) -> int:
        filters = [
            {"Name": f"{name}.ChannelName", "Operator": "Equals", "Value": channel},
            {"Name": f"{name}.DataSource.S3DataSource.S3Uri", "Operator": "Contains", "Value": uri},
        ]
        nested = [{"NestedPropertyName": name, "Filters": filters}]
        return len(
            ask("Search", Resource="TrainingJob", SearchExpression={"NestedFilters": nested})["Results"]
        )

    assert (found("train", "b/train"), found("train", "b/raw"), found("test", "b/train")) == (1, 0, 0)


def test_names_to_search_by_are_suggested(ask: Callable[..., Item]) -> None:
    answer = ask(
        "GetSearchSuggestions",
        Resource="TrainingJob",
        SuggestionQuery={"PropertyNameQuery": {"PropertyNameHint": "trainingjobs"}},
    )
    assert {"PropertyName": "TrainingJobStatus"} in answer["PropertyNameSuggestions"]
