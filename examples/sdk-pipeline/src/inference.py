"""Serving script: take `{"reviews": [...]}`, answer a sentiment and its score for each."""

import json
import os
from pathlib import Path

import joblib
from werkzeug.exceptions import BadRequest  # part of every SageMaker framework image that serves with Flask


def model_fn(model_dir):
    return joblib.load(Path(model_dir) / "model.joblib")


def input_fn(input_data, content_type):
    try:
        reviews = json.loads(input_data)["reviews"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest('the body must be {"reviews": [...]} with a list of texts') from error
    return [str(review) for review in reviews]


def predict_fn(data, model):
    return [float(score) for score in model.predict_proba(data)[:, 1]] if data else []


def output_fn(prediction, accept):
    """Name the version that answered, so that a prediction can verify a release."""
    predictions = [
        {"sentiment": "great" if score >= 0.5 else "other", "score": round(score, 4)} for score in prediction
    ]
    answer = {"predictions": predictions, "model_version": os.environ.get("SLUICE_MODEL_VERSION")}
    return json.dumps(answer), accept
