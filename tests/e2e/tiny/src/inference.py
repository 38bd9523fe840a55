"""Serve the threshold."""

import json
import os
import pathlib


def model_fn(model_dir):
    return json.loads((pathlib.Path(model_dir) / "model.json").read_text())["threshold"]


def input_fn(body, content_type):
    return json.loads(body)["x"]


def predict_fn(data, threshold):
    return [int(x > threshold) for x in data]


def output_fn(prediction, accept):
    answer = {"predictions": prediction, "model_version": os.environ["SLUICE_MODEL_VERSION"]}
    return json.dumps(answer), "application/json"
