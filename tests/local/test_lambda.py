"""Lambda: the execution environment, its errors, its concurrency, its logs."""

from __future__ import annotations

import base64
import io
import itertools
import json
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.functions import (
    NO_RETRIES,
    create_function,
    create_queue,
    invoke,
    log_lines,
    package,
    receive,
    wait_for,
)
from local.jobs import needs_namespaces
from sluice_local import namespace
from sluice_local.cloud import LocalCloud
from sluice_local.sagemaker.containers.container import isolation

ENVIRONMENT = """
import importlib, os, sys
def handler(event, context):
    def found(name):
        try:
            importlib.import_module(name)
        except ImportError:
            return False
        return True
    return {
        "found": {name: found(name) for name in event},
        "environment": dict(os.environ),
        "arn": context.invoked_function_arn,
        "remaining_ms": context.get_remaining_time_in_millis(),
    }
"""


def test_a_function_sees_boto3_and_nothing_of_the_emulator(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name = unique("clean")
    arn = create_function(cloud, name, ENVIRONMENT, Environment={"Variables": {"MINE": "yes"}})
    answer, error = invoke(cloud, name, ["boto3", "ministack", "pydantic", "pytest", "sluice_local"])
    assert error is None
    expected = {"boto3": True, "ministack": False, "pydantic": False, "pytest": False, "sluice_local": False}
    assert answer["found"] == expected
    environment = answer["environment"]
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert environment["AWS_LAMBDA_LOG_GROUP_NAME"] == f"/aws/lambda/{name}"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["AWS_ENDPOINT_URL"] == cloud.endpoint_url
    assert all(environment[f"AWS_{each}"] for each in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"))
    assert environment["MINE"] == "yes"
    assert not [key for key in environment if key.startswith(("MINISTACK", "PYTEST", "VIRTUAL_ENV"))]
    assert answer["arn"] == arn
    assert 0 < answer["remaining_ms"] <= 10_000


def test_layers_are_importable_and_a_later_one_covers_an_earlier(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    def layer(version: int) -> str:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("python/shared.py", f"version = {version}")
            archive.writestr(f"python/lib/python3.11/site-packages/only_{version}.py", "")
        published = cloud.client("lambda").publish_layer_version(
            LayerName=unique("layer"), Content={"ZipFile": buffer.getvalue()}
        )
        return str(published["LayerVersionArn"])

    name = unique("layered")
    source = "import shared, only_1, only_2\ndef handler(event, context): return shared.version"
    create_function(cloud, name, source, Layers=[layer(1), layer(2)])
    assert invoke(cloud, name) == (2, None)


def test_an_error_carries_the_class_of_the_exception_and_keeps_the_environment_warm(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name = unique("fails")
    source = """
import os
class DataRejectedError(Exception): pass
def handler(event, context):
    if event == "fail":
        raise DataRejectedError("no label")
    return os.getpid()
"""
    create_function(cloud, name, source)
    before, _ = invoke(cloud, name)
    answer, error = invoke(cloud, name, "fail")
    assert error == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("DataRejectedError", "no label")
    assert "app.py" in "".join(answer["stackTrace"])
    assert invoke(cloud, name) == (before, None)


def test_a_crashed_environment_is_reported_and_replaced(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name = unique("crashes")
    source = "import os\ndef handler(event, context):\n    if event: os._exit(3)\n    return os.getpid()"
    create_function(cloud, name, source)
    before, _ = invoke(cloud, name)
    answer, error = invoke(cloud, name, "crash")
    assert error == "Unhandled"
    assert answer["errorType"] == "Runtime.ExitError"
    assert answer["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    after, error = invoke(cloud, name)
    assert error is None
    assert after != before


def test_a_module_that_cannot_be_imported_is_an_init_error(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name = unique("unimportable")
    create_function(cloud, name, "import absent\ndef handler(event, context): pass")
    answer, error = invoke(cloud, name)
    assert error == "Unhandled"
    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert answer["errorMessage"] == "Unable to import module 'app': No module named 'absent'"


def test_a_timeout_is_reported_with_the_configured_seconds(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name = unique("slow")
    create_function(cloud, name, "import time\ndef handler(event, context): time.sleep(600)", Timeout=1)
    answer, error = invoke(cloud, name)
    assert error == "Unhandled"
    assert answer["errorType"] == "Sandbox.Timedout"
    assert answer["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")


# Holds some megabytes, itself or in a child that it left to itself, and waits.
HUNGRY = """
import subprocess, sys, time
CHILD = "import sys, time; held = b'x' * (int(sys.argv[1]) << 20); time.sleep(600)"
def handler(event, context):
    if event["detached"]:
        command = [sys.executable, "-c", CHILD, str(event["megabytes"])]
        child = subprocess.Popen(command, start_new_session=True)
        time.sleep(event["wait_s"])
        return child.pid
    held = b"x" * (event["megabytes"] << 20)
    time.sleep(event["wait_s"])
    return len(held)
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads the process table of Linux")
@pytest.mark.parametrize("detached", [False, True])
def test_a_function_that_holds_more_than_its_memory_is_killed(
    cloud: LocalCloud, unique: Callable[[str], str], detached: bool
) -> None:
    name = unique("hungry")
    create_function(cloud, name, HUNGRY, MemorySize=256, Timeout=60)
    event = {"detached": detached, "megabytes": 100, "wait_s": 0.3}
    answer, error = invoke(cloud, name, event)
    assert error is None
    answer, error = invoke(cloud, name, {**event, "megabytes": 400, "wait_s": 600})
    assert error == "Unhandled"
    assert answer["errorType"] == "Runtime.ExitError"
    assert answer["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    [report] = [line for line in log_lines(cloud, name) if "Status: error" in line]
    assert "Memory Size: 256 MB\tMax Memory Used: 256 MB" in report
    assert report.endswith("Error Type: Runtime.OutOfMemory")
    assert invoke(cloud, name, {**event, "detached": False})[1] is None  # by a new environment


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads the process table of Linux")
def test_what_a_function_leaves_behind_ends_with_its_environment(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name = unique("leaves")
    create_function(cloud, name, HUNGRY, Timeout=3)
    event = {"detached": True, "megabytes": 1, "wait_s": 0}
    child, _ = invoke(cloud, name, event)
    assert Path(f"/proc/{child}").exists()
    answer, _ = invoke(cloud, name, {**event, "wait_s": 600})
    assert answer["errorType"] == "Sandbox.Timedout"
    wait_for(lambda: not Path(f"/proc/{child}").exists())


def test_an_environment_has_one_log_stream_with_the_platforms_lines(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name = unique("logs")
    source = """
import os, sys
def handler(event, context):
    print("to stdout")
    sys.stderr.write("to stderr without newline")
    return os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
"""
    create_function(cloud, name, source)
    stream, _ = invoke(cloud, name)
    assert invoke(cloud, name) == (stream, None)
    streams = cloud.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"]
    assert [item["logStreamName"] for item in streams] == [stream]
    kinds = [line.split()[0] for line in log_lines(cloud, name)]
    assert kinds == ["START", "to", "to", "END", "REPORT"] * 2
    assert "Init Duration" in log_lines(cloud, name)[4]
    assert "Init Duration" not in log_lines(cloud, name)[9]


def test_the_tail_of_the_log_comes_with_the_answer(cloud: LocalCloud, unique: Callable[[str], str]) -> None:
    name = unique("tail")
    create_function(cloud, name, "def handler(event, context): print('hello')")
    response = cloud.client("lambda").invoke(FunctionName=name, LogType="Tail")
    tail = base64.b64decode(response["LogResult"]).decode().splitlines()
    assert [tail[0].split()[0], tail[1], tail[-1].split()[0]] == ["START", "hello", "REPORT"]


def test_metrics_embedded_in_the_log_are_recorded(cloud: LocalCloud, unique: Callable[[str], str]) -> None:
    name, namespace = unique("emf"), unique("Namespace")
    document = {
        "_aws": {
            "Timestamp": 0,
            "CloudWatchMetrics": [
                {
                    "Namespace": namespace,
                    "Dimensions": [["service"], ["service", "stage"]],
                    "Metrics": [{"Name": "Rows", "Unit": "Count"}, {"Name": "Seconds", "Unit": "Seconds"}],
                }
            ],
        },
        "service": "sluice",
        "stage": "production",
        "Rows": [1, 2],
        "Seconds": 0.5,
    }
    create_function(cloud, name, "import json\ndef handler(event, context): print(json.dumps(event))")
    invoke(cloud, name, document)

    def total(metric: str, **dimensions: str) -> float:
        statistics = cloud.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=time.time() - 300,
            EndTime=time.time() + 60,
            Period=60,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in statistics["Datapoints"]))

    assert total("Rows", service="sluice") == 3
    assert total("Rows", service="sluice", stage="production") == 3
    assert total("Seconds", service="sluice") == 0.5


def test_a_failed_asynchronous_event_is_retried_twice_then_lands_in_the_dead_letter_queue(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name = unique("dlq")
    url, arn = create_queue(cloud, unique("dead"))
    source = "def handler(event, context):\n    print('attempt')\n    raise ValueError('broken')"
    create_function(cloud, name, source, DeadLetterConfig={"TargetArn": arn})
    invoke_async(cloud, name, {"order": 1})
    (message,) = receive(cloud, url)
    assert json.loads(message["Body"]) == {"order": 1}
    attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert attributes["ErrorCode"] == "200"
    assert attributes["ErrorMessage"] == "broken"
    assert attributes["RequestID"]
    assert log_lines(cloud, name).count("attempt") == 3


@pytest.mark.parametrize(("event", "condition"), [("fail", "RetriesExhausted"), ("pass", "Success")])
def test_the_outcome_of_an_asynchronous_event_goes_to_its_destination(
    cloud: LocalCloud, unique: Callable[[str], str], event: str, condition: str
) -> None:
    name = unique("destination")
    url, arn = create_queue(cloud, unique("outcome"))
    source = "def handler(event, context):\n    if event == 'fail': raise KeyError('x')\n    return 'done'"
    create_function(cloud, name, source)
    cloud.client("lambda").put_function_event_invoke_config(
        FunctionName=name,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": arn}, "OnSuccess": {"Destination": arn}},
    )
    invoke_async(cloud, name, event)
    (message,) = receive(cloud, url)
    record = json.loads(message["Body"])
    assert record["requestPayload"] == event
    assert record["requestContext"]["condition"] == condition
    assert record["requestContext"]["approximateInvokeCount"] == (1 if event == "pass" else 2)
    assert record["responsePayload"] == "done" or record["responsePayload"]["errorType"] == "KeyError"


def test_reserved_concurrency_refuses_a_call_with_429_and_queues_events(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name, bucket = unique("reserved"), unique("reserved")
    cloud.client("s3").create_bucket(Bucket=bucket)
    source = f"""
import boto3, time
def handler(event, context):
    started = time.time()
    time.sleep(0.3)
    if event is not None:
        boto3.client("s3").put_object(Bucket="{bucket}", Key=f"{{started}}-{{time.time()}}")
"""
    create_function(cloud, name, source)
    cloud.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    invoke(cloud, name)
    for order in range(4):
        invoke_async(cloud, name, order)
    functions = cloud.client("lambda", config=NO_RETRIES)

    def is_refused() -> bool:
        try:
            functions.invoke(FunctionName=name)
        except functions.exceptions.TooManyRequestsException:
            return True
        return False

    wait_for(is_refused)

    def spans() -> list[list[float]]:
        listing = cloud.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
        return sorted([float(part) for part in item["Key"].split("-")] for item in listing)

    wait_for(lambda: len(spans()) == 4)
    done = spans()
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(done))


def test_more_events_than_slots_are_queued_and_none_is_lost(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name, bucket = unique("burst"), unique("burst")
    cloud.client("s3").create_bucket(Bucket=bucket)
    source = f"""
import boto3, os
s3 = boto3.client("s3")
def handler(event, context):
    s3.put_object(Bucket="{bucket}", Key=f"{{event}}-{{os.getpid()}}")
"""
    create_function(cloud, name, source)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda order: invoke_async(cloud, name, order), range(60)))

    def keys() -> list[str]:
        listing = cloud.client("s3").list_objects_v2(Bucket=bucket)
        return [item["Key"] for item in listing.get("Contents", [])]

    wait_for(lambda: len(keys()) == 60)
    assert {int(key.split("-")[0]) for key in keys()} == set(range(60))
    assert len({key.split("-")[1] for key in keys()}) <= 3


def test_a_function_that_waits_for_another_cannot_starve_it(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    inner, outer = unique("inner"), unique("outer")
    create_function(cloud, inner, "def handler(event, context): return 1")
    source = f"""
import boto3
def handler(event, context):
    return boto3.client("lambda").invoke(FunctionName="{inner}")["Payload"].read().decode()
"""
    create_function(cloud, outer, source)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: invoke(cloud, outer), range(6)))
    assert answers == [("1", None)] * 6


def test_new_code_serves_the_next_invocation(cloud: LocalCloud, unique: Callable[[str], str]) -> None:
    name = unique("update")
    create_function(cloud, name, "def handler(event, context): return 1")
    assert invoke(cloud, name) == (1, None)
    cloud.client("lambda").update_function_code(
        FunctionName=name, ZipFile=package("def handler(event, context): return 2")
    )
    assert invoke(cloud, name) == (2, None)


def test_each_invocation_is_counted_with_its_errors(cloud: LocalCloud, unique: Callable[[str], str]) -> None:
    name = unique("counted")
    create_function(cloud, name, "def handler(event, context):\n    if event: raise ValueError(event)")
    invoke(cloud, name)
    invoke(cloud, name, "fail")
    invoke_async(cloud, name, "fail")

    def total(metric: str) -> float:
        statistics = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": name}],
            StartTime=time.time() - 300,
            EndTime=time.time() + 60,
            Period=60,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in statistics["Datapoints"]))

    wait_for(lambda: total("Invocations") == 5)
    assert total("Errors") == 4


def invoke_async(cloud: LocalCloud, name: str, event: object) -> None:
    response = cloud.client("lambda").invoke(
        FunctionName=name, Payload=json.dumps(event), InvocationType="Event"
    )
    assert response["StatusCode"] == 202


SEEN = """
import os, subprocess, sys
def handler(event, context):
    if event == "write":
        os.mkdir("/tmp/mine")
    try:
        open("/var/task/app.py", "a")
        code = "writable"
    except OSError:
        code = "read-only"
    privileges = [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")]
    return {
        "link": os.readlink("/opt/ml"),
        "tool": subprocess.run(["/opt/bin/tool"], capture_output=True, text=True).stdout,
        "code": code, "cwd": os.getcwd(), "tmp": os.listdir("/tmp"), "privileges": int(privileges[0], 16),
        "python": sys.executable,
    }
"""


@needs_namespaces
def test_a_function_sees_its_layers_in_opt_its_code_in_var_task_and_a_tmp_of_its_own(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, mode, text in (
            ("bin/tool", 0o100755, "#!/bin/sh\necho works"),
            ("ml", 0o120777, "/tmp/ml"),
        ):
            info = zipfile.ZipInfo(path)
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, text)
    published = cloud.client("lambda").publish_layer_version(
        LayerName=unique("layer"), Content={"ZipFile": buffer.getvalue()}
    )
    names = [unique("one"), unique("other")]
    for name in names:
        create_function(cloud, name, SEEN, Layers=[published["LayerVersionArn"]])
    seen = [invoke(cloud, name, event)[0] for name, event in zip(names, ("write", ""), strict=True)]
    expected = {
        "link": "/tmp/ml",
        "tool": "works\n",
        "code": "read-only",
        "cwd": "/var/task",
        "privileges": 0,
        "python": "/var/lang/bin/python",
    }
    assert seen == [{**expected, "tmp": ["mine"]}, {**expected, "tmp": []}]


@needs_namespaces
def test_a_functions_python_may_lie_where_its_own_tmp_is(tmp_path: Path) -> None:
    """A checkout below /tmp works like any other."""
    folders = [tmp_path / name for name in ("opt", "task", "tmp", "lang", "stage")]
    for folder in folders:
        folder.mkdir()
    *shown, lang, stage = folders
    venv.create(lang, symlinks=True)
    client = tmp_path / "client.py"
    client.write_text("import sys, os; print(sys.prefix, os.listdir('/tmp'), *sys.argv[1:])")
    arguments = [
        "0",
        isolation().value,
        "@" + ":".join(map(str, (*shown, lang, client))),
        str(stage),
        "/var/task",
    ]
    command = ["/var/lang/bin/python", "/var/runtime/client.py", "handler"]
    ran = subprocess.run(
        [sys.executable, "-I", "-S", namespace.__file__, *arguments, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("/var/lang [] handler\n", "")


def test_functions_trust_what_the_machine_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may lie where the function's own /tmp is, as a test's does."""
    certificates = tmp_path / "certificates.pem"
    certificates.write_text("this machine's")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates))
    source = "import os\ndef handler(*_): return open(os.environ['SSL_CERT_FILE']).read()"
    own = {"Variables": {"SSL_CERT_FILE": "/var/task/app.py"}}
    with LocalCloud(tmp_path / "cloud") as running:
        # It may be gone by then: somebody cleans up, or another test ends.
        certificates.unlink()
        create_function(running, "trusting", source)
        assert invoke(running, "trusting") == ("this machine's", None)
        create_function(running, "of-its-own", source, Environment=own)
        assert invoke(running, "of-its-own") == (source, None)
