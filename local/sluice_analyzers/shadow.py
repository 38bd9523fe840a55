"""Ask a model for predictions through an endpoint of its own, as Clarify's "shadow endpoint" is."""

from __future__ import annotations

import csv
import io
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import boto3

from sluice_analyzers.datasets import AnalysisError

_BATCH = 500
_WAIT_S = 600.0
Item = Mapping[str, Any]


class Model:
    """A model that answers."""

    def __init__(self, endpoint: str, predictor: Item) -> None:
        self._endpoint, self._predictor = endpoint, predictor
        self._runtime = _client("sagemaker-runtime")

    def labels(self, features: Mapping[str, Sequence[str]], threshold: float) -> list[str]:
        """Return the label that the model predicts for each row; raises AnalysisError."""
        is_probability = "probability" in self._predictor
        answers = self._ask(list(zip(*features.values(), strict=True)))
        return [_label(answer, threshold, is_probability=is_probability) for answer in answers]

    def scores(self, rows: list[Sequence[str]]) -> list[float]:
        """Return the model's number for each row; raises AnalysisError."""
        answers = self._ask(rows)
        try:
            return [float(answer) for answer in answers]
        except (TypeError, ValueError) as error:
            raise AnalysisError(
                f"The model's answers must be numbers, not {answers[0]!r}: name the score by model_scores."
            ) from error

    def _ask(self, rows: list[Sequence[str]]) -> list[Any]:
        answers: list[Any] = []
        accept = self._predictor.get("accept_type", "text/csv")
        for start in range(0, len(rows), _BATCH):
            body = _csv(rows[start : start + _BATCH])
            reply = self._runtime.invoke_endpoint(
                EndpointName=self._endpoint, Body=body, ContentType="text/csv", Accept=accept
            )
            answers += _records(reply["Body"].read().decode(), reply["ContentType"], self._predictor)
        if len(answers) != len(rows):
            raise AnalysisError(f"The model gave {len(answers)} predictions for {len(rows)} rows.")
        return answers


@contextmanager
def model(predictor: Item, variables: Mapping[str, str]) -> Iterator[Model]:
    """Yield the predictor's model, or the one that the step names, while it serves; raises AnalysisError."""
    kind = predictor.get("content_type", "text/csv")
    if kind != "text/csv":
        raise AnalysisError(f"The local SageMaker sends text/csv to a predictor, not {kind}.")
    named = {**predictor, "model_name": variables.get("model_name") or predictor.get("model_name")}
    if not named["model_name"] and not named.get("endpoint_name"):
        raise AnalysisError("predictor must name a model, or predicted_label a column of the data set.")
    with _endpoint(named) as endpoint:
        yield Model(endpoint, named)


@contextmanager
def _endpoint(predictor: Item) -> Iterator[str]:
    """Yield the name of an endpoint of the model, which lasts as long as the block."""
    if name := predictor.get("endpoint_name"):
        yield name
        return
    sagemaker = _client("sagemaker")
    name = f"{predictor.get('endpoint_name_prefix', 'sm-clarify')}-{uuid.uuid4().hex[:12]}"
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": predictor["model_name"],
        "InitialInstanceCount": predictor.get("initial_instance_count", 1),
        "InstanceType": predictor.get("instance_type", "ml.m5.large"),
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    try:
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        try:
            _wait(sagemaker, name)
            yield name
        finally:
            sagemaker.delete_endpoint(EndpointName=name)
    finally:
        sagemaker.delete_endpoint_config(EndpointConfigName=name)


def _wait(sagemaker: Any, name: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        described = sagemaker.describe_endpoint(EndpointName=name)
        if described["EndpointStatus"] == "InService":
            return
        if described["EndpointStatus"] == "Failed":
            raise AnalysisError(f"The model cannot serve: {described.get('FailureReason', '')}")
        time.sleep(0.2)
    raise AnalysisError(f"The model's endpoint was not in service after {_WAIT_S:g} s.")


def _client(service: str) -> Any:
    make: Any = boto3.client
    return make(service, region_name=os.environ.get("AWS_REGION"))


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _records(body: str, kind: str, predictor: Item) -> list[Any]:
    """Return what the model says of each row: a value of CSV or JSON, at `label` or `probability`."""
    where = predictor.get("label") if predictor.get("label") is not None else predictor.get("probability")
    if "json" not in kind:
        position = where if isinstance(where, int) else 0
        return [line[position] for line in csv.reader(io.StringIO(body)) if line]
    try:
        answers = (
            [json.loads(line) for line in body.splitlines() if line.strip()]
            if "lines" in kind
            else json.loads(body)
        )
    except ValueError as error:
        raise AnalysisError(f"The model's answer is no JSON: {error}") from error
    if isinstance(answers, dict):
        return _found(answers, where)
    return [_member(answer, where) for answer in answers]


def _found(answers: Mapping[str, Any], where: Any) -> list[Any]:
    """Return the list in an answer to many rows."""
    for key in (where, "predictions", "instances"):
        if isinstance(key, str) and isinstance(answers.get(key), list):
            return list(answers[key])
    raise AnalysisError("The model's answer has no list of predictions: name it by label in predictor.")


def _member(answer: Any, where: Any) -> Any:
    return answer[where] if isinstance(answer, dict) and where in answer else answer


def _label(answer: Any, threshold: float, *, is_probability: bool) -> str:
    if is_probability:
        return "1" if float(answer) > threshold else "0"
    return str(answer).strip()
