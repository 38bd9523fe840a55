"""Look up S3 objects that requests name."""

from __future__ import annotations

from ministack.services import s3


def etag(uri: str) -> str | None:
    """Return the unquoted ETag of the object at an `s3://` URI; None if there is none."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    status, headers, _ = s3._head_object(bucket, key)
    return str(headers["ETag"]).strip('"') if status == 200 else None
