"""Serving script: `{"reviews": [...]}` in, a sentiment and its score for each out."""

import json
import os
from pathlib import Path

import joblib


def model_fn(model_dir):
    return joblib.load(Path(model_dir) / "model.joblib")


def input_fn(input_data, content_type):
    if not content_type.startswith("application/json"):
        raise ValueError(f"content type {content_type}: this model reads application/json")
    reviews = json.loads(input_data)["reviews"]
    if not isinstance(reviews, list) or not all(isinstance(review, str) for review in reviews):
        raise ValueError("reviews must be a list of texts")
    return reviews


def predict_fn(data, model):
    return [float(score) for score in model.predict_proba(data)[:, 1]] if data else []


def output_fn(prediction, accept):
    """Name the version that answered, so that a release can be verified by a prediction."""
    predictions = [
        {"sentiment": "great" if score >= 0.5 else "other", "score": round(score, 4)} for score in prediction
    ]
    body = {"predictions": predictions, "model_version": os.environ.get("SLUICE_MODEL_VERSION")}
    return json.dumps(body), accept
