"""Serve the tiny project's threshold, and fail in one way that the alarms of a release are to notice."""

import json
import os
import pathlib
import time

# no: not at all; errors: every second request; slow: each takes half a second; schema: it expects another
# field than clients send; leak: each takes longer than the one before; later: all but the first 30.
FAILS = "no"
_asked = 0


class MalformedError(ValueError):
    """The request is not what this model expects."""

    status_code = 400


def model_fn(model_dir):
    return json.loads((pathlib.Path(model_dir) / "model.json").read_text())["threshold"]


def input_fn(body, content_type):
    fields = json.loads(body)
    if FAILS == "schema":
        raise MalformedError(f"value is missing, got {sorted(fields)}")
    return fields["x"]


def predict_fn(data, threshold):
    global _asked
    _asked += 1
    if (FAILS == "errors" and _asked % 2) or (FAILS == "later" and _asked > 30):
        raise RuntimeError("out of memory")
    time.sleep({"slow": 0.5, "leak": 0.02 * _asked}.get(FAILS, 0))
    return [int(x > threshold) for x in data]


def output_fn(prediction, accept):
    answer = {"predictions": prediction, "model_version": os.environ.get("SLUICE_MODEL_VERSION")}
    return json.dumps(answer), "application/json"
