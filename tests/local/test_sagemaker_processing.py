"""Processing jobs run the user's entry point as SageMaker's processing containers do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.jobs import IMAGE, ROLE, Jobs, needs_namespaces, processing_input, processing_outputs, until
from sluice_local.cloud import LocalCloud

LOG_GROUP = "ProcessingJobs"
pytestmark = needs_namespaces


@pytest.fixture
def jobs(cloud: LocalCloud, unique: Callable[[str], str]) -> Jobs:
    bucket = unique("processing")
    cloud.client("s3").create_bucket(Bucket=bucket)
    return Jobs(cloud, bucket, unique)


def test_a_script_reads_its_input_and_what_it_writes_is_uploaded(jobs: Jobs) -> None:
    jobs.put("raw/2024/a.csv", "1\n2\n3\n")
    job = jobs.process(
        """
        import pathlib, sys
        rows = pathlib.Path("/opt/ml/processing/input/data/2024/a.csv").read_text().split()
        for name, part in (("train", rows[:2]), ("test", rows[2:])):
            (pathlib.Path("/opt/ml/processing/output") / name / "deep").mkdir()
            (pathlib.Path("/opt/ml/processing/output") / name / "deep/rows.csv").write_text("\\n".join(part))
        print(sys.argv[1:])
        """,
        AppSpecification={"ContainerArguments": ["--split", "0.8"]},
        ProcessingInputs=[processing_input("data", jobs.uri("raw/"), "/opt/ml/processing/input/data")],
        ProcessingOutputConfig=processing_outputs(
            ("train", "/opt/ml/processing/output/train", jobs.uri("out/train")),
            ("test", "/opt/ml/processing/output/test", jobs.uri("out/test/")),
        ),
    )
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert jobs.get("out/train/deep/rows.csv") == b"1\n2"
    assert jobs.get("out/test/deep/rows.csv") == b"3"
    assert jobs.log(LOG_GROUP, job["ProcessingJobName"]) == ["['--split', '0.8']"]


def test_a_single_object_keeps_its_name(jobs: Jobs) -> None:
    uri = jobs.put("models/run/model.tar.gz", b"model")
    job = jobs.process(
        "print(open('/opt/ml/processing/model/model.tar.gz').read())",
        ProcessingInputs=[processing_input("model", uri, "/opt/ml/processing/model")],
    )
    assert jobs.log(LOG_GROUP, job["ProcessingJobName"]) == ["model"]


def test_the_container_finds_its_configuration_files(jobs: Jobs) -> None:
    job = jobs.process(
        """
        import json, os
        for name in ("processingjobconfig", "resourceconfig"):
            print(json.dumps(json.load(open(f"/opt/ml/config/{name}.json"))))
        print(os.environ["STAGE"])
        """,
        Environment={"STAGE": "test"},
    )
    config, resources, stage = jobs.log(LOG_GROUP, job["ProcessingJobName"])
    assert json.loads(config)["ProcessingJobArn"] == job["ProcessingJobArn"]
    assert json.loads(config)["AppSpecification"] == job["AppSpecification"]
    assert json.loads(resources) == {"current_host": "algo-1", "hosts": ["algo-1"]}
    assert stage == "test"


def test_a_failing_script_fails_the_job_with_its_message(jobs: Jobs) -> None:
    job = jobs.process(
        """
        import pathlib, sys
        pathlib.Path("/opt/ml/output/message").write_text("column review is empty" + "." * 2000)
        pathlib.Path("/opt/ml/processing/output/half").write_text("x")
        sys.exit(3)
        """,
        ProcessingOutputConfig=processing_outputs(("out", "/opt/ml/processing/output", jobs.uri("out"))),
    )
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["ExitMessage"].startswith("column review is empty...")
    assert len(job["ExitMessage"]) == 1024
    assert job["FailureReason"].startswith("AlgorithmError: column review is empty")
    assert jobs.keys("out") == []


def test_a_failing_script_without_a_message_gives_its_exit_code(jobs: Jobs) -> None:
    job = jobs.process("raise ValueError('boom')")
    assert job["FailureReason"] == "AlgorithmError: , exit code: 1"
    assert "ExitMessage" not in job
    assert jobs.log(LOG_GROUP, job["ProcessingJobName"])[-1] == "ValueError: boom"


def test_a_continuous_output_is_uploaded_while_it_is_written(jobs: Jobs) -> None:
    name = jobs.start_processing(
        """
        import pathlib, time
        pathlib.Path("/opt/ml/processing/output/early").write_text("now")
        time.sleep(600)
        """,
        ProcessingOutputConfig=processing_outputs(
            ("out", "/opt/ml/processing/output", jobs.uri("live")), mode="Continuous"
        ),
    )
    until(lambda: jobs.keys("live"))
    assert jobs.get("live/early") == b"now"
    described = jobs.sagemaker.describe_processing_job(ProcessingJobName=name)
    assert described["ProcessingJobStatus"] == "InProgress"
    jobs.sagemaker.stop_processing_job(ProcessingJobName=name)
    assert jobs.ended_processing(name)["ProcessingJobStatus"] == "Stopped"


def test_symbolic_links_are_not_uploaded(jobs: Jobs) -> None:
    jobs.process(
        """
        import os, pathlib
        pathlib.Path("/opt/ml/processing/output/file").write_text("x")
        os.symlink("/etc/hostname", "/opt/ml/processing/output/link")
        os.symlink("/etc", "/opt/ml/processing/output/folder")
        """,
        ProcessingOutputConfig=processing_outputs(("out", "/opt/ml/processing/output", jobs.uri("out"))),
    )
    assert jobs.keys("out") == ["out/file"]


def test_sharded_inputs_are_split_over_the_instances(jobs: Jobs) -> None:
    for name in "abc":
        jobs.put(f"raw/{name}", name)
    job = jobs.process(
        """
        import json, os, pathlib
        host = json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"]
        names = sorted(os.listdir("/opt/ml/processing/data"))
        pathlib.Path(f"/opt/ml/processing/output/{host}").write_text(" ".join(names))
        """,
        ClusterConfig={"InstanceCount": 2},
        ProcessingInputs=[
            processing_input(
                "data",
                jobs.uri("raw/"),
                "/opt/ml/processing/data",
                S3DataDistributionType="ShardedByS3Key",
            )
        ],
        ProcessingOutputConfig=processing_outputs(("out", "/opt/ml/processing/output", jobs.uri("out"))),
    )
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert [jobs.get(f"out/algo-{number}") for number in (1, 2)] == [b"a c", b"b"]


def test_a_manifest_names_the_objects_of_an_input(jobs: Jobs) -> None:
    for name in ("a.csv", "b.csv"):
        jobs.put(f"raw/{name}", name)
    manifest = jobs.put("files.manifest", json.dumps([{"prefix": jobs.uri("raw/")}, "b.csv"]))
    job = jobs.process(
        "import os; print(os.listdir('/opt/ml/processing/data'))",
        ProcessingInputs=[
            processing_input("data", manifest, "/opt/ml/processing/data", S3DataType="ManifestFile")
        ],
    )
    assert jobs.log(LOG_GROUP, job["ProcessingJobName"]) == ["['b.csv']"], job.get("FailureReason")


def test_a_manifest_that_names_no_objects_fails_the_job(jobs: Jobs) -> None:
    manifest = jobs.put("files.manifest", json.dumps({"files": ["b.csv"]}))
    job = jobs.process(
        "",
        ProcessingInputs=[
            processing_input("data", manifest, "/opt/ml/processing/data", S3DataType="ManifestFile")
        ],
    )
    assert "is not a list of a prefix and relative paths" in job["FailureReason"]


def test_an_entry_point_that_is_not_there_fails_the_job(jobs: Jobs) -> None:
    job = jobs.process("", AppSpecification={"ContainerEntrypoint": ["no-such-program"]})
    assert job["FailureReason"] == "AlgorithmError: , exit code: 127"


def test_a_shell_command_is_an_entry_point_too(jobs: Jobs) -> None:
    job = jobs.process(
        "print('from the script')",
        AppSpecification={
            "ContainerEntrypoint": ["/bin/sh", "-c"],
            "ContainerArguments": ["cd /opt/ml/processing/input/code && python3 script.py"],
        },
    )
    assert jobs.log(LOG_GROUP, job["ProcessingJobName"]) == ["from the script"]


@pytest.mark.parametrize("python", ["python", "/usr/bin/python3", "/miniconda3/bin/python3.10"])
def test_whatever_python_an_entry_point_names_is_the_image_s(jobs: Jobs, python: str) -> None:
    script = "/opt/ml/processing/input/code/script.py"
    job = jobs.process(
        "import sklearn; print(sklearn.__version__)",
        AppSpecification={"ContainerEntrypoint": [python, script]},
    )
    assert jobs.log(LOG_GROUP, job["ProcessingJobName"]) == ["1.4.2"]


def test_processes_left_behind_end_with_the_container(jobs: Jobs) -> None:
    job = jobs.process(
        """
        import subprocess
        child = subprocess.Popen(["sleep", "300"], start_new_session=True)
        print(child.pid)
        """
    )
    [pid] = jobs.log(LOG_GROUP, job["ProcessingJobName"])
    assert job["ProcessingJobStatus"] == "Completed"
    until(lambda: not _runs(int(pid)))


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_job_may_not_take_longer_than_its_stopping_condition(jobs: Jobs) -> None:
    job = jobs.process("import time; time.sleep(60)", StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert job["ProcessingJobStatus"] == "Stopped"


def test_a_description_repeats_the_request(jobs: Jobs) -> None:
    request: dict[str, Any] = {
        "ProcessingJobName": jobs.unique("process"),
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["true"]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
        },
        "RoleArn": ROLE,
        "Environment": {"A": "b"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "NetworkConfig": {"EnableNetworkIsolation": False},
        "ExperimentConfig": {"ExperimentName": "e"},
    }
    jobs.sagemaker.create_processing_job(**request)
    job = jobs.ended_processing(request["ProcessingJobName"])
    assert job["ProcessingJobStatus"] == "Completed"
    assert {name: job[name] for name in request} == request
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]


def test_a_job_s_events_spell_values_in_their_own_way(jobs: Jobs) -> None:
    queue = jobs.subscribe(
        {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Processing Job State Change"]}
    )
    job = jobs.process(
        "",
        ProcessingOutputConfig=processing_outputs(("out", "/opt/ml/processing/output", jobs.uri("out"))),
        Tags=[{"Key": "run", "Value": "7"}],
    )
    events = jobs.events(
        queue,
        job["ProcessingJobArn"],
        lambda event: bool(event["detail"]["ProcessingJobStatus"] == "Completed"),
    )
    assert events[0]["detail"]["ProcessingJobStatus"] == "InProgress"
    detail = events[-1]["detail"]
    [code] = detail["ProcessingInputs"]
    assert code["S3Input"]["S3DataType"] == "S3_PREFIX"
    assert code["S3Input"]["S3InputMode"] == "FILE"
    assert code["S3Input"]["S3DataDistributionType"] == "FULLYREPLICATED"
    [output] = detail["ProcessingOutputConfig"]["Outputs"]
    assert output["S3Output"]["S3UploadMode"] == "END_OF_JOB"
    assert detail["ProcessingEndTime"] == round(job["ProcessingEndTime"].timestamp() * 1000)
    assert detail["Tags"] == {"run": "7"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ProcessingInputs": [processing_input("x", "s3://b/x", "/elsewhere")]}, "LocalPath"),
        (
            {"ProcessingInputs": [processing_input("x", "s3://b/x", "/opt/ml/processing/../../..")]},
            "LocalPath",
        ),
        (
            {
                "ProcessingInputs": [
                    processing_input("x", "s3://b/x", "/opt/ml/processing/x", S3InputMode="Pipe")
                ]
            },
            "S3InputMode",
        ),
        ({"ProcessingInputs": [processing_input("code", "s3://b/x", "/opt/ml/processing/x")]}, "unique"),
    ],
)
def test_what_cannot_run_is_refused_at_once(jobs: Jobs, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words) as error:
        jobs.start_processing("", **change)
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_jobs_are_listed_newest_first(jobs: Jobs) -> None:
    names = [jobs.process("")["ProcessingJobName"] for _ in range(2)]
    listed = jobs.sagemaker.list_processing_jobs(NameContains="process")["ProcessingJobSummaries"]
    assert [job["ProcessingJobName"] for job in listed[:2]] == names[::-1]
