"""Clarify's analyzer (sagemaker-clarify-processing): bias of data and predictions, and what explains scores.

It reads analysis_config.json and writes analysis.json; with a baseline, an earlier analysis.json in
`baseline_constraints`, also constraint_violations.json.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sluice_analyzers import datasets, explaining, job, shapley
from sluice_analyzers.bias import Judged
from sluice_analyzers.datasets import AnalysisError

_DATASET_TYPES = ("text/csv", "application/x-parquet", "application/jsonlines")
_PRE, _POST, _SHAP = "pre_training_bias", "post_training_bias", "shap"
_UNSUPPORTED = ("pdp", "asymmetric_shapley_value")
Item = dict[str, Any]


def analyze(variables: Mapping[str, str]) -> str:
    """Make the analysis of analysis_config.json; returns the job's message, and raises AnalysisError."""
    config = job.read_json(job.PROCESSING / "input" / "config" / "analysis_config.json")
    methods = config.get("methods", {})
    if named := [name for name in _UNSUPPORTED if name in methods]:
        raise AnalysisError(f"The local SageMaker explains models by shap: leave {named[0]} out of methods.")
    if not {_PRE, _POST, _SHAP} & methods.keys():
        raise AnalysisError(f"methods must have {_PRE}, {_POST} or {_SHAP}.")
    kind = config.get("dataset_type", "text/csv")
    if kind not in _DATASET_TYPES:
        raise AnalysisError(f"dataset_type must be one of {', '.join(_DATASET_TYPES)} locally, not {kind}.")
    found: Item = {"version": "1.0"}
    output = job.PROCESSING / "output"
    with tempfile.TemporaryDirectory() as work:
        names = config.get("headers") if kind == "text/csv" else None
        dataset = datasets.read(job.PROCESSING / "input" / "data", Path(work), names)
        if _PRE in methods:
            wanted = methods[_PRE].get("methods", "all")
            found[f"{_PRE}_metrics"] = Judged(dataset, config).before(wanted)
        if _POST in methods:
            wanted = methods[_POST].get("methods", "all")
            found[f"{_POST}_metrics"] = Judged(dataset, config).after(wanted, variables)
        if _SHAP in methods:
            found["explanations"] = explaining.explanations(dataset, config, variables, output)
    job.write(output, "analysis.json", found)
    if not variables.get("baseline_constraints"):
        return "Completed: Job completed successfully."
    before = job.read_json(Path(variables["baseline_constraints"]))
    violated = list(violations(found, before))
    job.write(output, "constraint_violations.json", {"version": "1.0", "violations": violated})
    if violated:
        return f"CompletedWithViolations: Job completed successfully with {len(violated)} violations."
    return "Completed: Job completed successfully with no violations."


def violations(found: Item, before: Item) -> Iterator[Item]:
    """Yield metrics farther from no bias than the baseline's, and labels explained by other features."""
    for kind in (_PRE, _POST):
        known = dict(_values(before.get(f"{kind}_metrics", {})))
        for key, value in _values(found.get(f"{kind}_metrics", {})):
            if key in known and _is_farther(key[2], value, known[key]):
                facet, facet_value, name = key
                yield {
                    "facet": facet,
                    "facet_value": facet_value,
                    "metric_name": name,
                    "constraint_check_type": "bias_drift_check",
                    "description": f"Metric value {value:.6g} is farther from no bias than the baseline's "
                    f"{known[key]:.6g}.",
                }

    yield from _attribution_violations(found, before)


def _attribution_violations(found: Item, before: Item) -> Iterator[Item]:
    known = before.get("explanations", {}).get("kernel_shap", {})
    for label, explained in found.get("explanations", {}).get("kernel_shap", {}).items():
        if label not in known:
            continue
        value = shapley.ndcg(known[label]["global_shap_values"], explained["global_shap_values"])
        if value < shapley.NDCG_MIN:
            yield {
                "label": label,
                "metric_name": "shap",
                "constraint_check_type": "feature_attribution_drift_check",
                "description": f"The nDCG of the features, {value:.4g}, is below {shapley.NDCG_MIN:g}.",
            }


def _values(metrics: Item) -> Iterator[tuple[tuple[str, str, str], float]]:
    for facet, groups in metrics.get("facets", {}).items():
        for group in groups:
            for metric in group["metrics"]:
                if metric.get("value") is not None:
                    yield (facet, _lower(group["value_or_threshold"]), metric["name"]), float(metric["value"])


def _lower(values: str) -> str:
    """Return what names a facet in any data: of `(0.5, 0.97]`, whose end is the data's greatest, `(0.5`."""
    return values.partition(",")[0] if values.startswith("(") else values


def _is_farther(name: str, value: float, known: float) -> bool:
    """Tell whether a metric is farther from no bias than it was, by more than another order of sums."""
    unbiased = 1.0 if name == "DI" else 0.0
    now, before = abs(value - unbiased), abs(known - unbiased)
    return now > before and not math.isclose(now, before, rel_tol=1e-9)


if __name__ == "__main__":
    job.run(analyze)
