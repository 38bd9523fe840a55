"""Serving script: take `{"reviews": [...]}`, answer a sentiment and its score for each.

A malformed request is its sender's error, so the answer is a 4XX. An exception would become a 500, which
counts as the model's failure, fires its alarm and rolls a healthy model back.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

import capturing
import joblib
from werkzeug.wrappers import Response  # part of every SageMaker framework image that serves with Flask


class Refusal(NamedTuple):
    """The answer to a malformed request, in place of a prediction."""

    status: int
    reason: str


def model_fn(model_dir):
    return joblib.load(Path(model_dir) / "model.joblib")


def input_fn(input_data, content_type, context=None):
    capturing.remember(input_data, content_type, context)
    if content_type.partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, f"content type {content_type}: this model reads application/json")
    try:
        request = json.loads(input_data)
    except (ValueError, RecursionError) as error:
        return Refusal(400, f"the body is no JSON: {error}")
    reviews = request.get("reviews") if isinstance(request, dict) else None
    if not isinstance(reviews, list) or not all(isinstance(review, str) for review in reviews):
        return Refusal(400, 'the body must be {"reviews": [...]} with a list of texts')
    return reviews


def predict_fn(data, model):
    if isinstance(data, Refusal) or not data:
        return data
    return [float(score) for score in model.predict_proba(data)[:, 1]]


def output_fn(prediction, accept):
    """Name the version that answered, so that a prediction can verify a release."""
    if isinstance(prediction, Refusal):
        body = json.dumps({"error": prediction.reason})
        return Response(body, prediction.status, mimetype="application/json")
    predictions = [
        {"sentiment": "great" if score >= 0.5 else "other", "score": round(score, 4)} for score in prediction
    ]
    answer = json.dumps({"predictions": predictions, "model_version": os.environ.get("SLUICE_MODEL_VERSION")})
    capturing.write(answer, accept)
    return answer, accept
