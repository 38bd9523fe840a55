"""Batches, rejected data and data set versions, as their owners see them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from typer.testing import CliRunner

import bus
from e2e.loop import RUN_TIMEOUT_S, Loop, rows, silent
from sluice_cli import main, waiting

pytestmark = pytest.mark.thorough

BAD = b"x,y\n" + b"1,0\n" * 30 + b"seven,1\n"


def sluice(loop: Loop, *words: str, exit_code: int = 0) -> Any:
    """What a command prints with --json."""
    result = CliRunner().invoke(main.app, ["--stack", loop.target.stack, *words, "--json"])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return json.loads(result.stdout)


def test_a_batch_with_a_manifest_file_is_shown_with_what_it_lacks_and_builds_when_it_is_complete(
    loop: Loop,
) -> None:
    loop.push(pipeline=loop.configure(complete_when="{manifest: manifest.json}"))
    first, second = rows(60, seed=1), rows(60, seed=2)
    listed = ["dt=1/a.csv", {"key": "dt=2/b.csv", "sha256": hashlib.sha256(second).hexdigest()}]
    loop.upload("manifest.json", json.dumps(listed).encode())
    loop.upload("dt=1/a.csv", first)
    loop.upload("dt=2/b.csv", first)
    lacking = f"{loop.pipeline}/dt=2/b.csv has sha256"
    waiting.until(
        lambda: (
            any(lacking in text for batch in loop.status()["incomplete"] for text in batch["missing"]) or None
        ),
        timeout_s=120,
        what="the incomplete batch to be shown",
    )
    assert waiting.run_ids(loop.target, loop.pipeline) == set()
    assert loop.run_after("dt=2/b.csv", second)["status"] == "registered"
    assert loop.status()["incomplete"] == []


def test_a_marker_completes_its_folder_and_is_no_data(loop: Loop) -> None:
    loop.push(pipeline=loop.configure(complete_when="{marker: _SUCCESS}"))
    loop.upload("a/1.csv", rows(100, seed=1))
    loop.upload("b/2.csv", rows(100, seed=2))
    run = loop.run_after("a/_SUCCESS", b"")
    assert run["status"] == "registered"
    shown = sluice(loop, "dataset", "show", loop.pipeline, run["dataset_version"][:12])
    assert [obj["key"] for obj in shown["objects"]] == [f"{loop.pipeline}/a/1.csv"]
    (batch,) = sluice(loop, "data", "list", loop.pipeline)["incomplete"]
    assert batch["missing"] == [f"{loop.pipeline}/b/_SUCCESS is missing"]


def test_the_owner_of_rejected_data_is_told_once_and_may_release_them(loop: Loop) -> None:
    sns, sqs = loop.target.client("sns"), loop.target.client("sqs")
    url = sqs.create_queue(QueueName=f"owner-{loop.pipeline}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = loop.target.outputs["NoticesTopicArn"]
    policy = bus.queue_policy(arn, "sns.amazonaws.com", topic)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    wanted = {"kind": ["data_rejected"], "pipeline": [loop.pipeline]}
    given = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps(wanted)}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=given)

    loop.push()
    run = loop.run_after("bad.csv", BAD)
    assert run["status"] == "data_rejected"
    told: list[dict[str, Any]] = []

    def hear() -> bool | None:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        told.extend(json.loads(message["Body"]) for message in messages)
        return bool(told) or None

    waiting.until(hear, timeout_s=120, what="the owner to be told")
    (notice,) = told
    assert (notice["kind"], notice["is_over"]) == ("data_rejected", False)
    assert f"New data of {loop.pipeline} were rejected by {run['run_id']}" in notice["title"]
    assert run["reasons"][0][:40] in notice["reason"]
    assert notice["command"] == f"sluice --stack {loop.target.stack} report {run['run_id']}"
    (kept, *_) = sluice(loop, "notify", "list")["notices"]
    assert (kept["key"], kept["channels"]) == (notice["key"], {"topic": "sent"})
    s3, bucket = loop.target.client("s3"), loop.target.outputs["DataBucketName"]

    (listed,) = sluice(loop, "data", "list", loop.pipeline, "--quarantined")["arrivals"]
    assert listed["key"] == f"{loop.pipeline}/bad.csv"
    tags = s3.get_object_tagging(Bucket=bucket, Key=listed["key"])["TagSet"]
    assert tags == [{"Key": "sluice:status", "Value": "quarantined"}]

    known = waiting.run_ids(loop.target, loop.pipeline)
    assert sluice(loop, "data", "release", listed["key"], "-m", "a look")["status"] == "pending"
    again = waiting.new_run(loop.target, loop.pipeline, known, timeout_s=RUN_TIMEOUT_S)
    ended = waiting.run_end(loop.target, loop.pipeline, again, silent, timeout_s=RUN_TIMEOUT_S)
    assert ended["status"] == "skipped"
    assert loop.status()["arrivals"] == {"quarantined": 1}
    assert loop.run_after("bad.csv", rows(100, seed=1))["status"] == "registered"
    assert loop.status()["quarantined"] == []
    hear()
    # A message that was received before may come again: it is the same event.
    assert len({notice["key"] for notice in told}) == 1


def objects_of(loop: Loop, run: dict[str, Any]) -> list[str]:
    """The keys of a run's data set, without the pipeline's folder."""
    shown = sluice(loop, "dataset", "show", loop.pipeline, run["dataset_version"])
    return [obj["key"].removeprefix(f"{loop.pipeline}/") for obj in shown["objects"]]


def quarantined(loop: Loop) -> dict[str, str]:
    """Why each object is set aside, by its key without the pipeline's folder."""
    listed = sluice(loop, "data", "list", loop.pipeline, "--quarantined")["arrivals"]
    return {item["key"].removeprefix(f"{loop.pipeline}/"): item["reason"] for item in listed}


def test_the_bad_one_of_three_files_is_set_aside_and_the_others_are_built_by_themselves(loop: Loop) -> None:
    loop.push()
    loop.upload("a.csv", rows(60, seed=1))
    loop.upload("bad.csv", BAD)
    rejected = loop.run_after("c.csv", rows(60, seed=2))
    assert rejected["status"] == "data_rejected"
    rest = loop.next_run({rejected["run_id"]})
    assert rest["status"] == "registered"
    assert objects_of(loop, rest) == ["a.csv", "c.csv"]
    key = f"{loop.pipeline}/bad.csv"
    assert quarantined(loop) == {"bad.csv": f"x: 1 row not of type number (such as {key} row 31)"}
    corrected = loop.run_after("bad.csv", rows(60, seed=3))
    assert corrected["status"] == "registered"
    assert objects_of(loop, corrected) == ["a.csv", "bad.csv", "c.csv"]
    assert quarantined(loop) == {}


def test_what_is_left_of_a_marked_folder_waits_until_the_marker_comes_again(loop: Loop) -> None:
    loop.push(pipeline=loop.configure(complete_when="{marker: _SUCCESS}"))
    loop.upload("f/a.csv", rows(100, seed=1))
    loop.upload("f/bad.csv", BAD)
    assert loop.run_after("f/_SUCCESS", b"")["status"] == "data_rejected"
    (batch,) = sluice(loop, "data", "list", loop.pipeline)["incomplete"]
    assert (batch["folder"], batch["objects"]) == (f"{loop.pipeline}/f/", 1)
    assert batch["missing"][0].startswith(
        f"{loop.pipeline}/f/bad.csv is quarantined until it is released, or "
    )
    loop.upload("f/bad.csv", rows(60, seed=2))
    run = loop.run_after("f/_SUCCESS", b"")
    assert run["status"] == "registered"
    assert objects_of(loop, run) == ["f/a.csv", "f/bad.csv"]


def test_a_data_set_version_is_verified_and_what_became_of_its_objects_named(loop: Loop) -> None:
    loop.push()
    loop.upload("a.csv", rows(60, seed=1))
    loop.upload("b.csv", rows(60, seed=2))
    run = loop.run_after("c.csv", rows(60, seed=3))
    version = sluice(loop, "dataset", "list", loop.pipeline)[0]["dataset_version"]
    assert version == run["dataset_version"]
    assert sluice(loop, "dataset", "verify", loop.pipeline, version)["is_intact"] is True
    s3, bucket = loop.target.client("s3"), loop.target.outputs["DataBucketName"]
    loop.upload("a.csv", rows(60, seed=4))
    s3.delete_object(Bucket=bucket, Key=f"{loop.pipeline}/b.csv")
    found = sluice(loop, "dataset", "verify", loop.pipeline, version[:12], exit_code=3)
    conditions = {obj["key"].rpartition("/")[2]: obj["condition"] for obj in found["objects"]}
    assert conditions == {"a.csv": "overwritten", "b.csv": "deleted", "c.csv": "intact"}
    # The next version has other content at one key and none at the other, and jobs get what it has.
    after = loop.run_after("d.csv", rows(60, seed=5))
    assert after["status"] == "registered"
    assert objects_of(loop, after) == ["a.csv", "c.csv", "d.csv"]
    artifacts = loop.target.outputs["ArtifactBucketName"]
    key = f"datasets/{loop.pipeline}/{after['dataset_version']}/files.manifest"
    prefix, *keys = json.loads(s3.get_object(Bucket=artifacts, Key=key)["Body"].read())
    assert prefix == {"prefix": f"s3://{bucket}/"}
    assert sorted(keys) == [f"{loop.pipeline}/{name}.csv" for name in "acd"]
