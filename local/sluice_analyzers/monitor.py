"""Model Monitor's analyzer (sagemaker-model-monitor-analyzer): baselines, and violations of a baseline.

Its variables are those of the contract of Model Monitor's containers: `dataset_source`, `dataset_format`,
`output_path`, `analysis_type`, and, to compare with, `baseline_constraints` and `baseline_statistics`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluice.quality.report import monitor_files
from sluice.quality.statistics.profiles import Profile
from sluice_analyzers import comparing, datasets, job, model_quality
from sluice_analyzers.datasets import AnalysisError, Dataset

_SCRIPTS = ("record_preprocessor_script", "post_analytics_processor_script")
# What real files have: distributions are compared, and 0.1 is far.
_DRIFT = {"method": "ks", "max": 0.1}


def analyze(variables: Mapping[str, str]) -> str:
    """Make the analysis that the variables ask for; returns the job's message, and raises AnalysisError."""
    for name in _SCRIPTS:
        if variables.get(name):
            raise AnalysisError(f"The local SageMaker runs no {name}.")
    output = Path(variables.get("output_path", job.PROCESSING / "output"))
    baseline = {name: _document(variables, f"baseline_{name}") for name in ("constraints", "statistics")}
    with tempfile.TemporaryDirectory() as work:
        dataset = _dataset(variables, Path(work))
        if variables.get("analysis_type") == "MODEL_QUALITY":
            documents = model_quality.documents(dataset, variables, baseline["constraints"])
        else:
            documents = _data_quality(dataset, baseline["constraints"], baseline["statistics"])
    for name, document in documents.items():
        job.write(output, name, document)
    found = documents.get("constraint_violations.json", {"violations": []})["violations"]
    if found:
        return f"CompletedWithViolations: Job completed successfully with {len(found)} violations."
    return "Completed: Job completed successfully with no violations."


def _document(variables: Mapping[str, str], name: str) -> Any:
    return job.read_json(Path(variables[name])) if variables.get(name) else None


def _dataset(variables: Mapping[str, str], work: Path) -> Dataset:
    source = Path(variables.get("dataset_source", job.PROCESSING / "input"))
    stated: dict[str, dict[str, Any]] = json.loads(variables.get("dataset_format", "{}"))
    kind, options = next(iter(stated.items()), ("csv", {}))
    if kind == "csv":
        return datasets.read(source, work, has_header=str(options.get("header", True)).lower() == "true")
    if kind in ("json", "parquet"):
        return datasets.read(source, work)
    raise AnalysisError(
        f"The local SageMaker analyzes the dataset formats csv, json and parquet, not {kind}."
    )


def _data_quality(dataset: Dataset, before: Any, statistics: Any) -> dict[str, Any]:
    profile = dataset.profile()
    documents: dict[str, Any] = {
        "statistics.json": monitor_files.statistics(profile),
        "constraints.json": monitor_files.constraints(profile, _observed(dataset, profile).contract),
    }
    if before is None:
        return documents
    expected = comparing.columns(before)
    there = {name: column for name, column in expected.items() if name in dataset.names}
    as_before = dataset.typed(there).profile() if there else Profile(profile.rows, {})
    found = comparing.violations(as_before, dataset.names, before, statistics)
    return {**documents, "constraint_violations.json": {"violations": found}}


def _observed(dataset: Dataset, profile: Profile) -> Dataset:
    """Return the contract that the data keep: numbers that are never negative must not become so."""
    schema = {}
    for name, column in dataset.contract.columns.items():
        stated: dict[str, Any] = column.model_dump(mode="json", exclude_unset=True)
        distribution = profile.columns[name].distribution if name in profile.columns else None
        if stated["type"] in ("integer", "number") and distribution and distribution.min >= 0:
            stated["min"] = 0
        schema[name] = stated
    asked = {"format": "jsonl", "label": "", "schema": schema, "drift": _DRIFT}
    contract = datasets.contract_of(asked)
    return Dataset(dataset.files, contract)


if __name__ == "__main__":
    job.run(analyze)
