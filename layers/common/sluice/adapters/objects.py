"""Adapter for objects in S3."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sluice.adapters import multipart
from sluice.adapters.clients import client, error_code
from sluice.adapters.pieces import PiecesFile
from sluice.domain import times
from sluice.domain.digests import Part
from sluice.domain.locations import bucket_and_key
from sluice.ports import ObjectHead

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, CopySourceTypeDef

    from sluice.ports import Content, Piece

_CHUNK_BYTES = 1 << 20
_TAGS_MAX = 10
_JSON = "application/json"
_ABSENT = {"404", "NoSuchKey", "NoSuchVersion", "NoSuchBucket"}


class S3Objects:
    """S3, with one client for all buckets of the region."""

    def __init__(self, s3: S3Client | None = None) -> None:
        self._s3: S3Client = s3 or client("s3")

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectHead | None:
        try:
            answer = self._s3.head_object(
                Bucket=bucket, Key=key, ChecksumMode="ENABLED", **_version(version_id)
            )
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        return _head(bucket, key, answer)

    def open(self, bucket: str, key: str) -> tuple[ObjectHead, Iterator[bytes]] | None:
        try:
            answer = self._s3.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        return _head(bucket, key, answer), answer["Body"].iter_chunks(_CHUNK_BYTES)

    def parts(self, bucket: str, key: str, version_id: str) -> list[Part]:
        found, marker = list[Part](), 0
        while True:
            answer = self._s3.get_object_attributes(
                Bucket=bucket,
                Key=key,
                VersionId=version_id,
                ObjectAttributes=["ObjectParts"],
                PartNumberMarker=marker,
            ).get("ObjectParts", {})
            listed = answer.get("Parts", [])
            found += [
                Part(part["Size"], part["ChecksumSHA256"]) for part in listed if "ChecksumSHA256" in part
            ]
            if not listed or not answer.get("IsTruncated"):
                return found
            marker = answer["NextPartNumberMarker"]

    def chunks(
        self, bucket: str, key: str, version_id: str | None = None, span: tuple[int, int] | None = None
    ) -> Iterator[bytes]:
        part: Any = {"Range": f"bytes={span[0]}-{span[1]}"} if span else {}
        try:
            answer = self._s3.get_object(Bucket=bucket, Key=key, **_version(version_id), **part)
        except ClientError as error:
            if error_code(error) in _ABSENT:
                raise FileNotFoundError(f"s3://{bucket}/{key}") from None
            raise
        yield from answer["Body"].iter_chunks(_CHUNK_BYTES)

    def folders(self, bucket: str, prefix: str = "") -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
            yield from (folder["Prefix"] for folder in page.get("CommonPrefixes", []))

    def listing(
        self, bucket: str, prefix: str, *, shallow: bool = False, after: str = ""
    ) -> Iterator[ObjectHead]:
        chosen: Any = {"Delimiter": "/"} if shallow else {}
        chosen |= {"KeyMarker": after} if after else {}
        # Only this listing has version ids; it has old versions too.
        pages = self._s3.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=bucket, Prefix=prefix, **chosen):
            for version in page.get("Versions", []):
                if version["IsLatest"] and version["Key"] > after:
                    yield ObjectHead(
                        bucket=bucket,
                        key=version["Key"],
                        version_id=version["VersionId"],
                        size_bytes=version["Size"],
                        etag=version["ETag"].strip('"'),
                        last_modified=times.to_iso(version["LastModified"]),
                    )

    def read(self, uri: str) -> bytes:
        return b"".join(self.chunks(*bucket_and_key(uri)))

    def write(self, uri: str, data: Content, content_type: str = "application/octet-stream") -> None:
        bucket, key = bucket_and_key(uri)
        self._s3.put_object(Bucket=bucket, Key=key, Body=_body(data), ContentType=content_type)

    def create(self, uri: str, data: Content, content_type: str = "application/octet-stream") -> bool:
        bucket, key = bucket_and_key(uri)
        body = _body(data)
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) == "PreconditionFailed":
                return False
            raise
        return True

    def copy(self, source: ObjectHead, uri: str) -> None:
        bucket, key = bucket_and_key(uri)
        origin: CopySourceTypeDef = {
            "Bucket": source.bucket,
            "Key": source.key,
            "VersionId": source.version_id,
        }
        if source.size_bytes <= multipart.COPY_BYTES_MAX:
            # Do not copy the source's tags, which would need a permission to read.
            self._s3.copy_object(Bucket=bucket, Key=key, CopySource=origin, TaggingDirective="REPLACE")
            return
        described = self._s3.head_object(**origin)
        kept = {"ContentType": described["ContentType"], "Metadata": described["Metadata"]}
        self._assemble(uri, source, origin, multipart.plan(source.size_bytes, [slice(None)]), kept)

    def splice(self, source_uri: str, pieces: Sequence[slice | Piece], uri: str) -> None:
        opened = self.open(*bucket_and_key(source_uri))
        if opened is None:
            raise FileNotFoundError(source_uri)
        head, chunks = opened
        if head.size_bytes >= multipart.PART_BYTES_MIN:
            parts = multipart.plan(head.size_bytes, pieces)
            origin: CopySourceTypeDef = {"Bucket": head.bucket, "Key": head.key}
            self._assemble(uri, head, origin, parts, {"ContentType": _JSON})
        else:
            source = memoryview(b"".join(chunks))
            found = [source[each] if isinstance(each, slice) else each for each in pieces]
            self.write(uri, found, _JSON)

    def _assemble(
        self,
        uri: str,
        source: ObjectHead,
        origin: CopySourceTypeDef,
        parts: Sequence[multipart.Part],
        described: Mapping[str, Any],
    ) -> None:
        """Make an object in S3 of parts, which are copied from another object or uploaded.

        If that is another by then, or S3 fails, nothing is made, and no part stays.
        """
        bucket, key = bucket_and_key(uri)
        upload_id = self._s3.create_multipart_upload(Bucket=bucket, Key=key, **described)["UploadId"]
        upload: dict[str, Any] = {"Bucket": bucket, "Key": key, "UploadId": upload_id}
        try:
            done = self._put_parts(upload, source, origin, parts)
            self._s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
        except BaseException:
            # It may be complete already, and what failed tells more than that it cannot be aborted.
            with suppress(ClientError):
                self._s3.abort_multipart_upload(**upload)
            raise

    def _put_parts(
        self,
        upload: Mapping[str, Any],
        source: ObjectHead,
        origin: CopySourceTypeDef,
        parts: Sequence[multipart.Part],
    ) -> list[CompletedPartTypeDef]:
        done: list[CompletedPartTypeDef] = []
        for number, part in enumerate(parts, 1):
            if isinstance(part, range):
                answer = self._s3.upload_part_copy(
                    **upload,
                    PartNumber=number,
                    CopySource=origin,
                    CopySourceIfMatch=source.etag,
                    CopySourceRange=f"bytes={part[0]}-{part[-1]}",
                )
                etag = answer["CopyPartResult"]["ETag"]
            else:
                body = _body([self._piece(source, origin, each) for each in part])
                etag = self._s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]
            done.append({"PartNumber": number, "ETag": etag})
        return done

    def _piece(self, source: ObjectHead, origin: CopySourceTypeDef, part: range | Piece) -> Piece:
        if not isinstance(part, range):
            return part
        span = f"bytes={part[0]}-{part[-1]}"
        return self._s3.get_object(**origin, Range=span, IfMatch=source.etag)["Body"].read()

    def download(self, bucket: str, key: str, version_id: str | None, path: Path) -> None:
        with path.open("wb") as file:
            file.writelines(self.chunks(bucket, key, version_id))

    def upload(self, path: Path, uri: str, content_type: str = "application/octet-stream") -> None:
        bucket, key = bucket_and_key(uri)
        with path.open("rb") as file:
            self._s3.put_object(Bucket=bucket, Key=key, Body=file, ContentType=content_type)

    def tag(self, bucket: str, key: str, version_id: str, tags: Mapping[str, str]) -> None:
        try:
            answer = self._s3.get_object_tagging(Bucket=bucket, Key=key, VersionId=version_id)
            # PutObjectTagging replaces all tags: keep those of the object's owner, first.
            merged = {**{tag["Key"]: tag["Value"] for tag in answer["TagSet"]}, **tags}
            if len(merged) > _TAGS_MAX:
                return
            self._s3.put_object_tagging(
                Bucket=bucket,
                Key=key,
                VersionId=version_id,
                Tagging={"TagSet": [{"Key": name, "Value": value} for name, value in merged.items()]},
            )
        except ClientError as error:
            if error_code(error) not in _ABSENT:
                raise


def _body(data: Content) -> Any:
    return data if isinstance(data, bytes) else PiecesFile(data)


def _head(bucket: str, key: str, answer: Mapping[str, Any]) -> ObjectHead:
    return ObjectHead(
        bucket=bucket,
        key=key,
        version_id=answer.get("VersionId", "null"),
        size_bytes=answer["ContentLength"],
        etag=answer["ETag"].strip('"'),
        last_modified=times.to_iso(answer["LastModified"]),
        sha256=_sha256(answer),
        metadata=answer.get("Metadata", {}),
    )


def _version(version_id: str | None) -> Any:
    return {"VersionId": version_id} if version_id else {}


def _sha256(answer: Mapping[str, Any]) -> str | None:
    """Return the checksum that S3 stores, in hex, unless it is a checksum of the parts' checksums."""
    checksum = answer.get("ChecksumSHA256")
    if checksum is None or answer.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT" or "-" in checksum:
        return None
    return base64.b64decode(checksum).hex()
