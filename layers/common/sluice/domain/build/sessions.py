"""Say what the credentials of one job on Lambda allow: its inputs and outputs, and the records of its run.

They are session policies, which only narrow what a role allows. The script gets the first; the second is that
of the function which runs it, so no script can write what is recorded about a job.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from sluice.domain.locations import RESTORED
from sluice.domain.roles import Account

Policy = dict[str, Any]
Request = Mapping[str, Any]
_VERSION = "2012-10-17"
# AssumeRole takes no longer policy.
POLICY_MAX = 2048


class SessionTooLongError(Exception):
    """A job has more inputs and outputs than a session policy can name."""


def of_script(
    kind: Literal["training_job", "processing_job"],
    request: Request,
    account: Account,
    pipeline: str,
    kms_key_arn: str = "",
) -> str:
    """Allow to read exactly a job's inputs and to write exactly below its outputs, as JSON."""
    read, written = (_training if kind == "training_job" else _processing)(request, account, pipeline)
    buckets: dict[str, list[str]] = {}
    for uri in read:
        bucket, _, key = uri.partition("/")
        buckets.setdefault(bucket, []).append(f"{key}*")
    listing = [
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": _s3(account, bucket),
            "Condition": {"StringLike": {"s3:prefix": keys}},
        }
        for bucket, keys in buckets.items()
    ]
    return _policy(
        _allow("s3:GetObject", [_s3(account, f"{uri}*") for uri in read]),
        _allow("s3:PutObject", [_s3(account, f"{uri.rstrip('/')}/*") for uri in written]),
        *listing,
        *_key(kms_key_arn),
    )


def of_runner(
    account: Account,
    *,
    records: str,
    environment: str | None,
    log_group: str,
    log_stream: str,
    kms_key_arn: str = "",
) -> str:
    """Allow to write a job's records once, its log and the hint of its end, and to read its packages.

    `records` and `environment` are S3 URIs of the job's folder and of an archive.
    """
    folder = _bare(records)
    here = f"{account.region}:{account.number}"
    # The claim and the result to know its own again.
    readable = [_s3(account, f"{folder}/{name}.json") for name in ("stop", "claim", "result")]
    if environment:
        readable.append(_s3(account, _bare(environment)))
    written = [_s3(account, f"{folder}/{name}.json") for name in ("claim", "result")]
    # A stream is made in its group: that is what CreateLogStream is allowed on.
    group = f"arn:{account.partition}:logs:{here}:log-group:{log_group}"
    streams = _allow("logs:CreateLogStream", [group, f"{group}:*"])
    lines = _allow("logs:PutLogEvents", [f"{group}:log-stream:{log_stream}"])
    bus = _allow("events:PutEvents", [f"arn:{account.partition}:events:{here}:event-bus/default"])
    bus["Condition"] = {"StringEquals": {"events:source": "sluice"}}
    return _policy(
        _allow("s3:GetObject", readable),
        _allow("s3:PutObject", written),
        streams,
        lines,
        bus,
        *_key(kms_key_arn),
    )


def _training(request: Request, account: Account, pipeline: str) -> tuple[list[str], list[str]]:
    sources = [channel["DataSource"]["S3DataSource"] for channel in request.get("InputDataConfig", [])]
    read = list(_sources(sources, account, pipeline))
    submitted = _decoded(request.get("HyperParameters", {}).get("sagemaker_submit_directory", ""))
    if submitted.startswith("s3://"):
        read.append(_bare(submitted))
    output = _bare(request["OutputDataConfig"]["S3OutputPath"]).rstrip("/")
    written = [f"{output}/{request['TrainingJobName']}/output"]
    if checkpoints := request.get("CheckpointConfig"):
        read.append(_bare(checkpoints["S3Uri"]))
        written.append(_bare(checkpoints["S3Uri"]))
    return read, written


def _processing(request: Request, account: Account, pipeline: str) -> tuple[list[str], list[str]]:
    inputs = [given["S3Input"] for given in request.get("ProcessingInputs", [])]
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    written = [_bare(output["S3Output"]["S3Uri"]) for output in outputs]
    return list(_sources(inputs, account, pipeline)), written


def _sources(sources: Iterable[Request], account: Account, pipeline: str) -> Iterable[str]:
    for source in sources:
        yield _bare(source["S3Uri"])
        if source["S3DataType"] == "ManifestFile":
            folder, _, _ = _bare(source["S3Uri"]).rpartition("/")
            # It may list any object of the pipeline, or a run's own copies; its content is not known here.
            yield f"{folder}/" if folder.endswith(f"/{RESTORED}") else f"{account.data_bucket}/{pipeline}/"


def _bare(uri: str) -> str:
    return uri.removeprefix("s3://")


def _decoded(value: str) -> str:
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def _s3(account: Account, path: str) -> str:
    return f"arn:{account.partition}:s3:::{path}"


def _allow(actions: str | list[str], resources: list[str]) -> Policy:
    return {"Effect": "Allow", "Action": actions, "Resource": sorted(set(resources))}


def _key(kms_key_arn: str) -> list[Policy]:
    return [_allow(["kms:Decrypt", "kms:GenerateDataKey"], [kms_key_arn])] if kms_key_arn else []


def _policy(*statements: Policy) -> str:
    kept = [statement for statement in statements if statement["Resource"]]
    text = json.dumps({"Version": _VERSION, "Statement": kept}, separators=(",", ":"))
    if len(text) > POLICY_MAX:
        raise SessionTooLongError(
            f"the job's inputs and outputs need a session policy of {len(text)} characters, and AWS takes "
            f"{POLICY_MAX}"
        )
    return text
