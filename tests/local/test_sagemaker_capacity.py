"""Spot instances, warm pools and networks: what is billed, interrupted, kept and reached."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.jobs import Jobs, archive, channel, needs_namespaces, until
from sluice_local import control
from sluice_local.cloud import LocalCloud

SPOT: dict[str, Any] = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
}


@pytest.fixture
def jobs(cloud: LocalCloud, unique: Callable[[str], str]) -> Jobs:
    bucket = unique("capacity")
    cloud.client("s3").create_bucket(Bucket=bucket)
    return Jobs(cloud, bucket, unique)


def resources(**given: Any) -> dict[str, Any]:
    return {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5, **given}


def test_spot_instances_are_billed_for_less_than_they_train(jobs: Jobs) -> None:
    job = jobs.train("import time; time.sleep(3)", **SPOT)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["EnableManagedSpotTraining"] is True
    assert 1 <= job["BillableTimeInSeconds"] < job["TrainingTimeInSeconds"]
    on_demand = jobs.train("print(1)")
    assert on_demand["BillableTimeInSeconds"] == on_demand["TrainingTimeInSeconds"]


def test_an_interrupted_job_goes_on_from_its_checkpoints_on_other_instances(jobs: Jobs) -> None:
    name = jobs.start_training(
        """
        import os, pathlib, time
        folder = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints"
        found = sorted(path.name for path in folder.iterdir())
        print("found", found, flush=True)
        (folder / "epoch-1").write_text("one")
        time.sleep(0 if found else 600)
        """,
        CheckpointConfig={"S3Uri": jobs.uri("checkpoints")},
        **SPOT,
    )
    until(lambda: jobs.keys("checkpoints/"))
    control.ask(jobs.cloud.endpoint_url, "interruptions", "POST", {"job": name})
    job = jobs.ended_training(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    steps = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert steps == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    logs = jobs.cloud.client("logs")
    streams = {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamNamePrefix": f"{name}/"}
    said = [event["message"] for event in logs.filter_log_events(**streams)["events"]]
    assert [line for line in said if line.startswith("found")] == ["found []", "found ['epoch-1']"]
    assert job["TrainingTimeInSeconds"] < 600


def test_an_interrupted_job_can_be_stopped(jobs: Jobs) -> None:
    name = jobs.start_training("import time; print(1, flush=True); time.sleep(600)", **SPOT)
    until(lambda: jobs.log("TrainingJobs", name))
    control.ask(jobs.cloud.endpoint_url, "interruptions", "POST", {"job": name})
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.ended_training(name)["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({**SPOT, "StoppingCondition": {"MaxRuntimeInSeconds": 60}}, "Invalid MaxWaitTimeInSeconds"),
        (
            {**SPOT, "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}},
            "greater than or equal to MaxRuntimeInSeconds",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}},
            "EnableManagedSpotTraining",
        ),
        ({**SPOT, "ResourceConfig": resources(KeepAlivePeriodInSeconds=60)}, "managed spot"),
        ({"ResourceConfig": resources(KeepAlivePeriodInSeconds=21601)}, "less than or equal to 21600"),
    ],
)
def test_times_that_do_not_suit_the_instances_are_refused(
    jobs: Jobs, request_: dict[str, Any], words: str
) -> None:
    with pytest.raises(ClientError, match=words):
        jobs.start_training("print(1)", **request_)


def test_a_warm_pool_is_used_by_the_next_job_that_matches(jobs: Jobs) -> None:
    kept = {"ResourceConfig": resources(KeepAlivePeriodInSeconds=600, VolumeSizeInGB=6)}
    first = jobs.train("print(1)", **kept)
    assert first["WarmPoolStatus"]["Status"] == "Available"
    other = jobs.train("print(1)", ResourceConfig=resources(KeepAlivePeriodInSeconds=600, VolumeSizeInGB=7))
    assert other["WarmPoolStatus"]["Status"] == "Available"
    second = jobs.train("print(1)", **kept)
    described = jobs.sagemaker.describe_training_job(TrainingJobName=first["TrainingJobName"])
    pool = described["WarmPoolStatus"]
    assert (pool["Status"], pool["ReusedByJob"]) == ("Reused", second["TrainingJobName"])
    assert pool["ResourceRetainedBillableTimeInSeconds"] < 600


def test_a_warm_pool_that_nobody_uses_in_time_is_terminated(jobs: Jobs) -> None:
    kept = {"ResourceConfig": resources(KeepAlivePeriodInSeconds=1, VolumeSizeInGB=8)}
    first = jobs.train("print(1)", **kept)
    time.sleep(1.2)
    described = jobs.sagemaker.describe_training_job(TrainingJobName=first["TrainingJobName"])
    assert described["WarmPoolStatus"] == {
        "Status": "Terminated",
        "ResourceRetainedBillableTimeInSeconds": 1,
    }
    jobs.train("print(1)", **kept)
    again = jobs.sagemaker.describe_training_job(TrainingJobName=first["TrainingJobName"])
    assert again["WarmPoolStatus"]["Status"] == "Terminated"


def test_a_job_on_demand_cannot_be_interrupted(jobs: Jobs) -> None:
    import urllib.error

    name = jobs.train("print(1)")["TrainingJobName"]
    with pytest.raises(urllib.error.HTTPError):
        control.ask(jobs.cloud.endpoint_url, "interruptions", "POST", {"job": name})


REACHES = """
import os, socket, urllib.parse
to = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
try:
    socket.create_connection((to.hostname, to.port), 5).close()
    print("reached", flush=True)
except OSError as error:
    print("no network", flush=True)
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname(), 5).close()
"""


@needs_namespaces
@pytest.mark.parametrize(("isolated", "said"), [(True, "no network"), (False, "reached")])
def test_an_isolated_container_has_no_network_but_itself(jobs: Jobs, isolated: bool, said: str) -> None:
    job = jobs.process(REACHES, NetworkConfig={"EnableNetworkIsolation": isolated})
    assert job["ProcessingJobStatus"] == "Completed", job
    assert jobs.log("ProcessingJobs", job["ProcessingJobName"]) == [said]


@needs_namespaces
def test_an_isolated_training_job_gets_its_code_in_a_channel(jobs: Jobs) -> None:
    code = jobs.put("code/isolated/sourcedir.tar.gz", archive({"train.py": REACHES}))
    name = jobs.unique("train")
    jobs.sagemaker.create_training_job(
        TrainingJobName=name,
        **jobs.training_request(
            EnableNetworkIsolation=True,
            HyperParameters={
                "sagemaker_program": '"train.py"',
                "sagemaker_submit_directory": '"/opt/ml/input/data/code/sourcedir.tar.gz"',
            },
            InputDataConfig=[channel("code", code)],
        ),
    )
    job = jobs.ended_training(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert jobs.log("TrainingJobs", name) == ["no network"]
