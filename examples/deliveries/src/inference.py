"""Serving script: take `{"deliveries": [{...}]}`, answer for each how probably it is late.

A malformed request is its sender's error, so the answer is a 4XX. An exception would become a 500, which
counts as the model's failure, fires its alarm and rolls a healthy model back.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy
import xgboost
from deliveries import FEATURES, features_of
from werkzeug.wrappers import Response  # part of every SageMaker framework image that serves with Flask


class Refusal(NamedTuple):
    """The answer to a malformed request, in place of a prediction."""

    status: int
    reason: str


def model_fn(model_dir):
    model = xgboost.Booster()
    model.load_model(Path(model_dir) / "xgboost-model.json")
    return model


def input_fn(input_data, content_type):
    if content_type.partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, f"content type {content_type}: this model reads application/json")
    try:
        request = json.loads(input_data)
        return [features_of(delivery) for delivery in request["deliveries"]]
    except (ValueError, RecursionError) as error:
        return Refusal(400, f"the body is no JSON of deliveries: {error}")
    except (KeyError, TypeError, AttributeError) as error:
        return Refusal(400, f'the body must be {{"deliveries": [...]}}, each with its carrier: {error!r}')


def predict_fn(data, model):
    if isinstance(data, Refusal) or not data:
        return data
    matrix = xgboost.DMatrix(numpy.array(data), feature_names=list(FEATURES))
    return [float(score) for score in model.predict(matrix)]


def output_fn(prediction, accept):
    """Name the version that answered, so that a prediction can verify a release."""
    if isinstance(prediction, Refusal):
        body = json.dumps({"error": prediction.reason})
        return Response(body, prediction.status, mimetype="application/json")
    predictions = [{"late": score >= 0.5, "probability": round(score, 4)} for score in prediction]
    body = {"predictions": predictions, "model_version": os.environ.get("SLUICE_MODEL_VERSION")}
    return json.dumps(body), accept
