"""Write requests and answers as SageMaker's data capture does; of serverless endpoints it captures none.

With `monitor: {capture: script}` the endpoint has SLUICE_CAPTURE_URI and SLUICE_CAPTURE_PERCENT, and a role
that may write there. A server without requests stands still, so each record is written before its answer.
"""

import json
import os
import random
import threading
import uuid
from datetime import datetime, timezone
from functools import cache

INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
_asked = threading.local()


def remember(body, content_type, context=None):
    """Keep a request until its answer is known; call it from input_fn."""
    _asked.request = (body, content_type, _inference_id(context))


def write(answer, accept):
    """Write the record of the request that this thread answers; call it from output_fn.

    A record that cannot be written is lost, and the log says so: the client shall have its answer.
    """
    request, _asked.request = getattr(_asked, "request", None), None
    place = os.environ.get("SLUICE_CAPTURE_URI")
    percent = float(os.environ.get("SLUICE_CAPTURE_PERCENT", "100"))
    if not place or request is None or random.random() * 100 >= percent:  # noqa: S311 - a sample, not a secret
        return
    now = datetime.now(timezone.utc)  # noqa: UP017 - SageMaker's image has Python 3.10
    line = json.dumps(record(request, (answer, accept), now)) + "\n"
    bucket, _, folder = place[len("s3://") :].partition("/")
    key = f"{folder}/{now:%Y/%m/%d/%H}/{now:%M-%S-%f}-{uuid.uuid4()}.jsonl"
    try:
        _s3().put_object(Bucket=bucket, Key=key, Body=line.encode())
    except Exception as error:
        print(f"a captured record is lost: {error!r}", flush=True)


def record(request, answer, moment):
    """Return SageMaker's record of a request (body, type, inference id) and its answer (body, type)."""
    body, content_type, inference_id = request
    about = {"eventId": str(uuid.uuid4())}
    if inference_id:
        about["inferenceId"] = inference_id
    about["inferenceTime"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "captureData": {
            "endpointInput": _side(body, content_type, "INPUT"),
            "endpointOutput": _side(*answer, "OUTPUT"),
        },
        "eventMetadata": about,
        "eventVersion": "0",
    }


def _side(body, content_type, mode):
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    encoding = "CSV" if "csv" in content_type else "JSON"
    return {"observedContentType": content_type, "mode": mode, "data": text, "encoding": encoding}


def _inference_id(context):
    """Return the caller's id: from the handler's context, or where the image has none, from Flask."""
    if context is not None:
        return context.get_request_header(0, INFERENCE_ID)
    try:
        from flask import request
    except ImportError:
        return None
    return request.headers.get(INFERENCE_ID) if request else None


@cache
def _s3():
    import boto3

    return boto3.client("s3")
