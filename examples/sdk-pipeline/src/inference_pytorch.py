"""Serving script of the PyTorch model: take `{"reviews": [...]}`, answer each sentiment and its score."""

import json
import os
from pathlib import Path

import reviews_pytorch


def model_fn(model_dir):
    return reviews_pytorch.load(Path(model_dir) / "model.pth")


def input_fn(input_data, content_type):
    return [str(review) for review in json.loads(input_data)["reviews"]]


def predict_fn(data, model):
    return reviews_pytorch.scores(model, data)


def output_fn(prediction, accept):
    """Name the version that answered, so that a prediction can verify a release."""
    predictions = [
        {"sentiment": "great" if score >= 0.5 else "other", "score": round(score, 4)} for score in prediction
    ]
    answer = {"predictions": predictions, "model_version": os.environ.get("SLUICE_MODEL_VERSION")}
    return json.dumps(answer), accept
