"""Load the model to serve it."""

import pathlib

import joblib


def model_fn(model_dir):
    return joblib.load(pathlib.Path(model_dir) / "model.joblib")
