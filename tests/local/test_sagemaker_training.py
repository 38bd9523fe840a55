"""Training jobs run the user's script as SageMaker's training containers do."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.jobs import IMAGE, Jobs, archive, channel, members, needs_namespaces
from sluice.containers.configuration import OUT_OF_MEMORY
from sluice.domain.roles import Account, step_role
from sluice_local.cloud import LocalCloud
from sluice_local.sagemaker.containers.container import Isolation, isolation

LOG_GROUP = "TrainingJobs"


@pytest.fixture
def jobs(cloud: LocalCloud, unique: Callable[[str], str]) -> Jobs:
    bucket = unique("training")
    cloud.client("s3").create_bucket(Bucket=bucket)
    return Jobs(cloud, bucket, unique)


@needs_namespaces
def test_a_script_with_hard_coded_paths_reads_its_channel_and_its_model_is_archived(jobs: Jobs) -> None:
    job = jobs.train(
        """
        import pathlib
        text = pathlib.Path("/opt/ml/input/data/train/part/a.csv").read_text()
        pathlib.Path("/opt/ml/model/model.txt").write_text(text.upper())
        pathlib.Path("/opt/ml/output/data/report.txt").write_text("fine")
        """,
        InputDataConfig=[channel("train", _data(jobs, {"part/a.csv": "abc"}))],
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    output = f"models/{job['TrainingJobName']}/output"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == jobs.uri(f"{output}/model.tar.gz")
    assert members(jobs.get(f"{output}/model.tar.gz")) == {"model.txt": b"ABC"}
    assert members(jobs.get(f"{output}/output.tar.gz")) == {"report.txt": b"fine"}


def test_script_mode_gives_the_script_its_variables_and_arguments(jobs: Jobs) -> None:
    job = jobs.train(
        """
        import json, os, sys
        print(json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}))
        """,
        HyperParameters={"epochs": "3", "learning-rate": '"0.1"', "sagemaker_region": '"us-east-1"'},
        InputDataConfig=[channel("train", _data(jobs, {"a": "1"}))],
        Environment={"MY_SETTING": "7"},
    )
    seen = json.loads(jobs.log(LOG_GROUP, job["TrainingJobName"])[0])
    variables = seen["env"]
    assert seen["argv"] == ["--epochs", "3", "--learning-rate", "0.1"]
    assert variables["SM_USER_ARGS"] == '["--epochs","3","--learning-rate","0.1"]'
    assert variables["SM_CHANNELS"] == '["train"]'
    assert variables["SM_HP_EPOCHS"] == "3"
    assert variables["SM_HOSTS"] == '["algo-1"]'
    assert variables["MY_SETTING"] == "7"
    assert variables["TRAINING_JOB_NAME"] == job["TrainingJobName"]
    training_environment = json.loads(variables["SM_TRAINING_ENV"])
    assert training_environment["hyperparameters"] == {"epochs": 3, "learning-rate": "0.1"}
    if isolation() is not Isolation.NONE:
        assert seen["cwd"] == "/opt/ml/code"
        assert variables["SM_CHANNEL_TRAIN"] == "/opt/ml/input/data/train"
        assert variables["SM_MODEL_DIR"] == "/opt/ml/model"


def test_nothing_of_the_machine_s_environment_reaches_the_script(jobs: Jobs) -> None:
    job = jobs.train("import os; print(sorted(os.environ)); print(os.environ['HOME'])")
    names, home = jobs.log(LOG_GROUP, job["TrainingJobName"])
    assert "PYTEST_CURRENT_TEST" not in names
    assert "GATEWAY_PORT" not in names
    assert job["TrainingJobName"] in home


def test_the_script_s_aws_clients_reach_the_local_cloud(jobs: Jobs) -> None:
    job = jobs.train(
        f"""
        import boto3
        boto3.client("s3").put_object(Bucket="{jobs.bucket}", Key="from-the-script", Body=b"hello")
        """
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert jobs.get("from-the-script") == b"hello"


def test_the_container_finds_its_configuration_files(jobs: Jobs) -> None:
    job = jobs.train(
        """
        import json, os
        folder = os.environ["SM_INPUT_CONFIG_DIR"]
        for name in ("hyperparameters", "inputdataconfig", "resourceconfig"):
            print(json.dumps(json.load(open(f"{folder}/{name}.json"))))
        """,
        HyperParameters={"epochs": "3"},
        InputDataConfig=[{**channel("train", _data(jobs, {"a": "1"})), "ContentType": "text/csv"}],
    )
    hyperparameters, channels, resources = map(json.loads, jobs.log(LOG_GROUP, job["TrainingJobName"]))
    assert hyperparameters["epochs"] == "3"
    assert channels == {
        "train": {
            "ContentType": "text/csv",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }
    assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])


@needs_namespaces
def test_jobs_that_run_at_once_have_each_their_own_opt_ml(jobs: Jobs) -> None:
    script = """
        import pathlib, sys, time
        marks = pathlib.Path("/opt/ml/model")
        (marks / sys.argv[2]).touch()
        print("marked", flush=True)
        time.sleep(1.5)
        print(sorted(path.name for path in marks.iterdir()), flush=True)
        """
    names = [jobs.start_training(script, HyperParameters={"mark": f'"{mark}"'}) for mark in "ab"]
    for name in names:  # both are in the middle of their work
        jobs.wait_for_line(LOG_GROUP, name, "marked")
    for name, mark in zip(names, "ab", strict=True):
        assert jobs.ended_training(name)["TrainingJobStatus"] == "Completed"
        assert jobs.log(LOG_GROUP, name) == ["marked", f"['{mark}']"]


def test_a_failing_script_s_traceback_is_the_failure_reason(jobs: Jobs) -> None:
    job = jobs.train(
        """
        def fit():
            raise ValueError("no rows")
        fit()
        """
    )
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    reason = job["FailureReason"]
    assert reason.startswith('AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback')
    assert "ValueError: no rows" in reason
    assert reason.endswith('Command "python train.py", exit code: 1')
    assert "ModelArtifacts" not in job


def test_a_script_that_holds_more_than_its_instance_has_is_ended(jobs: Jobs) -> None:
    # What a child in a session of its own holds counts too.
    script = """
        import subprocess, sys
        code = "import time; held = [b'x' * (256 << 20) for _ in range(40)]; time.sleep(60)"
        subprocess.run([sys.executable, "-c", code], start_new_session=True)
        print("it goes on", flush=True)
    """
    resources = {"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 5}
    job = jobs.train(textwrap.dedent(script), ResourceConfig=resources)
    assert (job["TrainingJobStatus"], job["FailureReason"]) == ("Failed", OUT_OF_MEMORY)
    assert "it goes on" not in jobs.log(LOG_GROUP, job["TrainingJobName"])


def test_the_failure_file_is_the_failure_reason(jobs: Jobs) -> None:
    job = jobs.train(
        """
        import os, pathlib, sys
        pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("the label is missing" + "." * 2000)
        sys.exit(3)
        """
    )
    assert job["FailureReason"].startswith("AlgorithmError: the label is missing...")
    assert len(job["FailureReason"]) == 1024


def test_metrics_are_read_from_the_log_and_the_last_value_is_final(jobs: Jobs) -> None:
    job = jobs.train(
        """
        print("epoch 1 validation accuracy: 0.5;")
        print("epoch 2 validation accuracy: 0.75;")
        """,
        AlgorithmSpecification={
            "MetricDefinitions": [
                {"Name": "validation:accuracy", "Regex": "validation accuracy: ([0-9.]+);"},
                {"Name": "never", "Regex": "never: ([0-9.]+)"},
            ]
        },
    )
    final = job["FinalMetricDataList"]
    assert [(metric["MetricName"], metric["Value"]) for metric in final] == [("validation:accuracy", 0.75)]
    found = jobs.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="validation:accuracy",
        Dimensions=[{"Name": "TrainingJobName", "Value": job["TrainingJobName"]}],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 60,
        Period=3600,
        Statistics=["SampleCount", "Maximum"],
    )["Datapoints"]
    assert sum(point["SampleCount"] for point in found) == 2
    assert max(point["Maximum"] for point in found) == 0.75


def test_sharded_channels_are_split_over_the_instances_and_their_models_are_one(jobs: Jobs) -> None:
    job = jobs.train(
        """
        import json, os, pathlib
        host = os.environ["SM_CURRENT_HOST"]
        for channel in ("SHARDED", "WHOLE"):
            print(sorted(os.listdir(os.environ[f"SM_CHANNEL_{channel}"])))
        pathlib.Path(os.environ["SM_MODEL_DIR"], host).write_text(os.environ["SM_HOSTS"])
        """,
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 5},
        InputDataConfig=[
            channel(
                "sharded", _data(jobs, dict.fromkeys("abc", "x")), S3DataDistributionType="ShardedByS3Key"
            ),
            channel("whole", _data(jobs, dict.fromkeys("abc", "x"))),
        ],
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    name = job["TrainingJobName"]
    assert jobs.log(LOG_GROUP, name, "algo-1") == ["['a', 'c']", "['a', 'b', 'c']"]
    assert jobs.log(LOG_GROUP, name, "algo-2") == ["['b']", "['a', 'b', 'c']"]
    hosts = b'["algo-1","algo-2"]'
    assert members(jobs.get(f"models/{name}/output/model.tar.gz")) == {"algo-1": hosts, "algo-2": hosts}


def test_one_failing_instance_fails_the_job_and_ends_the_others(jobs: Jobs) -> None:
    job = jobs.train(
        """
        import os, time
        if os.environ["SM_CURRENT_HOST"] == "algo-2":
            raise RuntimeError("lost a node")
        time.sleep(600)
        """,
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 5},
    )
    assert job["TrainingJobStatus"] == "Failed"
    assert "lost a node" in job["FailureReason"]


def test_a_manifest_names_the_objects_of_a_channel(jobs: Jobs) -> None:
    data = _data(jobs, {"2024/a.csv": "1", "2024/b.csv": "2", "2025/c.csv": "3"})
    manifest = jobs.put("train.manifest", json.dumps([{"prefix": data}, "2024/b.csv", "2025/c.csv"]))
    job = jobs.train(
        """
        import os, pathlib
        folder = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
        print(sorted(str(path.relative_to(folder)) for path in folder.rglob("*.csv")))
        """,
        InputDataConfig=[channel("train", manifest, S3DataType="ManifestFile")],
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert jobs.log(LOG_GROUP, job["TrainingJobName"]) == ["['2024/b.csv', '2025/c.csv']"]


def test_a_manifest_cannot_name_a_path_out_of_its_channel(jobs: Jobs) -> None:
    manifest = jobs.put("train.manifest", json.dumps([{"prefix": jobs.uri("x/")}, "../../../../etc/cron"]))
    jobs.put("x/../../../../etc/cron", "boo")
    job = jobs.train("", InputDataConfig=[channel("train", manifest, S3DataType="ManifestFile")])
    assert job["TrainingJobStatus"] == "Failed"
    assert "would leave its folder" in job["FailureReason"]


@pytest.mark.parametrize("uri", ["s3://{bucket}/nothing/here", "s3://no-such-bucket-anywhere/x"])
def test_a_channel_without_objects_fails_the_job(jobs: Jobs, uri: str) -> None:
    job = jobs.train("", InputDataConfig=[channel("train", uri.format(bucket=jobs.bucket))])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Data download failed:")


def test_a_job_that_is_stopped_may_save_its_model(jobs: Jobs) -> None:
    name = jobs.start_training(
        """
        import os, pathlib, signal, sys, time
        def save(*_):
            pathlib.Path(os.environ["SM_MODEL_DIR"], "saved").write_text("in time")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        print("training", flush=True)
        time.sleep(600)
        """
    )
    jobs.wait_for_line(LOG_GROUP, name, "training")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    job = jobs.ended_training(name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert members(jobs.get(f"models/{name}/output/model.tar.gz")) == {"saved": b"in time"}
    with pytest.raises(ClientError, match="is in status Stopped"):
        jobs.sagemaker.stop_training_job(TrainingJobName=name)


def test_a_job_may_not_take_longer_than_its_stopping_condition(jobs: Jobs) -> None:
    job = jobs.train("import time; time.sleep(60)", StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_at_most_two_jobs_run_and_a_queued_one_can_be_stopped(jobs: Jobs) -> None:
    script = "import time; print('training', flush=True); time.sleep(600)"
    running = [jobs.start_training(script) for _ in range(2)]
    for name in running:
        jobs.wait_for_line(LOG_GROUP, name, "training")
    queued = jobs.start_training(script)
    assert jobs.sagemaker.describe_training_job(TrainingJobName=queued)["SecondaryStatus"] == "Starting"
    for name in [queued, *running]:
        jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert {jobs.ended_training(name)["TrainingJobStatus"] for name in [queued, *running]} == {"Stopped"}
    assert jobs.log(LOG_GROUP, queued) == []


def test_the_steps_of_a_job_are_described_in_order(jobs: Jobs) -> None:
    job = jobs.train("")
    transitions = job["SecondaryStatusTransitions"]
    assert [transition["Status"] for transition in transitions] == [
        *("Starting", "Downloading", "Training", "Uploading", "Completed")
    ]
    assert all(transition["EndTime"] >= transition["StartTime"] for transition in transitions)
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["BillableTimeInSeconds"] >= 1
    assert job["OutputDataConfig"]["KmsKeyId"] == ""


def test_every_change_of_a_job_s_status_is_an_event(jobs: Jobs) -> None:
    queue = jobs.subscribe({"source": ["aws.sagemaker"]})
    job = jobs.train("", Tags=[{"Key": "run", "Value": "7"}], HyperParameters={"epochs": "3"})
    events = jobs.events(queue, job["TrainingJobArn"], lambda event: _status(event) == "Completed")
    assert {event["detail-type"] for event in events} == {"SageMaker Training Job State Change"}
    assert [event["detail"]["SecondaryStatus"] for event in events] == [
        *("Starting", "Downloading", "Training", "Uploading", "Completed")
    ]
    detail = events[-1]["detail"]
    assert events[-1]["resources"] == [job["TrainingJobArn"]]
    assert detail["TrainingJobName"] == job["TrainingJobName"]
    assert detail["Tags"] == {"run": "7"}
    assert detail["HyperParameters"]["epochs"] == "3"
    assert detail["TrainingEndTime"] == round(job["TrainingEndTime"].timestamp() * 1000)
    assert isinstance(detail["CreationTime"], int)


def test_a_failure_s_event_has_the_reason(jobs: Jobs) -> None:
    pattern = {"source": ["aws.sagemaker"], "detail": {"TrainingJobStatus": ["Failed"]}}
    queue = jobs.subscribe(pattern)
    job = jobs.train("raise ValueError('no rows')")
    [event] = jobs.events(queue, job["TrainingJobArn"], lambda event: True)
    assert event["detail"]["FailureReason"] == job["FailureReason"]


def test_checkpoints_are_restored_and_saved(jobs: Jobs) -> None:
    jobs.put("checkpoints/epoch-1", "one")
    job = jobs.train(
        """
        import os, pathlib
        folder = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints"
        print(sorted(path.name for path in folder.iterdir()))
        (folder / "epoch-2").write_text("two")
        """,
        CheckpointConfig={"S3Uri": jobs.uri("checkpoints/")},
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert jobs.log(LOG_GROUP, job["TrainingJobName"]) == ["['epoch-1']"]
    assert jobs.get("checkpoints/epoch-2") == b"two"


def test_a_gzipped_channel_arrives_decompressed(jobs: Jobs) -> None:
    import gzip

    jobs.put("zipped/a.csv.gz", gzip.compress(b"1,2"))
    job = jobs.train(
        "import os; print(open(os.environ['SM_CHANNEL_TRAIN'] + '/a.csv').read())",
        InputDataConfig=[{**channel("train", jobs.uri("zipped/")), "CompressionType": "Gzip"}],
    )
    assert jobs.log(LOG_GROUP, job["TrainingJobName"]) == ["1,2"]


def test_the_same_model_gives_the_same_archive(jobs: Jobs) -> None:
    script = """
        import os, pathlib
        for name in ("b", "a"):
            pathlib.Path(os.environ["SM_MODEL_DIR"], name).write_text(name)
        """
    first, second = (jobs.train(script)["TrainingJobName"] for _ in range(2))
    archives = [jobs.get(f"models/{name}/output/model.tar.gz") for name in (first, second)]
    assert archives[0] == archives[1]


def test_the_image_s_packages_are_the_script_s(jobs: Jobs) -> None:
    job = jobs.train("import sklearn, numpy; print(sklearn.__version__, numpy.__version__)")
    assert jobs.log(LOG_GROUP, job["TrainingJobName"]) == ["1.4.2 2.1.0"]


def test_requirements_are_installed_for_the_job_that_brings_them(jobs: Jobs) -> None:
    script = "import importlib.util; print(importlib.util.find_spec('toolz') is not None)"
    with_it = jobs.train(script, {"requirements.txt": "toolz==1.0.0\n"})
    without = jobs.train(script)
    assert with_it["TrainingJobStatus"] == "Completed", with_it.get("FailureReason")
    assert jobs.log(LOG_GROUP, with_it["TrainingJobName"]) == ["True"]
    assert jobs.log(LOG_GROUP, without["TrainingJobName"]) == ["False"]


def test_requirements_that_cannot_be_installed_fail_the_job_with_the_installer_s_words(jobs: Jobs) -> None:
    job = jobs.train("", {"requirements.txt": "numpy==0.0.1\n"})
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: InstallRequirementsError:")
    assert "numpy==0.0.1" in job["FailureReason"]


def test_paths_in_requirements_begin_in_the_code_folder(jobs: Jobs) -> None:
    setup = "from setuptools import setup\nsetup(name='mylib', version='1', py_modules=['mylib'])\n"
    files = {"requirements.txt": "-e ./vendor/mylib\n", "vendor/mylib/setup.py": setup}
    job = jobs.train("import mylib; print(mylib.V)", {**files, "vendor/mylib/mylib.py": "V = 1\n"})
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert jobs.log(LOG_GROUP, job["TrainingJobName"]) == ["1"]


def test_what_a_script_installs_with_pip_is_its_own(jobs: Jobs) -> None:
    install = """
        import pathlib, subprocess
        pathlib.Path("requirements-late.txt").write_text("toolz==1.0.0")
        command = ["python3", "-m", "pip", "install", "-q", "-r", "requirements-late.txt"]
        subprocess.run(command, check=True)
        import toolz, sklearn
        print(toolz.__version__, sklearn.__version__)
        """
    job = jobs.train(install)
    assert jobs.log(LOG_GROUP, job["TrainingJobName"])[-1] == "1.0.0 1.4.2", job.get("FailureReason")
    later = jobs.train("import toolz")
    assert "No module named 'toolz'" in later["FailureReason"]


def test_an_entry_point_runs_instead_of_the_image_s(jobs: Jobs) -> None:
    name = jobs.unique("train")
    jobs.sagemaker.create_training_job(
        TrainingJobName=name,
        **jobs.training_request(
            AlgorithmSpecification={
                "ContainerEntrypoint": ["/bin/sh", "-c"],
                "ContainerArguments": [
                    'echo "$TRAINING_JOB_NAME"; cat /opt/ml/input/config/hyperparameters.json'
                ],
            },
            HyperParameters={"epochs": "3"},
        ),
    )
    assert jobs.ended_training(name)["TrainingJobStatus"] == "Completed"
    assert jobs.log(LOG_GROUP, name) == [name, '{"epochs": "3"}']


def test_an_unknown_image_fails_the_job_and_says_which_exist(jobs: Jobs) -> None:
    job = jobs.train("", AlgorithmSpecification={"TrainingImage": IMAGE.replace("1.4-2", "9.9-9")})
    assert job["TrainingJobStatus"] == "Failed"
    assert "sagemaker-scikit-learn:1.4-2-cpu-py3" in job["FailureReason"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AlgorithmSpecification": {"TrainingInputMode": "Pipe"}}, "Pipe"),
        ({"AlgorithmSpecification": {"MetricDefinitions": [{"Name": "m", "Regex": "("}]}}, "Regex"),
        (
            {"InputDataConfig": [channel("c", "s3://b/x", S3DataType="AugmentedManifestFile")]},
            "S3Prefix or ManifestFile",
        ),
        ({"InputDataConfig": [channel("c", "s3://b/x"), channel("c", "s3://b/y")]}, "unique"),
    ],
)
def test_what_cannot_run_is_refused_at_once(jobs: Jobs, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words) as error:
        jobs.sagemaker.create_training_job(TrainingJobName="refused", **jobs.training_request(**change))
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_a_job_s_name_is_taken_for_good(jobs: Jobs) -> None:
    name = jobs.train("")["TrainingJobName"]
    with pytest.raises(ClientError) as error:
        jobs.sagemaker.create_training_job(TrainingJobName=name, **jobs.training_request())
    assert error.value.response["Error"]["Code"] == "ResourceInUse"


def test_jobs_are_listed_by_name_and_status_and_deleted(jobs: Jobs) -> None:
    failed = jobs.train("raise SystemExit(1)")["TrainingJobName"]
    found = jobs.sagemaker.list_training_jobs(NameContains=failed, StatusEquals="Failed")
    assert [job["TrainingJobName"] for job in found["TrainingJobSummaries"]] == [failed]
    assert not jobs.sagemaker.list_training_jobs(NameContains=failed, StatusEquals="Completed")[
        "TrainingJobSummaries"
    ]
    jobs.sagemaker.delete_training_job(TrainingJobName=failed)
    with pytest.raises(ClientError, match="Requested resource not found"):
        jobs.sagemaker.describe_training_job(TrainingJobName=failed)


def test_code_may_come_in_a_channel(jobs: Jobs) -> None:
    jobs.put("codechannel/sourcedir.tar.gz", archive({"train.py": "print('from a channel')"}))
    job = jobs.train(
        "print('from S3')",
        HyperParameters={"sagemaker_submit_directory": '"/opt/ml/input/data/code/sourcedir.tar.gz"'},
        InputDataConfig=[channel("code", jobs.uri("codechannel/"))],
    )
    assert jobs.log(LOG_GROUP, job["TrainingJobName"]) == ["from a channel"], job.get("FailureReason")


@pytest.fixture
def guarded_jobs(auth_cloud: LocalCloud, unique: Callable[[str], str]) -> Jobs:
    """Jobs whose role may read code and data/, and write models/, of their bucket."""
    bucket, role = unique("guarded"), unique("role")
    auth_cloud.client("s3").create_bucket(Bucket=bucket)
    iam = auth_cloud.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(_policy(trust)))["Role"]["Arn"]
    objects = f"arn:aws:s3:::{bucket}"
    reads = [f"{objects}/code/*", f"{objects}/data/*"]
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": reads},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": objects},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"{objects}/models/*"},
    ]
    iam.put_role_policy(RoleName=role, PolicyName="data", PolicyDocument=json.dumps(_policy(*statements)))
    return Jobs(auth_cloud, bucket, unique, arn)


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def test_the_script_acts_as_the_job_s_role(guarded_jobs: Jobs) -> None:
    guarded_jobs.put("data/a.csv", "1")
    job = guarded_jobs.train(
        f"""
        import boto3
        from botocore.exceptions import ClientError
        print(boto3.client("sts").get_caller_identity()["Arn"])
        s3 = boto3.client("s3")
        s3.put_object(Bucket="{guarded_jobs.bucket}", Key="models/mine", Body=b"")
        try:
            s3.put_object(Bucket="{guarded_jobs.bucket}", Key="data/not-mine", Body=b"")
        except ClientError as error:
            print(error.response["Error"]["Code"])
        """,
        InputDataConfig=[channel("train", guarded_jobs.uri("data/"))],
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    caller, code = guarded_jobs.log(LOG_GROUP, job["TrainingJobName"])
    role = guarded_jobs.role.rpartition("/")[2]
    assert caller.startswith(f"arn:aws:sts::000000000000:assumed-role/{role}/")
    assert code == "AccessDenied"


def test_no_script_writes_into_another_steps_folder(
    auth_cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    """Prepared data, another candidate's model, an evaluation; nor does it undo a version. Its own it may."""
    bucket = unique("steps")
    auth_cloud.client("s3").create_bucket(Bucket=bucket)
    account = Account(
        f"arn:aws:iam::000000000000:role/sluice/{bucket}/us-east-1/", "us-east-1", f"{bucket}-data", bucket
    )
    name, run = unique("train"), "runs/reviews/reviews-00001"
    role = step_role(account, "reviews", "reviews-00001", "train-0", [f"train/{name}"])
    iam = auth_cloud.client("iam")
    arn = iam.create_role(
        RoleName=role.name, Path=role.path, AssumeRolePolicyDocument=json.dumps(role.trust)
    )["Role"]["Arn"]
    iam.put_role_policy(RoleName=role.name, PolicyName="it", PolicyDocument=json.dumps(role.policy))
    jobs = Jobs(auth_cloud, bucket, unique, arn)
    others = [
        f"{run}/{key}"
        for key in ("prepare/train/a.csv", "train/other/output/model.tar.gz", "evaluate/candidate/e.json")
    ]
    for key in others:
        jobs.put(key, "theirs")
    script = f"""
        import boto3, os
        from botocore.exceptions import ClientError
        s3 = boto3.client("s3")
        for key in {others!r}:
            for call in (s3.put_object, s3.delete_object):
                try:
                    call(Bucket="{bucket}", Key=key)
                    print("forged", key)
                except ClientError as error:
                    print(error.response["Error"]["Code"])
        s3.put_object(Bucket="{bucket}", Key="{run}/train/{name}/note", Body=b"")
        open(os.environ["SM_MODEL_DIR"] + "/model.txt", "w").write("mine")
        """
    code = jobs.put("projects/reviews/v/sourcedir.tar.gz", archive({"train.py": script}))
    request = jobs.training_request(
        HyperParameters={"sagemaker_program": '"train.py"', "sagemaker_submit_directory": json.dumps(code)},
        OutputDataConfig={"S3OutputPath": jobs.uri(f"{run}/train")},
    )
    jobs.sagemaker.create_training_job(TrainingJobName=name, **request)
    job = jobs.ended_training(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert jobs.log(LOG_GROUP, name) == ["AccessDenied"] * 6
    assert [jobs.get(key) for key in others] == [b"theirs"] * 3
    assert jobs.keys(f"{run}/train/{name}/") == [
        f"{run}/train/{name}/note",
        f"{run}/train/{name}/output/model.tar.gz",
    ]


def test_a_channel_that_the_role_may_not_read_fails_the_job(guarded_jobs: Jobs) -> None:
    guarded_jobs.put("secret/a.csv", "1")
    job = guarded_jobs.train("", InputDataConfig=[channel("train", guarded_jobs.uri("secret/"))])
    assert job["TrainingJobStatus"] == "Failed"
    assert "s3:GetObject" in job["FailureReason"]


def test_a_model_that_the_role_may_not_write_fails_the_job(guarded_jobs: Jobs) -> None:
    job = guarded_jobs.train("", OutputDataConfig={"S3OutputPath": guarded_jobs.uri("data")})
    assert job["TrainingJobStatus"] == "Failed"
    assert "s3:PutObject" in job["FailureReason"]


def _data(jobs: Jobs, files: dict[str, str]) -> str:
    """Write objects below a new prefix; its URI."""
    prefix = jobs.unique("data")
    for name, content in files.items():
        jobs.put(f"{prefix}/{name}", content)
    return jobs.uri(f"{prefix}/")


def _status(event: dict[str, Any]) -> str:
    return str(event["detail"]["TrainingJobStatus"])


def test_neither_a_detached_child_nor_a_backtracking_regex_holds_a_job_up(jobs: Jobs) -> None:
    job = jobs.train(
        """
        import os, signal, sys, time
        print("acc: " + "a" * 32 + "!")
        print("loss: 0.5")
        sys.stdout.flush()
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        """,
        AlgorithmSpecification={
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": "accuracy", "Regex": "acc: (?:a+)+([0-9])"},
                {"Name": "loss", "Regex": "loss: ([0-9.]+)"},
            ],
        },
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert [(metric["MetricName"], metric["Value"]) for metric in job["FinalMetricDataList"]] == [
        ("loss", 0.5)
    ]
    [said] = [line for line in jobs.log(LOG_GROUP, job["TrainingJobName"]) if "Metric" in line]
    assert (
        "Metric accuracy is read no further: its regex acc: (?:a+)+([0-9]) takes too long on a line" in said
    )
