"""run_job, in Lambda's execution environment: it keeps the container contract, and one job from another."""

from __future__ import annotations

import io
import json
import socket
import sys
import tarfile
import time
from collections.abc import Callable
from hashlib import sha256

import pytest

from local.functions import wait_for
from local.jobs import needs_namespaces
from local.lambda_jobs import MEMORY_MB, PIPELINE, RUN, LambdaJobs
from sluice.domain.build import function_ends, job_failures
from sluice_local.cloud import LocalCloud

pytestmark = needs_namespaces


@pytest.fixture(scope="module")
def jobs(auth_cloud: LocalCloud) -> LambdaJobs:
    return LambdaJobs.deploy(auth_cloud, "jobs")


@pytest.fixture(params=["none waits", "one waits"])
def either(jobs: LambdaJobs, unique: Callable[[str], str], request: pytest.FixtureRequest) -> LambdaJobs:
    """Jobs that start their interpreters, and jobs that are forks of one that waits."""
    if request.param == "none waits":
        return jobs
    with_packages = jobs.with_packages()
    with_packages.warm_up(unique("loads"))
    return with_packages


TRAIN = """
import argparse, json, os, pathlib
arguments = argparse.ArgumentParser()
arguments.add_argument("--alpha", type=float)
alpha = arguments.parse_args().alpha
data = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "data.csv").read_text()
assert pathlib.Path("/opt/ml/input/data/train/data.csv").read_text() == data
config = json.loads(pathlib.Path("/opt/ml/input/config/hyperparameters.json").read_text())
assert config["alpha"] == "0.5"
print("accuracy: 0.25\\naccuracy: 0.75", flush=True)
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps({"alpha": alpha}))
"""


def test_a_training_job_keeps_the_container_contract(jobs: LambdaJobs) -> None:
    described = jobs.run(jobs.training("train-ok", TRAIN))
    assert described.get("FailureReason") is None, (described, jobs.log("train-ok"))
    assert described["TrainingJobStatus"] == "Completed"
    model = described["ModelArtifacts"]["S3ModelArtifacts"]
    assert model == f"s3://{jobs.bucket}/runs/{PIPELINE}/{RUN}/train/train-ok/output/model.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(jobs.read(model.split("/", 3)[3]))) as tar:
        file = tar.extractfile("model.json")
        assert file is not None
        assert json.load(file) == {"alpha": 0.5}
    (metric,) = described["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("accuracy", 0.75)
    assert described["LeftBehind"] is None
    assert described["TrainingEndTime"] > described["TrainingStartTime"] > described["CreationTime"]
    usage = described["Usage"]
    assert usage["memory_mb"] == MEMORY_MB
    assert 0 < usage["billed_s"] < 30
    assert 0 < usage["peak_memory_mb"] < MEMORY_MB
    assert jobs.log("train-ok")[:2] == ["accuracy: 0.25", "accuracy: 0.75"]


PROCESS = """
import pathlib
root = pathlib.Path("/opt/ml/processing")
(root / "out" / "deep").mkdir()
(root / "out" / "deep" / "copy.csv").write_text((root / "input/data/data.csv").read_text())
(root / "out" / "link").symlink_to("/etc/passwd")
"""


def test_a_processing_job_reads_and_writes_below_opt_ml(jobs: LambdaJobs) -> None:
    described = jobs.run(jobs.processing("process-ok", PROCESS))
    assert described["ProcessingJobStatus"] == "Completed", described
    assert jobs.keys(f"runs/{PIPELINE}/{RUN}/evaluate/process-ok/") == [
        f"runs/{PIPELINE}/{RUN}/evaluate/process-ok/deep/copy.csv"
    ]
    # What it says of them is what is there.
    ((uri, (version, digest)),) = described["Written"].items()
    assert uri.endswith("process-ok/deep/copy.csv")
    key = uri.removeprefix(f"s3://{jobs.bucket}/")
    found = jobs.cloud.client("s3").get_object(Bucket=jobs.bucket, Key=key)
    assert (found["VersionId"], sha256(found["Body"].read()).hexdigest()) == (version, digest)


def test_a_job_that_is_ordered_twice_runs_once(jobs: LambdaJobs) -> None:
    request = jobs.processing("twice", "print('ran', flush=True)")
    assert [jobs.start(request), jobs.start(request)] == [True, False]
    jobs.ended(request)
    assert jobs.start(request) is False
    time.sleep(1)
    assert jobs.log("twice") == ["ran"]


# ------------------------------------------------------------------------------------------------------- ends


def test_a_script_that_fails_says_why(jobs: LambdaJobs) -> None:
    leaves = "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    # What it leaves holds its output open.
    training = jobs.run(jobs.training("train-fails", f"{leaves}raise ValueError('no luck')"))
    assert training["LeftBehind"] == "ended 1 process that the script left running: sleep"
    assert training["LeftBehind"] not in training["FailureReason"]
    assert training["TrainingJobStatus"] == "Failed"
    assert "ValueError: no luck" in training["FailureReason"]
    assert "exit code: 1" in training["FailureReason"]
    assert training["LimitReached"] is None
    message = (
        "import pathlib\npathlib.Path('/opt/ml/output/message').write_text('bad rows')\nraise SystemExit(3)"
    )
    processing = jobs.run(jobs.processing("process-fails", message))
    assert processing["ExitMessage"] == "bad rows"
    assert processing["FailureReason"] == "AlgorithmError: bad rows, exit code: 3"


def test_a_script_that_runs_too_long_is_stopped_and_keeps_its_log(jobs: LambdaJobs) -> None:
    script = "import time\nprint('accuracy: 0.5', flush=True)\ntime.sleep(600)"
    described = jobs.run(jobs.training("too-long", script, max_runtime_s=2))
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "accuracy: 0.5" in jobs.log("too-long")


def test_before_lambda_s_own_limit_the_script_is_stopped(auth_cloud: LocalCloud) -> None:
    brief = LambdaJobs.deploy(auth_cloud, "brief", timeout_s=26)
    script = "import time\nprint('began', flush=True)\ntime.sleep(600)"
    described = brief.run(brief.processing("limit", script))
    assert (described["ProcessingJobStatus"], described["LimitReached"]) == ("Failed", "time")
    assert "Lambda" in described["FailureReason"]
    assert brief.log("limit") == ["began"]


def test_a_job_is_stopped_while_it_runs(jobs: LambdaJobs) -> None:
    script = """
import signal, sys, time
def end(*_):
    print("told to stop", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("began", flush=True)
time.sleep(600)
"""
    request = jobs.training("stopped", script)
    jobs.start(request)
    wait_for(lambda: "began" in jobs.log("stopped"))
    jobs.jobs.stop("training_job", "stopped")
    described = jobs.ended(request)
    assert described["TrainingJobStatus"] == "Stopped"
    assert jobs.log("stopped") == ["began", "told to stop"]


def test_a_script_that_takes_all_memory_ends_in_that_reason(jobs: LambdaJobs) -> None:
    script = (
        "import time\nprint('began', flush=True)\ntime.sleep(2)\nx = [b'x' * (1 << 24) for _ in range(600)]"
    )
    request = jobs.processing("memory", script)
    jobs.start(request)
    record = jobs.failure()
    order = record["requestPayload"]
    assert "SessionToken" not in json.dumps(record), "dead letters must not have credentials"
    end = function_ends.read(record)
    assert (order["name"], end.limit) == ("memory", "memory")
    assert jobs.jobs.record_end("memory", "a guess", end) is False
    assert jobs.jobs.record_end("memory", order["secret"], end) is True
    described = jobs.ended(request)
    assert (described["ProcessingJobStatus"], described["LimitReached"]) == ("Failed", "memory")
    assert described["FailureReason"] == f"it was ended for want of memory: its function has {MEMORY_MB} MB"
    assert jobs.log("memory") == ["began"]


@pytest.mark.parametrize(("megabytes", "limit"), [(350, "memory"), (20, None)])
def test_a_script_that_the_kernel_kills_alone_was_so_for_memory_only_if_it_held_that_much(
    jobs: LambdaJobs, megabytes: int, limit: str | None
) -> None:
    # The kernel ends the script before the function, which lives on and tells the end.
    script = (
        f"import os, signal\nheld = b'x' * ({megabytes} << 20)\nprint('began', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    described = jobs.run(jobs.processing(f"killed-{megabytes}", script))
    assert (described["ProcessingJobStatus"], described["LimitReached"]) == ("Failed", limit)
    reason = job_failures.failure_reason("processing_job", described)
    assert ("it was ended for want of memory" if limit else "and not for want of memory") in reason
    assert f" MB of {MEMORY_MB}" in reason


# -------------------------------------------------------------------------------------------------- isolation

HOSTILE = """
import glob, json, os, pathlib, subprocess, sys, time, urllib.error, urllib.request
# Code that mentions Python's own list of places is a new process.
getattr(sys, "pa" + "th").append(BOTO)
import boto3
s3 = boto3.client("s3")
found = {}
def attempt(name, act):
    try:
        found[name] = repr(act())[:200]
    except Exception as error:
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        found[name] = code or type(error).__name__
me = os.environ["PROCESSING_JOB_NAME"]
run = "runs/reviews/reviews-00001"
def get(key):
    return lambda: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
def put(key):
    return lambda: s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")["ETag"]
attempt("own input", get(f"{run}/prepare/{me}-in/data.csv"))
attempt("another input", get(f"{run}/prepare/other-in/data.csv"))
attempt("another pipeline", get("runs/secret/secret-00001/prepare/x.csv"))
attempt("all keys", lambda: s3.list_objects_v2(Bucket=BUCKET))
attempt("own output", put(f"{run}/evaluate/{me}/mine"))
attempt("another output", put(f"{run}/evaluate/other/theirs"))
attempt("run manifest", put("evidence/reviews/reviews-00001/manifest.json"))
attempt("own result", put(f"jobs/{me}/result.json"))
attempt("own order", get(f"jobs/{me}/request.json"))
attempt("roles", lambda: boto3.client("iam").list_roles())
event = {"Source": "sluice", "DetailType": "Job State Change", "Detail": "{}"}
attempt("events", lambda: boto3.client("events").put_events(Entries=[event]))
arn = f"arn:aws:sagemaker:us-east-1:{NUMBER}:model-package/reviews/1"
approve = {"ModelPackageArn": arn, "ModelApprovalStatus": "Approved"}
attempt("approval", lambda: boto3.client("sagemaker").update_model_package(**approve))
attempt("catalog", lambda: boto3.client("dynamodb").scan(TableName="catalog"))
attempt("task", lambda: boto3.client("stepfunctions").send_task_success(taskToken="x", output="{}"))
order = {"FunctionName": FUNCTION, "InvocationType": "Event", "Payload": b"{}"}
attempt("an order", lambda: boto3.client("lambda").invoke(**order))
role = {"RoleArn": RUNNER, "RoleSessionName": "hostile"}
attempt("the runner's role", lambda: boto3.client("sts").assume_role(**role))
attempt("logs", lambda: boto3.client("logs").describe_log_groups())
parent = os.getppid()
found["parent"] = parent
found["command"] = pathlib.Path("/proc/self/cmdline").read_text()
attempt("runtime's variables", lambda: pathlib.Path(f"/proc/{parent}/envi" + "ron").read_bytes())
attempt("runtime's memory", lambda: open(f"/proc/{parent}/mem", "rb").read(1))
attempt("runtime's files", lambda: os.readlink(f"/proc/{parent}/fd/1"))
own = ("AWS_LAMBDA", "_HANDLER", "LAMBDA", "SLUICE")
found["variables"] = sorted(name for name in os.environb if name.decode().startswith(own))
attempt("code", lambda: open("/var/task/app.py", "a"))
attempt("layer", lambda: open("/opt/python/sluice/__init__.py", "a"))
# The next event, if the runtime API gives it: it would hold another job's credentials.
ports = [line.split()[1].split(":")[1] for line in open("/proc/net/tcp") if line.split()[3] == "0A"]
got = []
for port in ports:
    url = f"http://127.0.0.1:{int(port, 16)}/2018-06-01/runtime/invocation/"
    for call in (url + "next", url + "any/response"):
        try:
            data = b"{}" if call.endswith("response") else None
            answer = urllib.request.urlopen(urllib.request.Request(call, data=data), timeout=0.5)
            if answer.status == 202 or answer.headers.get("Lambda-Runtime-Aws-Request-Id"):
                got.append(call)
        except Exception:
            pass
found["orders"] = got
# What stays behind, if it can.
(pathlib.Path("/tmp") / "left").write_text("of " + me)
child = "import os,time\\nos.setsid()\\nif os.fork() == 0:\\n os.setsid()\\n time.sleep(3600)"
subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.DEVNULL, start_new_session=True)
time.sleep(0.3)
pathlib.Path("/opt/ml/processing/out/found.json").write_text(json.dumps(found))
"""
LOOKS = """
import json, os, pathlib
sleeping = []
for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            line = open(f"/proc/{name}/cmdline").read()
            parent = int(open(f"/proc/{name}/stat").read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        # Neither what the job before left nor what waits for another like it, as it may in other clouds here.
        waits = "/environments/" in line and parent == os.getppid()
        if "time.sleep(3600)" in line or waits and int(name) != os.getpid():
            sleeping.append(line)
found = {"tmp": sorted(os.listdir("/tmp")), "sleeping": sleeping, "parent": os.getppid()}
pathlib.Path("/opt/ml/processing/out/found.json").write_text(json.dumps(found))
"""


def test_a_hostile_script_reaches_its_own_inputs_and_outputs_and_nothing_else(
    either: LambdaJobs, unique: Callable[[str], str]
) -> None:
    jobs, hostile, looks = either, unique("hostile"), unique("looks")
    # Where a function has Lambda's own packages, whatever folder of this machine they are in.
    boto = f"/var/lang/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    for key in (f"runs/{PIPELINE}/{RUN}/prepare/other-in/data.csv", "runs/secret/secret-00001/prepare/x.csv"):
        jobs.put(key, "secret")
    known = {
        "BOTO": boto,
        "BUCKET": jobs.bucket,
        "NUMBER": jobs.account.number,
        "FUNCTION": jobs.function,
        "RUNNER": jobs.jobs._place.runner_role_arn,
    }
    script = "".join(f"{name} = {value!r}\n" for name, value in known.items()) + HOSTILE
    described = jobs.run(jobs.processing(hostile, script))
    assert described["ProcessingJobStatus"] == "Completed", (described, jobs.log(hostile))
    found = json.loads(jobs.read(f"runs/{PIPELINE}/{RUN}/evaluate/{hostile}/found.json"))
    is_fork = "warm_interpreter" in found.pop("command")
    assert is_fork is (jobs.packages is not None)
    assert found.pop("own input") == repr(b"x\n1\n")
    assert len(found.pop("own output")) > 10
    assert found.pop("variables") == []
    assert found.pop("orders") == []
    refusals = {"AccessDenied", "AccessDeniedException", "403"}
    denied = {name for name, said in found.items() if said in refusals}
    assert denied == {
        *("another input", "another pipeline", "all keys", "another output", "run manifest"),
        *("own result", "own order", "roles", "events"),
        *("approval", "catalog", "task", "an order", "the runner's role", "logs"),
    }, found
    assert {name: said for name, said in found.items() if name not in denied} == {
        "parent": found["parent"],
        "runtime's variables": "PermissionError",
        "runtime's memory": "PermissionError",
        "runtime's files": "PermissionError",
        "code": "OSError",
        "layer": "OSError",
    }
    # The next job, of another pipeline, in the same execution environment.
    request = jobs.processing(looks, LOOKS)
    assert jobs.run(request, "another")["ProcessingJobStatus"] == "Completed"
    after = json.loads(jobs.read(f"runs/{PIPELINE}/{RUN}/evaluate/{looks}/found.json"))
    assert after == {"tmp": ["environments", "home", "ml"], "sleeping": [], "parent": found["parent"]}


SWAPS = """
import os, pathlib, subprocess, sys
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.bin").write_bytes(os.urandom(16_000_000))
waits = '''
import os, pathlib
ours = pathlib.Path("/tmp/ours")
ours.write_text("swapped")
while not os.path.exists("/opt/ml/model.tar.gz"):
    pass
ours.rename("/opt/ml/model.tar.gz")
'''
nowhere = subprocess.DEVNULL
subprocess.Popen([sys.executable, "-c", waits], stdout=nowhere, stderr=nowhere, start_new_session=True)
while not os.path.exists("/tmp/ours"):
    pass
"""


def test_what_a_script_left_running_changes_nothing_that_is_uploaded(
    either: LambdaJobs, unique: Callable[[str], str]
) -> None:
    swaps = unique("swaps")
    described = either.run(either.training(swaps, SWAPS))
    assert described["TrainingJobStatus"] == "Completed", (described, either.log(swaps))
    model = either.read(described["ModelArtifacts"]["S3ModelArtifacts"].split("/", 3)[3])
    assert model != b"swapped"
    # Its end has its own reason, behind the script's own words.
    assert described["LeftBehind"].startswith("ended 1 process that the script left running: python")
    assert described["LogTail"][-1] == described["LeftBehind"] == either.log(swaps)[-1]


SPOILS = """
import os, pathlib
(packages,) = pathlib.Path(os.environ["VIRTUAL_ENV"]).glob("lib/*/site-packages")
found = (packages / "spoilt.py").exists()
pathlib.Path("/opt/ml/processing/out/found").write_text(str(found))
(packages / "spoilt.py").write_text("")
"""


def test_packages_that_a_job_changed_are_unpacked_anew_for_the_next_one(
    either: LambdaJobs, unique: Callable[[str], str]
) -> None:
    found = []
    for name in (unique("spoils"), unique("spoils")):
        described = either.run(either.processing(name, SPOILS))
        assert described["ProcessingJobStatus"] == "Completed", either.log(name)
        found.append(either.read(f"runs/{PIPELINE}/{RUN}/evaluate/{name}/found"))
    assert found == [b"False", b"False"]


LEAVES = """
import os, pathlib, signal, time
(packages,) = pathlib.Path(os.environ["VIRTUAL_ENV"]).glob("lib/*/site-packages")
(packages / "sitecustomize.py").write_text(f"import socket\\nsocket.create_connection(('127.0.0.1', {PORT}))")
mine = pathlib.Path(f"/proc/{os.getppid()}/task/{os.getppid()}/children")
for pid in map(int, mine.read_text().split()):
    if pid != os.getpid():
        os.kill(pid, signal.SIGKILL)
"""


def test_what_a_script_writes_into_packages_does_not_run_after_it(
    jobs: LambdaJobs, unique: Callable[[str], str]
) -> None:
    with_packages = jobs.with_packages()
    with_packages.warm_up(unique("loads"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        leaves = with_packages.processing(unique("leaves"), f"PORT = {server.getsockname()[1]}\n{LEAVES}")
        assert with_packages.run(leaves)["ProcessingJobStatus"] == "Completed"
        # Another job of the pipeline begins and ends.
        after = with_packages.run(with_packages.processing(unique("after"), "print('ran')"))
        assert after["ProcessingJobStatus"] == "Completed"
        server.settimeout(0.5)
        with pytest.raises(TimeoutError):
            server.accept()


def test_one_execution_environment_serves_job_after_job(
    either: LambdaJobs, unique: Callable[[str], str]
) -> None:
    parents = {parent_of(either, unique("warm")) for _ in range(2)}
    assert len(parents) == 1


def test_limits_that_a_script_sets_for_the_runtime_end_with_its_process(
    either: LambdaJobs, unique: Callable[[str], str]
) -> None:
    before = parent_of(either, unique("before"))
    script = "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (256, 256))"
    harms = either.run(either.processing(unique("limits"), script))
    assert harms["ProcessingJobStatus"] == "Completed"
    assert parent_of(either, unique("after")) != before


def parent_of(jobs: LambdaJobs, name: str) -> bytes:
    """Run a job that tells the process of run_job."""
    script = "import os\nopen('/opt/ml/processing/out/parent', 'w').write(str(os.getppid()))"
    assert jobs.run(jobs.processing(name, script))["ProcessingJobStatus"] == "Completed", jobs.log(name)
    return jobs.read(f"runs/{PIPELINE}/{RUN}/evaluate/{name}/parent")
