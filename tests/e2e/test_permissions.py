"""The template's roles suffice, as every other test here shows, and the loop needs what they allow.

What user code tries beyond that is refused, in jobs and in endpoints.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.loop import TINY, Loop, rows
from sluice.domain import names
from sluice_cli import cloud, lookup, target, waiting

pytestmark = pytest.mark.thorough

STACK = "e2e-minus"
BUILT = cloud.BUILD_DIR / "template.yaml"


def without(template: str, function: str, action: str) -> str:
    """The built template's text with one action taken from one function's role."""
    resource = re.search(rf"^  {function}:\n(?:(?:    .*)?\n)+", template, re.MULTILINE)
    assert resource, f"the template has no {function}"
    # A statement cannot be without any action: in place of its only one comes one that everybody may do.
    alone = re.compile(rf"^( *Action:) {action}$", re.MULTILINE)
    listed = re.compile(rf"^ *- {action}\n", re.MULTILINE)
    changed, times = alone.subn(r"\1 sts:GetCallerIdentity", resource[0])
    changed, more = listed.subn("", changed)
    assert times + more, f"{function} has no {action}"
    return template.replace(resource[0], changed)


@pytest.fixture
def deploy_without(stack: target.Target) -> Iterator[Callable[[str, str], target.Target]]:
    """Deploy a copy of the template beside the whole one, with one permission less."""
    copy = BUILT.with_name("template-minus.yaml")

    def deploy(function: str, action: str) -> target.Target:
        copy.write_text(without(BUILT.read_text(), function, action))
        ready = target.local_cloud()
        assert ready is not None
        cloud.deploy(ready, stack=STACK, template=copy)
        return target.resolve(where="local", stack=STACK, profile=None, region=None)

    yield deploy
    copy.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("function", "action"),
    [
        ("StartJobFunction", "sagemaker:CreateTrainingJob"),
        ("StartJobFunction", "iam:PassRole"),
        ("StartJobFunction", "iam:CreateRole"),
        ("RegisterModelFunction", "sagemaker:CreateModelPackage"),
    ],
)
def test_with_one_permission_less_the_run_fails_with_access_denied(
    deploy_without: Callable[[str, str], target.Target], function: str, action: str, tmp_path: Path
) -> None:
    minus = deploy_without(function, action)
    loop = Loop(minus, f"m{action.partition(':')[2].lower()[:20]}", tmp_path)
    loop.push()
    run = loop.run_after("part.csv", rows(100, seed=1))
    assert run["status"] == "failed"
    said = " ".join(run["reasons"])
    assert "AccessDenied" in said
    assert action in said
    assert failures_of(minus, run["run_id"]) == 1, "no wait gives a permission, so none is tried again"


def failures_of(stack: target.Target, run_id: str) -> int:
    """How many attempts of its states failed."""
    execution_arn = lookup.the_run(stack, run_id)["execution_arn"]
    pages = stack.client("stepfunctions").get_paginator("get_execution_history")
    events = [
        event["type"] for page in pages.paginate(executionArn=execution_arn) for event in page["events"]
    ]
    return sum(events.count(kind) for kind in ("TaskFailed", "LambdaFunctionFailed"))


# Makes each call with the container's credentials, and keeps the code of its error, or None.
HOSTILE = """
import boto3
SAID = {}
for operation, given in CALLS:
    try:
        getattr(boto3.client("s3"), operation)(**given)
        SAID[operation + str(given)] = None
    except Exception as error:
        SAID[operation + str(given)] = error.response["Error"]["Code"]
"""
# What other steps of a run write, and train-0 must not.
OF_OTHER_STEPS = (
    "prepare/train/data.csv",
    "prepare/test/more.csv",
    "train/another/output/model.tar.gz",
    "evaluate/candidate/evaluation.json",
)


def test_user_code_cannot_forge_evidence_or_see_other_pipelines(loop: Loop) -> None:
    """A training script and a model server try to, with all that their credentials allow."""
    artifacts, data = (loop.target.outputs[f"{name}BucketName"] for name in ("Artifact", "Data"))
    pipeline, run = loop.pipeline, f"{loop.pipeline}-00001"
    calls = [
        *(
            ("put_object", {"Bucket": artifacts, "Key": key, "Body": "{}"})
            for key in (
                f"runs/{pipeline}/{run}/manifest.json",
                f"evidence/{pipeline}/{run}/manifest.json",
                f"runs/{pipeline}/{pipeline}-00002/train/model.tar.gz",
                *(f"runs/{pipeline}/{run}/{other}" for other in OF_OTHER_STEPS),
                "runs/other/other-00001/train/model.tar.gz",
                f"models/{pipeline}/{'0' * 64}/model.tar.gz",
                f"projects/{pipeline}/v/sourcedir.tar.gz",
            )
        ),
        ("put_object", {"Bucket": data, "Key": f"{pipeline}/more.csv", "Body": "x,y"}),
        ("get_object", {"Bucket": artifacts, "Key": "projects/other/v/code/train.py"}),
        ("get_object", {"Bucket": data, "Key": "other/part.csv"}),
        ("list_objects_v2", {"Bucket": data, "Prefix": "other/"}),
        ("list_objects_v2", {"Bucket": artifacts}),
    ]
    hostile = f"CALLS = {calls!r}{HOSTILE}"
    job = names.job_name(loop.target.stack, run, "train-0")
    noted = {"Bucket": artifacts, "Key": f"runs/{pipeline}/{run}/train/{job}/output/note.json"}
    tell = f"boto3.client('s3').put_object(**{noted!r}, Body=json.dumps(SAID))\n"
    answer = "\n\ndef output_fn(prediction, accept):\n    return json.dumps(SAID), 'application/json'\n"
    loop.push(
        train=f"{(TINY / 'src/train.py').read_text()}\n{hostile}{tell}",
        inference=f"{(TINY / 'src/inference.py').read_text()}\n{hostile}{answer}",
    )
    assert loop.run_after("part.csv", rows(100, seed=1))["status"] == "registered"
    said = json.loads(loop.target.client("s3").get_object(**noted)["Body"].read())
    assert list(said.values()) == ["AccessDenied"] * len(calls), said
    assert loop.release_after(1)["status"] == "released"
    said = loop.predict()
    assert list(said.values()) == ["AccessDenied"] * len(calls), said
    path = f"/sluice/{loop.target.stack}/"

    def left() -> list[str]:
        found = [role["RoleName"] for role in loop.target.client("iam").list_roles(PathPrefix=path)["Roles"]]
        return [name for name in found if name.startswith(pipeline)]

    # The roles of a run go after its end is on record.
    waiting.until(
        lambda: all(name.startswith(f"{pipeline}-serving-") for name in left()) or None,
        timeout_s=120,
        what="the end of the run's roles",
    )
    assert left()
