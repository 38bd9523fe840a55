"""Apply the bucket properties that ministack's provisioner drops, through the S3 API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.serialize import create_serializer
from botocore.session import Session
from ministack.services import s3

from sluice_local.patches.cloudformation.properties import Properties, check, is_true


def apply_bucket(name: str, props: Properties, old: Properties) -> None:
    """Apply encryption, lifecycle, ownership, tags, and suspended versioning."""
    for key, operation, member, convert, put, delete in _BUCKET:
        if value := props.get(key):
            check(put(name, _s3_body(operation, {member: convert(value)})))
        elif key in old:
            delete(name)
    versioning = props.get("VersioningConfiguration") or {}
    if versioning.get("Status") == "Suspended" or ("VersioningConfiguration" in old and not versioning):
        s3._bucket_versioning[name] = "Suspended"


def _lifecycle(value: Properties) -> Properties:
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}


def _lifecycle_rule(rule: Properties) -> Properties:
    """Convert a template's rule to the S3 API's."""
    converted: Properties = {"Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "Id" in rule:
        converted["ID"] = rule["Id"]
    if "ExpirationInDays" in rule:
        converted["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    if "ExpiredObjectDeleteMarker" in rule:
        converted["Expiration"] = {"ExpiredObjectDeleteMarker": is_true(rule["ExpiredObjectDeleteMarker"])}
    for key, number in (
        ("NoncurrentVersionExpiration", "NoncurrentDays"),
        ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
    ):
        if key in rule:
            converted[key] = {**rule[key], number: int(rule[key][number])}
    if "Transitions" in rule:
        converted["Transitions"] = [
            {"Days": int(step["TransitionInDays"]), "StorageClass": step["StorageClass"]}
            for step in rule["Transitions"]
        ]
    return converted


# property, S3 operation, its member, template -> API, how to put it and how to take it away
_BUCKET: tuple[tuple[str, str, str, Callable[[Any], Any], Callable[..., Any], Callable[..., Any]], ...] = (
    (
        "BucketEncryption",
        "PutBucketEncryption",
        "ServerSideEncryptionConfiguration",
        lambda value: {
            "Rules": [
                {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
                for rule in value["ServerSideEncryptionConfiguration"]
            ]
        },
        s3._put_bucket_encryption,
        s3._delete_bucket_encryption,
    ),
    (
        "LifecycleConfiguration",
        "PutBucketLifecycleConfiguration",
        "LifecycleConfiguration",
        _lifecycle,
        s3._put_bucket_lifecycle,
        s3._delete_bucket_lifecycle,
    ),
    (
        "OwnershipControls",
        "PutBucketOwnershipControls",
        "OwnershipControls",
        lambda value: value,
        s3._put_bucket_ownership_controls,
        s3._delete_bucket_ownership_controls,
    ),
    (
        "Tags",
        "PutBucketTagging",
        "Tagging",
        lambda value: {"TagSet": value},
        s3._put_bucket_tagging,
        s3._delete_bucket_tagging,
    ),
)


def _s3_body(operation: str, parameters: Properties) -> bytes:
    """Make the XML that an SDK would send."""
    model = Session().get_service_model("s3").operation_model(operation)
    request = create_serializer("rest-xml").serialize_to_request({"Bucket": "-", **parameters}, model)
    return bytes(request["body"])
