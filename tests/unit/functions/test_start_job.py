"""A job is started once for its task; who started it before, and how it ended, is found out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, RUN, Invoke, TaskFailed, World
from sluice.catalog import keys
from sluice.domain.quotas import QuotaError
from sluice.domain.roles import Role, RolesForbiddenError
from sluice.ports import RequestRefusedError


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World.of_prepared_run(cloud, invoke)


def test_the_prepare_job_reads_the_files_of_the_data_set(world: World) -> None:
    world.start("prepare")
    request = world.cloud.jobs.requests[f"sluice--{RUN}-prepare"]
    inputs = {each["InputName"]: each["S3Input"] for each in request["ProcessingInputs"]}
    version = world.catalog_run()["dataset_version"]
    assert inputs["data"]["S3Uri"].endswith(f"datasets/{PIPELINE}/{version}/files.manifest")
    assert inputs["data"]["S3DataType"] == "ManifestFile"
    assert world.step("prepare")["status"] == "InProgress"


def test_a_training_job_gets_its_candidates_hyperparameters(world: World) -> None:
    world.start("train-1", hyperparameters={"alpha": "0.2"})
    request = world.cloud.jobs.requests[f"sluice--{RUN}-train-1"]
    assert request["HyperParameters"]["alpha"] == "0.2"
    assert request["RoleArn"].startswith(f"{fakes.ROLES_ARN}{RUN}-")


@pytest.mark.parametrize("role", ["candidate", "champion"])
def test_an_evaluation_scores_the_given_model_under_its_role(world: World, role: str) -> None:
    world.start(f"evaluate-{role}", model_uri="s3://b/model.tar.gz")
    request = world.cloud.jobs.requests[f"sluice--{RUN}-evaluate-{role}"]
    inputs = {each["InputName"]: each["S3Input"]["S3Uri"] for each in request["ProcessingInputs"]}
    assert inputs["model"] == "s3://b/model.tar.gz"
    (output,) = request["ProcessingOutputConfig"]["Outputs"]
    assert output["S3Output"]["S3Uri"].endswith(f"{RUN}/evaluate/{role}")


def test_the_token_is_stored_before_the_job_can_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    start = world.cloud.jobs.start

    def ends_at_once(*given: Any) -> bool:
        created = start(*given)
        world.end("prepare")
        return created

    monkeypatch.setattr(world.cloud.jobs, "start", ends_at_once)
    assert world.answer(world.start("prepare"))["status"] == "Completed"
    assert world.step("prepare")["status"] == "Completed"


def test_a_retry_adopts_a_running_job_and_the_new_token_is_answered(world: World) -> None:
    world.start("prepare")
    token = world.start("prepare")
    assert len(world.cloud.jobs.requests) == 1
    world.end("prepare")
    assert world.answer(token)["job_name"] == f"sluice--{RUN}-prepare"
    assert [answered for answered, _ in world.cloud.workflows.answers] == [token]


def test_a_retry_of_a_job_that_has_ended_is_answered_at_once(world: World) -> None:
    world.job("prepare")
    token = world.start("prepare")
    assert world.answer(token)["status"] == "Completed"


def test_a_retry_of_a_job_that_has_failed_fails_at_once(world: World) -> None:
    world.start("prepare")
    world.cloud.jobs.end(f"sluice--{RUN}-prepare", "Failed", FailureReason="no luck")
    with pytest.raises(TaskFailed, match=r"JobFailedError: .*no luck"):
        world.answer(world.start("prepare"))


def test_a_job_that_cannot_be_created_leaves_its_task_to_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.jobs, "start", crash)
        with pytest.raises(RuntimeError):
            world.start("prepare")
    token = world.start("prepare")
    world.end("prepare")
    assert world.answer(token)["status"] == "Completed"


def test_a_job_of_the_same_name_from_before_the_run_is_not_taken_for_its_own(world: World) -> None:
    world.cloud.jobs.created_at -= timedelta(days=90)
    world.cloud.jobs.start("processing_job", {"ProcessingJobName": f"sluice--{RUN}-prepare"})
    with pytest.raises(Exception, match="was created before this run"):
        world.start("prepare")


def test_a_task_that_waits_is_listed_and_expires(world: World) -> None:
    world.start("prepare")
    (task,) = world.cloud.catalog.listing(keys.TASKS)
    assert (task["gsi1sk"], task["kind"], task["step"]) == (
        f"sluice--{RUN}-prepare",
        "processing_job",
        "prepare",
    )
    assert isinstance(task["expires_at"], int)
    world.end("prepare")
    assert world.cloud.catalog.listing(keys.TASKS) == []


def refuse(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """SageMaker refuses every request."""

    def start(*_: Any) -> bool:
        raise RequestRefusedError("Could not assume role")

    monkeypatch.setattr(world.cloud.jobs, "start", start)


def written(role: Role) -> list[str]:
    """The folders of the run that a role may write."""
    (resources,) = (each["Resource"] for each in role.policy["Statement"] if "s3:PutObject" in each["Action"])
    return [resource.partition(f"/{RUN}/")[2] for resource in resources]


def test_each_job_on_sagemaker_has_a_role_that_writes_what_is_its_own(world: World) -> None:
    for step in ("prepare", "train-0", "train-1"):
        world.start(step)
    by_arn = {role.arn: role for role in world.cloud.roles.by_name.values()}
    of = {name: by_arn[request["RoleArn"]] for name, request in world.cloud.jobs.requests.items()}
    assert len(by_arn) == 3
    assert all(role.tags == {"sluice:pipeline": PIPELINE, "sluice:run": RUN} for role in by_arn.values())
    assert written(of[f"sluice--{RUN}-prepare"]) == ["prepare/*"]
    for name in (f"sluice--{RUN}-train-0", f"sluice--{RUN}-train-1"):
        assert written(of[name]) == [f"train/{name}/*", f"train/checkpoints/{name[-7:]}/*"]


def test_candidates_of_a_warm_pool_share_a_role_as_it_takes_no_job_with_another(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html: matching training jobs."""
    kept = PIPELINE_YAML.replace("  candidates:", "  compute: {keep_alive_s: 600}\n  candidates:")
    world = World.of_prepared_run(cloud, invoke, pipeline=kept.encode())
    for step in ("prepare", "train-0", "train-1"):
        world.start(step)
    of = {name: request["RoleArn"] for name, request in world.cloud.jobs.requests.items()}
    assert of[f"sluice--{RUN}-train-0"] == of[f"sluice--{RUN}-train-1"] != of[f"sluice--{RUN}-prepare"]


def test_a_role_that_sagemaker_does_not_know_yet_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IAM tells of a new role late; the state machine asks again."""
    world.cloud.roles.made_at = world.cloud.now.at
    refuse(world, monkeypatch)
    with pytest.raises(Exception, match="Could not assume role") as failure:
        world.start("prepare")
    assert type(failure.value).__name__ == "RoleNotReadyError"
    world.later(minutes=5)
    with pytest.raises(RequestRefusedError):
        world.start("prepare")


def test_an_account_that_forbids_roles_is_told_what_to_allow(world: World) -> None:
    world.cloud.roles.forbidden = True
    with pytest.raises(RolesForbiddenError, match=r"ask for iam:CreateRole.* below /sluice/sluice/"):
        world.start("prepare")
    assert world.cloud.jobs.requests == {}


# ------------------------------------------------------------------------------------------------- quotas

QUOTA = (
    "The account-level service limit 'ml.m5.large for processing job usage' is {} Instances, with current "
)
QUOTA += "utilization of {} Instances and a request delta of 1 Instances."


def use_up(world: World, patched: pytest.MonkeyPatch, limit: int) -> str:
    """SageMaker has no instance left; its words."""
    message = QUOTA.format(limit, limit)

    def refused(*_: object) -> bool:
        raise QuotaError(message)

    patched.setattr(world.cloud.jobs, "start", refused)
    return message


def test_a_quota_that_is_taken_is_shown_at_once_and_the_job_starts_when_it_is_free(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        message = use_up(world, patched, limit=2)
        for _ in range(2):
            with pytest.raises(Exception, match="2 in use, 1 more needed") as raised:
                world.start("prepare")
            assert type(raised.value).__name__ == "QuotaTakenError"
            waits = world.step("prepare")
            assert (waits["status"], waits["waits_for"]) == ("Waiting", str(raised.value))
            assert waits["waits_for"].endswith(message)
    assert world.events().count("prepare waits for a quota") == 1
    world.start("prepare")
    assert world.step("prepare")["status"] == "InProgress"
    assert "waits_for" not in world.step("prepare")
    assert world.events().count("prepare started") == 1


def test_a_quota_of_zero_fails_at_once_and_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    use_up(world, monkeypatch, limit=0)
    with pytest.raises(Exception, match=r"quota 'ml\.m5\.large for processing job usage' is 0") as raised:
        world.start("prepare")
    assert type(raised.value).__name__ == "QuotaTooLowError"
    assert world.step("prepare")["status"] == "Failed"
    assert "Service Quotas" in world.step("prepare")["failure_reason"]


def test_a_request_that_sagemaker_refuses_is_shown_by_its_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.job("prepare")

    def refused(*_: object) -> bool:
        raise RequestRefusedError("ml.m4.large is not available")

    monkeypatch.setattr(world.cloud.jobs, "start", refused)
    with pytest.raises(RequestRefusedError):
        world.start("train-0")
    assert (world.step("train-0")["status"], world.step("train-0")["failure_reason"]) == (
        "Failed",
        "ml.m4.large is not available",
    )


def test_a_step_that_still_waits_when_its_run_ends_waits_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_up(world, monkeypatch, limit=2)
    with pytest.raises(Exception, match="is 2 Instances"):
        world.start("prepare")
    world.finish("failed", error={"Error": "QuotaTakenError", "Cause": "taken"})
    assert world.step("prepare")["status"] == "Stopped"
    assert world.step("prepare")["failure_reason"].startswith("stopped by sluice")
    assert "waits_for" not in world.step("prepare")
