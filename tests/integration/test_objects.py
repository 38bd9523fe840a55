"""Objects of S3: versions, checksums, keys of any spelling, and what is not there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from sluice.adapters.objects import S3Objects
from sluice.domain.digests import Part

BUCKET = "data"


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield client


@pytest.fixture
def objects(s3: Any) -> S3Objects:
    return S3Objects(s3)


def put(s3: Any, key: str, body: bytes, **given: Any) -> str:
    return str(s3.put_object(Bucket=BUCKET, Key=key, Body=body, **given)["VersionId"])


@pytest.mark.parametrize("key", ["p/a b.csv", "p/a+b.csv", "p/100%25.csv", "p/größe/日本.csv", "p/a#b?.csv"])
def test_a_key_is_taken_as_it_is(s3: Any, objects: S3Objects, key: str) -> None:
    version_id = put(s3, key, b"rows")
    head = objects.head(BUCKET, key, version_id)
    assert head is not None
    assert (head.key, head.version_id, head.size_bytes) == (key, version_id, 4)
    assert b"".join(objects.chunks(BUCKET, key, version_id)) == b"rows"
    assert objects.read(f"s3://{BUCKET}/{key}") == b"rows"


def test_a_version_is_read_though_another_is_current(s3: Any, objects: S3Objects, tmp_path: Path) -> None:
    first = put(s3, "p/a.csv", b"first")
    put(s3, "p/a.csv", b"second")
    objects.download(BUCKET, "p/a.csv", first, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert objects.read(f"s3://{BUCKET}/p/a.csv") == b"second"


def test_an_object_is_opened_as_one_version(s3: Any, objects: S3Objects) -> None:
    first = put(s3, "p/a.csv", b"first")
    found = objects.open(BUCKET, "p/a.csv")
    assert found is not None
    head, chunks = found
    put(s3, "p/a.csv", b"second")
    assert (head.key, head.version_id, head.size_bytes) == ("p/a.csv", first, 5)
    assert head == objects.head(BUCKET, "p/a.csv", first)
    assert b"".join(chunks) == b"first"
    assert objects.open(BUCKET, "p/none.csv") is None


def test_a_stored_sha256_is_told_in_hex(s3: Any, objects: S3Objects) -> None:
    put(s3, "p/a.csv", b"rows", ChecksumAlgorithm="SHA256")
    head = objects.head(BUCKET, "p/a.csv")
    assert head is not None
    assert head.sha256 == hashlib.sha256(b"rows").hexdigest()


def test_without_a_stored_sha256_there_is_none(s3: Any, objects: S3Objects) -> None:
    put(s3, "p/a.csv", b"rows")
    head = objects.head(BUCKET, "p/a.csv")
    assert head is not None
    assert head.sha256 is None


@pytest.mark.parametrize(
    "answer",
    [
        {"ChecksumSHA256": "c2hhMjU2", "ChecksumType": "COMPOSITE"},
        {"ChecksumSHA256": "c2hhMjU2-3"},
    ],
)
def test_the_checksum_of_a_multipart_uploads_checksums_is_none_of_its_bytes(
    s3: Any, objects: S3Objects, answer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, "p/a.csv", b"rows")
    head_object = s3.head_object
    monkeypatch.setattr(s3, "head_object", lambda **given: {**head_object(**given), **answer})
    head = objects.head(BUCKET, "p/a.csv")
    assert head is not None
    assert head.sha256 is None


def test_what_is_not_there_has_no_head_and_cannot_be_read(s3: Any, objects: S3Objects) -> None:
    assert objects.head(BUCKET, "p/none") is None
    with pytest.raises(FileNotFoundError):
        objects.read(f"s3://{BUCKET}/p/none")


def test_a_deleted_object_is_not_there_but_its_version_is(s3: Any, objects: S3Objects) -> None:
    version_id = put(s3, "p/a.csv", b"rows")
    s3.delete_object(Bucket=BUCKET, Key="p/a.csv")
    assert objects.head(BUCKET, "p/a.csv") is None
    assert objects.head(BUCKET, "p/a.csv", version_id) is not None


def test_a_listing_holds_the_current_version_of_what_is_not_deleted(s3: Any, objects: S3Objects) -> None:
    put(s3, "p/a.csv", b"1")
    current = put(s3, "p/a.csv", b"22")
    put(s3, "p/sub/b.csv", b"1")
    put(s3, "p/gone.csv", b"1")
    put(s3, "pp/c.csv", b"1")
    s3.delete_object(Bucket=BUCKET, Key="p/gone.csv")
    listed = {head.key: head.version_id for head in objects.listing(BUCKET, "p/")}
    assert listed.keys() == {"p/a.csv", "p/sub/b.csv"}
    assert listed["p/a.csv"] == current
    assert [head.key for head in objects.listing(BUCKET, "p/", shallow=True)] == ["p/a.csv"]


def test_an_object_is_written_with_its_type_and_tagged_by_version(s3: Any, objects: S3Objects) -> None:
    objects.write(f"s3://{BUCKET}/runs/report.json", b"{}", "application/json")
    assert s3.head_object(Bucket=BUCKET, Key="runs/report.json")["ContentType"] == "application/json"
    version_id = put(s3, "p/a.csv", b"")
    put(s3, "p/a.csv", b"rows")
    objects.tag(BUCKET, "p/a.csv", version_id, {"sluice:status": "quarantined"})
    tags = s3.get_object_tagging(Bucket=BUCKET, Key="p/a.csv", VersionId=version_id)["TagSet"]
    assert tags == [{"Key": "sluice:status", "Value": "quarantined"}]
    assert s3.get_object_tagging(Bucket=BUCKET, Key="p/a.csv")["TagSet"] == []


def test_a_large_object_is_streamed_in_pieces(s3: Any, objects: S3Objects) -> None:
    put(s3, "p/a.bin", b"x" * (5 << 20))
    sizes = [len(chunk) for chunk in objects.chunks(BUCKET, "p/a.bin")]
    assert len(sizes) >= 5
    assert sum(sizes) == 5 << 20


def test_what_is_there_is_not_created_again(objects: S3Objects) -> None:
    assert objects.create(f"s3://{BUCKET}/evidence/a.json", b"first")
    assert not objects.create(f"s3://{BUCKET}/evidence/a.json", b"second")
    assert objects.read(f"s3://{BUCKET}/evidence/a.json") == b"first"


@pytest.mark.parametrize("most", [5 * 1024**3, 6 * 1024**2])
def test_the_version_that_was_seen_is_what_is_copied(
    s3: Any, objects: S3Objects, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Also by parts, as S3 copies no more than five gigabytes at once."""
    monkeypatch.setattr("sluice.adapters.multipart.COPY_BYTES_MAX", most)
    body = bytes(range(256)) * 4096 * 10
    put(s3, "p/model.tar.gz", body)
    head = objects.head(BUCKET, "p/model.tar.gz")
    assert head is not None
    put(s3, "p/model.tar.gz", b"another")
    objects.copy(head, f"s3://{BUCKET}/models/model.tar.gz")
    assert objects.read(f"s3://{BUCKET}/models/model.tar.gz") == body


@pytest.mark.parametrize("size", [3, 5 * 1024**2 - 1, 5 * 1024**2, 12 * 1024**2, 24 * 1024**2])
def test_an_object_is_put_together_of_another_whatever_its_size(
    s3: Any, objects: S3Objects, size: int
) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    put(s3, "p/files", body)
    third = size // 3
    cases: list[tuple[list[slice | bytes], bytes]] = [
        ([slice(0, -1), b", more]"], body[:-1] + b", more]"),
        (
            [slice(0, third), b"new", slice(third + 1, -1), b"]"],
            body[:third] + b"new" + body[third + 1 : -1] + b"]",
        ),
        ([slice(2 * third, None), b"-", slice(0, 1)], body[2 * third :] + b"-" + body[:1]),
    ]
    for pieces, expected in cases:
        objects.splice(f"s3://{BUCKET}/p/files", pieces, f"s3://{BUCKET}/p/other")
        assert objects.read(f"s3://{BUCKET}/p/other") == expected
    with pytest.raises(FileNotFoundError):
        objects.splice(f"s3://{BUCKET}/p/none", [b"]"], f"s3://{BUCKET}/p/other")


def test_of_a_large_object_as_much_is_read_as_its_cuts_need(
    s3: Any, objects: S3Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.adapters.multipart.COPY_BYTES_MAX", 12 * 1024**2)
    read, chunks = list[int](), objects.chunks

    def counted(*given: Any, **span: Any) -> Iterator[bytes]:
        for chunk in chunks(*given, **span):
            read.append(len(chunk))
            yield chunk

    get = s3.get_object

    def got(**given: Any) -> Any:
        if "Range" in given:
            first, last = given["Range"].removeprefix("bytes=").split("-")
            read.append(int(last) - int(first) + 1)
        return get(**given)

    monkeypatch.setattr(objects, "chunks", counted)
    monkeypatch.setattr(s3, "get_object", got)
    body = bytes(range(256)) * 4096 * 40
    put(s3, "p/files", body)
    uri = f"s3://{BUCKET}/p/longer"
    objects.splice(f"s3://{BUCKET}/p/files", [slice(0, -1), b"]]"], uri)
    assert read == []
    objects.splice(f"s3://{BUCKET}/p/files", [slice(0, 9), b"new", slice(99, None)], uri)
    assert sum(read) == 5 * 1024**2 - 3
    assert s3.get_object(Bucket=BUCKET, Key="p/longer")["Body"].read() == body[:9] + b"new" + body[99:]


def test_an_object_that_is_put_together_keeps_its_type_however_large_it_is(
    s3: Any, objects: S3Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.adapters.multipart.COPY_BYTES_MAX", 6 * 1024**2)
    body = b"x" * 12 * 1024**2
    s3.put_object(Bucket=BUCKET, Key="p/list", Body=body, ContentType="text/csv", Metadata={"who": "ada"})
    objects.splice(f"s3://{BUCKET}/p/list", [slice(0, -1), b"]"], f"s3://{BUCKET}/p/spliced")
    assert s3.head_object(Bucket=BUCKET, Key="p/spliced")["ContentType"] == "application/json"
    head = objects.head(BUCKET, "p/list")
    assert head is not None
    objects.copy(head, f"s3://{BUCKET}/p/copied")
    copied = s3.head_object(Bucket=BUCKET, Key="p/copied")
    assert (copied["ContentType"], copied["Metadata"]) == ("text/csv", {"who": "ada"})


@pytest.mark.parametrize("fails_at", ["upload_part_copy", "upload_part", "complete_multipart_upload"])
def test_of_an_object_that_could_not_be_put_together_no_part_stays(
    s3: Any, objects: S3Objects, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    put(s3, "p/list", b"x" * 12 * 1024**2)

    def fail(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "SlowDown", "Message": "SlowDown"}}, fails_at)

    monkeypatch.setattr(s3, fails_at, fail)
    with pytest.raises(ClientError, match="SlowDown"):
        objects.splice(f"s3://{BUCKET}/p/list", [slice(0, -9), b"]"], f"s3://{BUCKET}/p/other")
    assert s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    assert objects.head(BUCKET, "p/other") is None


def test_the_tags_of_an_objects_owner_stay_and_leave_room_or_none(s3: Any, objects: S3Objects) -> None:
    def tagged(count: int) -> dict[str, str]:
        put = s3.put_object(
            Bucket=BUCKET, Key="p/a.csv", Body=b"", Tagging="&".join(f"k{n}=v" for n in range(count))
        )
        objects.tag(BUCKET, "p/a.csv", put["VersionId"], {"sluice:status": "quarantined"})
        objects.tag(BUCKET, "p/a.csv", put["VersionId"], {"sluice:status": "released"})
        found = s3.get_object_tagging(Bucket=BUCKET, Key="p/a.csv", VersionId=put["VersionId"])["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in found}

    assert tagged(2) == {"k0": "v", "k1": "v", "sluice:status": "released"}
    assert tagged(9)["sluice:status"] == "released"
    assert "sluice:status" not in tagged(10)


@pytest.mark.parametrize("after", ["", "p/a.csv", "p/b.csv", "p/c.csv"])
def test_a_listing_goes_on_after_a_key_with_none_of_its_versions(
    s3: Any, objects: S3Objects, after: str
) -> None:
    named = ["p/a.csv", "p/b.csv", "p/b.csv!", "p/c.csv"]
    for key in named:
        put(s3, key, b"1")
        put(s3, key, b"22")
    listed = [head.key for head in objects.listing(BUCKET, "", after=after)]
    assert listed == [key for key in named if key > after]


def test_the_parts_of_an_upload_are_listed_with_their_checksums(s3: Any, objects: S3Objects) -> None:
    first = {"PartNumber": 1, "Size": 5, "ChecksumSHA256": "a="}
    second = {"PartNumber": 2, "Size": 3, "ChecksumSHA256": "b="}
    asked = {"Bucket": BUCKET, "Key": "k", "VersionId": "v", "ObjectAttributes": ["ObjectParts"]}
    with Stubber(s3) as stub:
        page = {"Parts": [first], "IsTruncated": True, "NextPartNumberMarker": 1}
        stub.add_response("get_object_attributes", {"ObjectParts": page}, {**asked, "PartNumberMarker": 0})
        page = {"Parts": [second], "IsTruncated": False}
        stub.add_response("get_object_attributes", {"ObjectParts": page}, {**asked, "PartNumberMarker": 1})
        assert objects.parts(BUCKET, "k", "v") == [Part(5, "a="), Part(3, "b=")]
        stub.add_response("get_object_attributes", {}, {**asked, "PartNumberMarker": 0})
        assert objects.parts(BUCKET, "k", "v") == []


def test_a_span_of_an_object_is_read_alone(s3: Any, objects: S3Objects) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"0123456789")
    assert b"".join(objects.chunks(BUCKET, "k", None, (2, 5))) == b"2345"


def test_what_is_written_in_pieces_is_one_object(objects: S3Objects) -> None:
    pieces: list[bytes | memoryview] = [b"a" * 100_000, memoryview(b"-b-")[1:2], b"c"]
    objects.write(f"s3://{BUCKET}/p/pieces", pieces)
    assert objects.read(f"s3://{BUCKET}/p/pieces") == b"a" * 100_000 + b"bc"
    assert not objects.create(f"s3://{BUCKET}/p/pieces", [b"other"])
    assert objects.create(f"s3://{BUCKET}/p/others", pieces)
    assert objects.read(f"s3://{BUCKET}/p/others") == objects.read(f"s3://{BUCKET}/p/pieces")
