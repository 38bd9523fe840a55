"""Describe transform jobs, which answer files in batches, and read what they made of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sluice.domain import tags, wording
from sluice.domain.locations import BATCH
from sluice.domain.monitor import bodies
from sluice.domain.monitor.bodies import CaptureError
from sluice.domain.release.serving import VARIANT
from sluice.domain.times import from_iso, to_iso

if TYPE_CHECKING:
    from sluice.catalog.records.transforms import Batches
    from sluice.domain.config import models

MANIFEST, OUTPUT = "inputs.manifest", "output"
_OUT = ".out"
# An input of more bytes is scored, but its rows are not watched: a function holds them in memory.
WATCHED_MAX_BYTES = 64 << 20


def folder(pipeline: str) -> str:
    """Return the prefix of what is uploaded to be scored."""
    return f"{BATCH}/{pipeline}/"


def manifest(bucket: str, pipeline: str, keys: Iterable[str]) -> bytes:
    """Return the list of a transform's inputs, in SageMaker's format."""
    prefix = folder(pipeline)
    return json.dumps(
        [{"prefix": f"s3://{bucket}/{prefix}"}, *(key.removeprefix(prefix) for key in keys)]
    ).encode()


def job_request(
    name: str, model_name: str, serve: models.Serve, place: str, owner: Mapping[str, str]
) -> dict[str, Any]:
    """Make a CreateTransformJob request for the inputs that the manifest in `place` lists."""
    limits = serve.compute.batch
    by_line = limits is not None and limits.split == "line"
    source = {"S3DataType": "ManifestFile", "S3Uri": f"{place}/{MANIFEST}"}
    return {
        **_request(name, model_name, serve, place, owner),
        "TransformInput": _input(serve, source, by_line=by_line),
        "BatchStrategy": "MultiRecord" if by_line else "SingleRecord",
        **({"MaxPayloadInMB": limits.max_payload_mb} if limits else {}),
        **({"MaxConcurrentTransforms": limits.max_concurrency} if limits else {}),
    }


def proof_request(
    name: str, model_name: str, serve: models.Serve, place: str, owner: Mapping[str, str]
) -> dict[str, Any]:
    """Make a CreateTransformJob request that sends the project's sample, the one input in `place`, whole."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"{place}/input/"}
    request = _request(name, model_name, serve, place, owner)
    return {
        **request,
        "TransformInput": _input(serve, source, by_line=False),
        "BatchStrategy": "SingleRecord",
    }


def _request(
    name: str, model_name: str, serve: models.Serve, place: str, owner: Mapping[str, str]
) -> dict[str, Any]:
    compute = serve.compute
    output = {"S3OutputPath": f"{place}/{OUTPUT}", "Accept": serve.accept, "AssembleWith": "Line"}
    return {
        "TransformJobName": name,
        "ModelName": model_name,
        "TransformOutput": output,
        "TransformResources": {
            "InstanceType": compute.instance_type,
            "InstanceCount": compute.instance_count,
        },
        "Tags": tags.listed(owner),
    }


def _input(serve: models.Serve, source: Mapping[str, str], *, by_line: bool) -> dict[str, Any]:
    return {
        "DataSource": {"S3DataSource": source},
        "ContentType": serve.content_type,
        "SplitType": "Line" if by_line else "None",
        "CompressionType": "None",
    }


def due_at(batches: Batches, every_s: int | None) -> str | None:
    """Return when the next transform may start, if that is not at once."""
    if every_s is None or batches.started_at is None:
        return None
    return to_iso(from_iso(batches.started_at) + timedelta(seconds=every_s))


def result_key(pipeline: str, key: str, output: str, found: Collection[str]) -> str | None:
    """Return the object below `output` with the answers about an input, if the transform wrote it.

    SageMaker names it for the input's path below the manifest's prefix, or below its bucket.
    """
    possible = (f"{output}/{name}{_OUT}" for name in (key.removeprefix(folder(pipeline)), key))
    return next((each for each in possible if each in found), None)


def inference_id(pipeline: str, key: str) -> str:
    """Return the id by which labels find an input's rows, each with `#` and its number from 0."""
    return key.removeprefix(folder(pipeline))


def rows(text: str, content_type: str) -> int | None:
    """Count the rows of an input or of answers; None if they cannot be told apart."""
    try:
        if "csv" in content_type:
            return len(bodies.lines_of_csv(text))
        return sum(len(_listed(each)) for each in _documents(text)) if "json" in content_type else None
    except CaptureError:
        return None


def fault(name: str, asked: int | None, answered: int | None) -> str | None:
    """Say so if a file has not an answer for each row."""
    if asked is None or answered is None or asked == answered:
        return None
    return f"{name}: {wording.count(asked, 'row')}, but {wording.count(answered, 'answer')}"


def record(identity: str, at: str, request: str, answer: str, serve: models.Serve, event_id: str) -> bytes:
    """Write an input and its answers as a captured request, the format by which what serves is watched."""
    sides = {
        "endpointInput": _side("INPUT", request, serve.content_type),
        "endpointOutput": _side("OUTPUT", answer, serve.accept),
    }
    about = {"eventId": event_id, "inferenceId": identity, "inferenceTime": at}
    return json.dumps({"captureData": sides, "eventMetadata": about, "eventVersion": "0"}).encode()


def record_uri(capture: str, endpoint_name: str, at: str, event_id: str) -> str:
    """Return where an endpoint of this name would capture a request at that time."""
    hour = from_iso(at).strftime("%Y/%m/%d/%H")
    return f"{capture}/{endpoint_name}/{VARIANT}/{hour}/{event_id}.jsonl"


def _side(mode: str, text: str, content_type: str) -> dict[str, Any]:
    is_csv = "csv" in content_type
    return {
        "observedContentType": content_type,
        "mode": mode,
        "data": text if is_csv else _joined(text),
        "encoding": "CSV" if is_csv else "JSON",
    }


def _joined(text: str) -> str:
    """Make one list of the lists that the lines of JSON are, as each answers a request of several rows."""
    try:
        found = _documents(text)
    except CaptureError:
        return text
    if len(found) < 2 or not all(isinstance(each, list) for each in found):
        return text
    return json.dumps([value for each in found for value in each])


def _documents(text: str) -> list[Any]:
    """Return the documents of JSON lines, or the one of JSON; raises CaptureError."""
    found = bodies.documents(text)
    is_one = not isinstance(found, list) or (text.lstrip().startswith("[") and _is_json(text))
    return [found] if is_one else found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _listed(document: Any) -> Sequence[Any]:
    """Return a document's rows: its own, or those of its only list."""
    if isinstance(document, list):
        return document
    lists = (
        [value for value in document.values() if isinstance(value, list)]
        if isinstance(document, dict)
        else []
    )
    return lists[0] if len(lists) == 1 else [document]
