"""S3: what its events say, versions, tags, checksums."""

from __future__ import annotations

import hashlib
import json
import statistics
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from local.functions import NO_RETRIES, create_function, receive, wait_for
from local.test_eventbridge import open_queue
from sluice.adapters.objects import S3Objects
from sluice_local.cloud import LocalCloud

KEYS = ["plain.csv", "with space.csv", "ünï-日本.csv", "a+b.csv", "100%25.csv", "a&b=c?.csv", "dir/sub/x.csv"]


class Watched:
    """A versioned bucket whose events land in a queue."""

    def __init__(self, cloud: LocalCloud, unique: Callable[[str], str]) -> None:
        self.cloud, self.name, self.s3 = cloud, unique("bucket"), cloud.client("s3")
        self.s3.create_bucket(Bucket=self.name)
        self.s3.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})
        self.s3.put_bucket_notification_configuration(
            Bucket=self.name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        self.url, arn = open_queue(cloud, unique("events"))
        pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [self.name]}}}
        rule = unique("rule")
        cloud.client("events").put_rule(Name=rule, EventPattern=json.dumps(pattern))
        cloud.client("events").put_targets(Rule=rule, Targets=[{"Id": "only", "Arn": arn}])

    def event(self) -> dict[str, Any]:
        (message,) = receive(self.cloud, self.url)
        event: dict[str, Any] = json.loads(message["Body"])
        return event


@pytest.fixture
def bucket(cloud: LocalCloud, unique: Callable[[str], str]) -> Watched:
    return Watched(cloud, unique)


@pytest.mark.parametrize("key", KEYS)
def test_an_upload_is_announced_with_its_key_as_it_is(bucket: Watched, key: str) -> None:
    put = bucket.s3.put_object(Bucket=bucket.name, Key=key, Body=b"hello")
    event = bucket.event()
    assert (event["source"], event["detail-type"]) == ("aws.s3", "Object Created")
    assert event["resources"] == [f"arn:aws:s3:::{bucket.name}"]
    detail = event["detail"]
    sequencer = detail["object"].pop("sequencer")
    assert int(sequencer, 16) > 0
    assert detail["object"] == {
        "key": key,
        "size": 5,
        "etag": put["ETag"].strip('"'),
        "version-id": put["VersionId"],
    }
    assert (detail["bucket"], detail["reason"]) == ({"name": bucket.name}, "PutObject")


def test_a_copy_is_announced_with_the_version_it_made(bucket: Watched) -> None:
    source = {"Bucket": bucket.name, "Key": "from.csv"}
    bucket.s3.put_object(**source, Body=b"hello")
    bucket.event()
    copy = bucket.s3.copy_object(Bucket=bucket.name, Key="to.csv", CopySource=source)
    detail = bucket.event()["detail"]
    assert detail["reason"] == "CopyObject"
    assert detail["object"]["version-id"] == copy["VersionId"]
    assert detail["object"]["size"] == 5


def test_a_deletion_is_announced_with_the_marker_or_the_version_that_it_deleted(bucket: Watched) -> None:
    put = bucket.s3.put_object(Bucket=bucket.name, Key="a.csv", Body=b"hello")
    bucket.event()
    for given, kind in (
        ({}, "Delete Marker Created"),
        ({"VersionId": put["VersionId"]}, "Permanently Deleted"),
    ):
        deleted = bucket.s3.delete_object(Bucket=bucket.name, Key="a.csv", **given)
        event = bucket.event()
        assert (event["source"], event["detail-type"]) == ("aws.s3", "Object Deleted")
        assert event["detail"]["deletion-type"] == kind
        assert event["detail"]["object"]["key"] == "a.csv"
        assert event["detail"]["object"]["version-id"] == deleted["VersionId"]


def test_a_multipart_upload_is_announced_once_when_it_is_complete(bucket: Watched) -> None:
    target = {"Bucket": bucket.name, "Key": "big.bin"}
    upload = bucket.s3.create_multipart_upload(**target)["UploadId"]
    sizes = [5 << 20, 7]
    parts = [
        {
            "PartNumber": number,
            "ETag": bucket.s3.upload_part(**target, UploadId=upload, PartNumber=number, Body=b"x" * size)[
                "ETag"
            ],
        }
        for number, size in enumerate(sizes, 1)
    ]
    done = bucket.s3.complete_multipart_upload(**target, UploadId=upload, MultipartUpload={"Parts": parts})
    detail = bucket.event()["detail"]
    assert detail["reason"] == "CompleteMultipartUpload"
    assert detail["object"]["size"] == sum(sizes)
    assert detail["object"]["version-id"] == done["VersionId"]
    assert detail["object"]["etag"] == done["ETag"].strip('"')
    assert detail["object"]["etag"].endswith("-2")


def test_a_deletion_is_announced_with_its_marker(bucket: Watched) -> None:
    bucket.s3.put_object(Bucket=bucket.name, Key="gone.csv")
    bucket.event()
    marker = bucket.s3.delete_object(Bucket=bucket.name, Key="gone.csv")
    event = bucket.event()
    assert event["detail-type"] == "Object Deleted"
    assert event["detail"]["deletion-type"] == "Delete Marker Created"
    assert event["detail"]["object"]["version-id"] == marker["VersionId"]


def test_sequencers_of_a_key_grow(bucket: Watched) -> None:
    sequencers = []
    for _ in range(3):
        bucket.s3.put_object(Bucket=bucket.name, Key="again.csv")
        sequencers.append(bucket.event()["detail"]["object"]["sequencer"])
    assert sequencers == sorted(sequencers)
    assert len(set(sequencers)) == 3


def test_an_older_version_is_described_and_read_by_its_id(bucket: Watched) -> None:
    old = bucket.s3.put_object(Bucket=bucket.name, Key="k", Body=b"old", Metadata={"who": "me"})["VersionId"]
    bucket.s3.put_object(Bucket=bucket.name, Key="k", Body=b"newer")
    head = bucket.s3.head_object(Bucket=bucket.name, Key="k", VersionId=old)
    assert (head["ContentLength"], head["VersionId"], head["Metadata"]) == (3, old, {"who": "me"})
    body = bucket.s3.get_object(Bucket=bucket.name, Key="k", VersionId=old)["Body"].read()
    assert body == b"old"
    bucket.s3.delete_object(Bucket=bucket.name, Key="k", VersionId=old)
    with pytest.raises(bucket.s3.exceptions.ClientError, match="404"):
        bucket.s3.head_object(Bucket=bucket.name, Key="k", VersionId=old)


def test_listing_versions_pages_through_all_of_them(bucket: Watched) -> None:
    made = {
        (key, bucket.s3.put_object(Bucket=bucket.name, Key=key)["VersionId"])
        for key in ("a/1", "a/2", "a/3", "b/1")
        for _ in range(3)
    }
    pages = list(
        bucket.s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket.name, Prefix="a/", PaginationConfig={"PageSize": 2}
        )
    )
    listed = [(item["Key"], item["VersionId"]) for page in pages for item in page["Versions"]]
    assert len(pages) == 5
    assert set(listed) == {item for item in made if item[0].startswith("a/")}
    assert len(listed) == 9
    assert sum(item["IsLatest"] for page in pages for item in page["Versions"]) == 3


def test_an_object_keeps_its_tags_and_its_checksum(bucket: Watched) -> None:
    digest = b64encode(hashlib.sha256(b"hello").digest()).decode()
    bucket.s3.put_object(
        Bucket=bucket.name, Key="k", Body=b"hello", Tagging="stage=raw&n=1", ChecksumAlgorithm="SHA256"
    )
    tags = bucket.s3.get_object_tagging(Bucket=bucket.name, Key="k")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"stage": "raw", "n": "1"}
    head = bucket.s3.head_object(Bucket=bucket.name, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == digest
    attributes = bucket.s3.get_object_attributes(
        Bucket=bucket.name, Key="k", ObjectAttributes=["Checksum", "ObjectSize"]
    )
    assert attributes["Checksum"]["ChecksumSHA256"] == digest
    with pytest.raises(bucket.s3.exceptions.ClientError, match="BadDigest"):
        bucket.cloud.client("s3", config=NO_RETRIES).put_object(
            Bucket=bucket.name, Key="k", Body=b"other", ChecksumSHA256=digest
        )


def test_encryption_by_kms_without_a_key_is_with_the_accounts_own(bucket: Watched) -> None:
    bucket.s3.put_object(Bucket=bucket.name, Key="a", Body=b"1", ServerSideEncryption="aws:kms")
    found = bucket.s3.head_object(Bucket=bucket.name, Key="a")
    own = f"arn:aws:kms:{bucket.cloud.region}:{bucket.cloud.account}:key/"
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"][: len(own)]) == ("aws:kms", own)
    upload = bucket.s3.create_multipart_upload(Bucket=bucket.name, Key="b", ServerSideEncryption="aws:kms")
    assert upload["SSEKMSKeyId"] == found["SSEKMSKeyId"]
    named = bucket.s3.put_object(
        Bucket=bucket.name, Key="c", Body=b"1", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/mine"
    )
    assert named["SSEKMSKeyId"] == "alias/mine"


def test_uploads_are_kept_in_archives_like_other_events(
    cloud: LocalCloud, bucket: Watched, unique: Callable[[str], str]
) -> None:
    events, name = cloud.client("events"), unique("archive")
    bus = f"arn:aws:events:{cloud.region}:{cloud.account}:event-bus/default"
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket.name]}}}
    events.create_archive(ArchiveName=name, EventSourceArn=bus, EventPattern=json.dumps(pattern))
    bucket.s3.put_object(Bucket=bucket.name, Key="k")
    bucket.event()
    assert events.describe_archive(ArchiveName=name)["EventCount"] == 1


def test_a_policy_that_denies_insecure_transport_lets_loopback_through(
    auth_cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    s3, name = auth_cloud.client("s3"), unique("tls")
    s3.create_bucket(Bucket=name)
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"x"


# Notes each event in a file, slowly.
NOTE = """
import time
def handler(event, context):
    time.sleep(0.02)
    with open({path!r}, "a") as file:
        file.write(event["detail"]["object"]["key"] + "\\n")
"""


@pytest.fixture
def common() -> Iterator[Path]:
    """A folder that functions see too: they have a /tmp of their own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/proc").exists(), reason="counts the threads of a process of Linux")
def test_a_burst_of_uploads_takes_few_threads_keeps_its_order_and_holds_no_other_folder_up(
    cloud: LocalCloud, unique: Callable[[str], str], common: Path
) -> None:
    seen, bucket, rule = common / "seen", unique("burst"), unique("rule")
    function = create_function(cloud, unique("note"), NOTE.format(path=str(seen)))
    s3, events = cloud.client("s3", config=Config(max_pool_connections=16)), cloud.client("events")
    s3.create_bucket(Bucket=bucket)
    configuration: Any = {"EventBridgeConfiguration": {}}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    events.put_rule(
        Name=rule, EventPattern=json.dumps({"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}})
    )
    events.put_targets(Rule=rule, Targets=[{"Id": "only", "Arn": function}])
    before = threads(cloud)
    for number in range(400):
        s3.put_object(Bucket=bucket, Key=f"busy/{number:03d}", Body=b"x")
    waiting = 400 - len(seen.read_text().split())
    s3.put_object(Bucket=bucket, Key="other/000", Body=b"x")
    assert threads(cloud) - before < 50
    wait_for(lambda: seen.exists() and len(seen.read_text().split()) == 401)
    keys = seen.read_text().split()
    assert sorted(keys) == [*(f"busy/{number:03d}" for number in range(400)), "other/000"]
    busy = [int(key[5:]) for key in keys if key.startswith("busy/")]
    late = [number for position, number in enumerate(busy) if position - number >= 5]
    # Of each environment that starts the first event is late, and those that overtake it are a little early.
    assert len(late) <= 4, late
    assert statistics.mean(abs(number - position) for position, number in enumerate(busy)) < 5
    # A slow machine has delivered most by then: whatever waits is overtaken.
    assert 400 - keys.index("other/000") >= waiting // 2 - 10


def threads(cloud: LocalCloud) -> int:
    """How many threads the process that serves has."""
    (host,) = Path(f"/proc/{cloud.pid}/task/{cloud.pid}/children").read_text().split()
    return len(list(Path(f"/proc/{host}/task").iterdir()))


@pytest.mark.parametrize(("wanted", "part"), [("bytes=2-4", "2-4"), ("bytes=7-", "7-9"), ("bytes=-3", "7-9")])
def test_a_range_is_described_as_it_would_be_read(bucket: Watched, wanted: str, part: str) -> None:
    bucket.s3.put_object(Bucket=bucket.name, Key="digits", Body=b"0123456789")
    described = bucket.s3.head_object(Bucket=bucket.name, Key="digits", Range=wanted)
    read = bucket.s3.get_object(Bucket=bucket.name, Key="digits", Range=wanted)
    assert described["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert described["ContentRange"] == read["ContentRange"] == f"bytes {part}/10"
    assert described["ContentLength"] == len(read["Body"].read()) == 3


def test_a_range_beyond_the_end_is_refused(bucket: Watched) -> None:
    bucket.s3.put_object(Bucket=bucket.name, Key="digits", Body=b"0123456789")
    with pytest.raises(bucket.s3.exceptions.ClientError) as refused:
        bucket.s3.head_object(Bucket=bucket.name, Key="digits", Range="bytes=10-")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 416


def test_an_object_is_put_together_of_ranges_of_another(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    """As a large list of files is when an object was deleted."""
    s3, bucket = cloud.client("s3"), unique("bucket")
    s3.create_bucket(Bucket=bucket)
    body = b"".join(number.to_bytes(4) for number in range(4_000_000))
    s3.put_object(Bucket=bucket, Key="list", Body=body)
    objects = S3Objects(s3)
    pieces: list[slice | bytes] = [slice(0, 100), b"new", slice(400_000, -1), b"]"]
    objects.splice(f"s3://{bucket}/list", pieces, f"s3://{bucket}/other")
    assert objects.read(f"s3://{bucket}/other") == body[:100] + b"new" + body[400_000:-1] + b"]"
    head = objects.head(bucket, "other")
    assert head is not None
    assert head.etag.endswith("-3")
    assert s3.head_object(Bucket=bucket, Key="other")["ContentType"] == "application/json"


@pytest.mark.parametrize("pieces", [[slice(0, -1), b"]"], [b"[", slice(1, None)]], ids=["copied", "read"])
def test_of_an_object_that_was_overwritten_meanwhile_nothing_is_put_together(
    cloud: LocalCloud, unique: Callable[[str], str], pieces: list[slice | bytes]
) -> None:
    s3, bucket = cloud.client("s3"), unique("bucket")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="list", Body=b"x" * 12_000_000)
    objects = S3Objects(s3)
    opened = objects.open(bucket, "list")
    s3.put_object(Bucket=bucket, Key="list", Body=b"y" * 12_000_000)
    objects.open = lambda *_: opened  # type: ignore[method-assign]
    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
        objects.splice(f"s3://{bucket}/list", pieces, f"s3://{bucket}/other")
    assert objects.head(bucket, "other") is None
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
