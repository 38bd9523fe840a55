"""What explains a model's scores, as `shap` of analysis_config.json asks for it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import boto3

from sluice_analyzers import shadow, shapley
from sluice_analyzers.bias import column_name, features_of
from sluice_analyzers.datasets import AnalysisError, Dataset

# Each order asks the model once for each feature; so many are enough to see which features matter.
_ORDERS, _ORDERS_MAX = 10, 100
_LOCAL = "explanations_shap"
Item = dict[str, Any]


def explanations(dataset: Dataset, config: Item, variables: Mapping[str, str], output: Path) -> Item:
    """Return `explanations` of analysis.json; raises AnalysisError."""
    wanted: Item = config["methods"]["shap"]
    method = wanted.get("agg_method", "mean_abs")
    if method not in shapley.AGGREGATES:
        raise AnalysisError(f"agg_method must be one of {', '.join(shapley.AGGREGATES)}, not {method!r}.")
    given = config.get("label")
    label = None if given is None else column_name(dataset, given, "label")
    features = features_of(dataset.rows(), config, label)
    rows = list(zip(*features.values(), strict=True))
    baseline = _baseline(wanted.get("baseline"), dataset, features)
    with shadow.model(config.get("predictor", {}), variables) as model:
        explained = shapley.explain(
            rows, baseline, model.scores, _orders(wanted, len(features)), wanted.get("seed") or 0
        )
    name = (config.get("predictor", {}).get("label_headers") or ["label0"])[0]
    if wanted.get("save_local_shap_values"):
        _write(output / _LOCAL, [f"{feature}_{name}" for feature in features], explained.parts)
    parts = shapley.together(explained, list(features), method)
    return {"kernel_shap": {name: {"global_shap_values": parts, "expected_value": explained.expected}}}


def _orders(wanted: Item, width: int) -> int:
    """Return the orders that ask the model as often as `num_samples` wants, within bounds."""
    samples = wanted.get("num_samples")
    return _ORDERS if samples is None else min(max(2, samples // max(1, width)), _ORDERS_MAX)


def _baseline(given: Any, dataset: Dataset, features: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the rows that stand for no information: those given, or the middle of each feature."""
    if isinstance(given, str):
        given = list(csv.reader(io.StringIO(_read(given))))
    if not given:
        return [tuple(_middle(dataset, name, values) for name, values in features.items())]
    rows = [tuple("" if value is None else str(value) for value in row) for row in given]
    if any(len(row) != len(features) for row in rows):
        raise AnalysisError(f"A row of shap's baseline needs a value of each feature: {', '.join(features)}.")
    return rows


def _middle(dataset: Dataset, name: str, values: Sequence[str]) -> str:
    present = [value for value in values if value]
    if not present:
        return ""
    if dataset.contract.columns[name].type in ("integer", "number"):
        return f"{median(map(float, present)):g}"
    return Counter(present).most_common(1)[0][0]


def _read(uri: str) -> str:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    make: Any = boto3.client
    content: bytes = make("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return content.decode()


def _write(folder: Path, header: list[str], parts: list[list[float]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "out.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *parts])
