"""Upload and it retrains; approve and it deploys; an alarm, a rejection or a command takes it back."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError

from e2e.loop import Loop, rows
from sluice.services.views import costs, models, stages
from sluice_cli import lookup, starting, waiting
from sluice_cli.target import Target


@pytest.fixture(scope="module")
def serving(stack: Target, tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """A pipeline with two released versions, for tests that leave the second one live."""
    loop = Loop(stack, "serving", tmp_path_factory.mktemp("serving"))
    release_two(loop)
    return loop


def release_two(loop: Loop) -> None:
    """Two versions trained, approved and released; the second is live."""
    loop.push()
    for version in (1, 2):
        run = loop.run_after(f"part-{version}.csv", rows(100, seed=version))
        assert run["status"] == "registered", run
        assert loop.release_after(version)["status"] == "released"
        assert loop.predict() == {"predictions": [0, 1], "model_version": str(version)}


@pytest.mark.long
def test_an_upload_trains_registers_and_an_approval_releases(loop: Loop) -> None:
    loop.push()
    run = loop.run_after("part-1.csv", rows(100, seed=1))
    assert run["status"] == "registered"
    assert {step["step"] for step in run["steps"]} >= {"prepare", "train-0", "train-1", "evaluate-candidate"}
    (model,) = models.models(loop.target.cloud, loop.pipeline)
    assert model["approval_status"] == "PendingManualApproval"
    assert loop.status()["stages"] == []
    assert loop.release_after(1)["status"] == "released"
    assert loop.predict()["model_version"] == "1"
    planned = starting.planned(loop.target, starting.wish(loop.target, loop.pipeline), foresees=True)
    told = {step["step"]: step["outcome"] for step in planned["foreseen"]["steps"]}
    assert "evaluate-champion" in told
    assert set(told.values()) == {"cached"}
    cost = costs.run_cost(loop.target.cloud, run["run_id"])
    assert cost is not None
    assert cost["usd"] > 0
    (stage,) = loop.status()["stages"]
    assert (stage["live_version"], stage["endpoint_status"]) == (1, "InService")
    sagemaker = loop.target.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=loop.endpoint_name)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    served = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    assert "@sha256:" in served["PrimaryContainer"]["Image"], "a tag may mean another image tomorrow"


def test_an_alarm_on_the_live_model_puts_the_last_known_good_back_once(loop: Loop) -> None:
    release_two(loop)
    known = waiting.release_ids(loop.target, loop.pipeline)
    loop.fail_live()
    release = loop.release_end(known)
    loop.control("faults", "DELETE")
    assert (release["status"], release["cause"], release["package_version"]) == ("released", "alarm", 1)
    assert loop.predict()["model_version"] == "1"
    time.sleep(3)
    assert len(waiting.release_ids(loop.target, loop.pipeline) - known) == 1


def test_rejecting_the_live_version_puts_the_one_before_back(loop: Loop) -> None:
    release_two(loop)
    release = loop.release_after(2, "Rejected")
    assert (release["status"], release["cause"]) == ("released", "rejection")
    assert loop.predict()["model_version"] == "1"


def test_the_same_data_again_builds_nothing(loop: Loop) -> None:
    loop.push()
    assert loop.run_after("part-1.csv", rows(100, seed=1))["status"] == "registered"
    before = loop.counts()
    again = loop.run_after("part-1.csv", rows(100, seed=1))
    assert again["status"] == "skipped"
    assert loop.counts() == {**before, "runs": before["runs"] + 1}


@pytest.mark.thorough
def test_a_worse_model_is_not_registered_and_says_why(serving: Loop) -> None:
    run = serving.run_after("part-3.csv", rows(1000, seed=3, noise=0.48))
    assert run["status"] == "rejected"
    assert any("accuracy" in reason for reason in run["reasons"])
    assert len(models.models(serving.target.cloud, serving.pipeline)) == 2


@pytest.mark.thorough
def test_describing_metadata_on_a_live_version_releases_nothing(serving: Loop) -> None:
    known = waiting.release_ids(serving.target, serving.pipeline)
    arn = lookup.model_arn(serving.target, f"{serving.pipeline}/2")
    serving.target.client("sagemaker").update_model_package(
        ModelPackageArn=arn, CustomerMetadataProperties={"reviewed-by": "someone"}
    )
    time.sleep(2)
    assert waiting.release_ids(serving.target, serving.pipeline) == known


@pytest.mark.thorough
def test_an_endpoint_deleted_by_hand_fails_its_release_and_the_next_one_makes_it_again(loop: Loop) -> None:
    release_two(loop)
    sagemaker = loop.target.client("sagemaker")
    loop.run_after("part-3.csv", rows(100, seed=3))
    known = waiting.release_ids(loop.target, loop.pipeline)
    loop.decide(3, "Approved")
    waiting.until(
        lambda: stages.endpoint_status(loop.target.cloud, loop.endpoint_name) == "Updating" or None,
        timeout_s=120,
        what="the update to begin",
        poll_s=0.02,
    )
    sagemaker.delete_endpoint(EndpointName=loop.endpoint_name)
    release = loop.release_end(known)
    assert release["status"] == "failed"
    assert "delete" in " ".join(release["reasons"])
    with pytest.raises(ClientError, match=r"(?i)not f(i|ou)nd"):
        loop.predict()
    loop.run_after("part-4.csv", rows(100, seed=4))
    assert loop.release_after(4)["status"] == "released"
    assert loop.predict()["model_version"] == "4"
