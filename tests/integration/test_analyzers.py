"""The analyzers read a data set and write the files of Model Monitor and of Clarify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluice_analyzers import clarify, datasets, job, monitor
from sluice_analyzers.datasets import AnalysisError

CSV = json.dumps({"csv": {"header": True}})


@pytest.fixture
def processing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(job, "PROCESSING", tmp_path)
    (tmp_path / "input" / "data").mkdir(parents=True)
    (tmp_path / "input" / "config").mkdir()
    return tmp_path


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def test_files_of_a_data_set_count_together_and_a_header_may_be_missing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_text("1,a\n2,b\n")
    (folder / "b.csv").write_text("2.5,c\n,a\n")
    dataset = datasets.read(folder, tmp_path, has_header=False)
    assert dataset.names == ["_c0", "_c1"]
    profile = dataset.profile()
    assert (profile.rows, profile.columns["_c0"].type) == (4, "number")
    assert profile.columns["_c0"].missing == 1
    assert datasets.read(folder, tmp_path, ["n", "word"]).rows()["word"] == ["a", "b", "c", "a"]


def test_a_column_of_a_later_file_counts_too(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"x": 1}\n{"x": 2}\n')
    (folder / "b.jsonl").write_text('{"x": 3, "y": "a"}\n')
    profile = datasets.read(folder, tmp_path).profile()
    assert (profile.rows, profile.columns["y"].missing) == (3, 2)


def test_a_baseline_has_types_shares_domains_and_signs(processing: Path) -> None:
    rows = "\n".join(["age,word", *(f"{n},{'ab'[n % 2]}" for n in range(20)), ""])
    (processing / "input" / "data" / "a.csv").write_text(rows)
    variables = {"dataset_source": str(processing / "input" / "data"), "dataset_format": CSV}
    said = monitor.analyze({**variables, "output_path": str(processing / "output")})
    assert said == "Completed: Job completed successfully with no violations."
    age, word = load(processing / "output" / "constraints.json")["features"]
    assert (age["inferred_type"], age["num_constraints"]) == ("Integral", {"is_non_negative": True})
    assert (age["completeness"], word["string_constraints"]) == (1.0, {"domains": ["a", "b"]})
    assert load(processing / "output" / "statistics.json")["dataset"] == {"item_count": 20}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"record_preprocessor_script": "/x.py"}, "runs no record_preprocessor_script"),
        ({"dataset_format": json.dumps({"sagemakerCaptureJson": {}})}, "csv, json and parquet"),
        ({"dataset_source": "/nowhere"}, "There is no data set at /nowhere"),
    ],
)
def test_what_cannot_be_analyzed_says_why(processing: Path, variables: dict[str, str], said: str) -> None:
    (processing / "input" / "data" / "a.csv").write_text("x\n1\n")
    given = {"dataset_source": str(processing / "input" / "data"), "dataset_format": CSV, **variables}
    with pytest.raises(AnalysisError, match=said):
        monitor.analyze(given)


def analyzed(processing: Path, rows: str, config: dict[str, Any], **variables: str) -> tuple[str, Any]:
    (processing / "input" / "data" / "a.csv").write_text(rows)
    (processing / "input" / "config" / "analysis_config.json").write_text(json.dumps(config))
    said = clarify.analyze(variables)
    return said, load(processing / "output" / "analysis.json")


ROWS = "\n".join(
    ["side,dept,y,guess", *(f"{n % 3},{'ab'[n % 2]},{n % 2},{int(n % 5 > 1)}" for n in range(90)), ""]
)
CONFIG: dict[str, Any] = {
    "label": "y",
    "label_values_or_threshold": [1],
    "facet": [{"name_or_index": "side", "value_or_threshold": [2]}],
    "predicted_label": "guess",
    "group_variable": "dept",
    "methods": {"pre_training_bias": {"methods": "all"}, "post_training_bias": {"methods": "all"}},
}


def test_bias_has_every_metric_with_its_name(processing: Path) -> None:
    said, analysis = analyzed(processing, ROWS, CONFIG)
    assert said == "Completed: Job completed successfully."
    before, after = analysis["pre_training_bias_metrics"], analysis["post_training_bias_metrics"]
    (facet,) = before["facets"]["side"]
    assert [metric["name"] for metric in facet["metrics"]] == [
        *("CI", "DPL", "KL", "JS", "LP", "TVD", "KS", "CDDL"),
    ]
    assert (before["label"], before["label_value_or_threshold"]) == ("y", "1")
    assert facet["value_or_threshold"] == "2"
    assert facet["metrics"][0]["value"] == pytest.approx((60 - 30) / 90)
    (facet,) = after["facets"]["side"]
    names = {metric["name"] for metric in facet["metrics"]}
    assert {"DPPL", "DI", "DCA", "DCR", "SD", "RD", "DAR", "DRR", "AD", "TE", "CDDPL", "FT", "GE"} == names


def test_a_metric_farther_from_no_bias_than_the_baseline_is_a_violation(processing: Path) -> None:
    config = {**CONFIG, "methods": {"pre_training_bias": {"methods": ["CI", "DPL"]}}}
    _, analysis = analyzed(processing, ROWS, config)
    nearer = json.loads(json.dumps(analysis))
    nearer["pre_training_bias_metrics"]["facets"]["side"][0]["metrics"][0]["value"] = 0.1
    (processing / "before.json").write_text(json.dumps(nearer))
    said, _ = analyzed(processing, ROWS, config, baseline_constraints=str(processing / "before.json"))
    assert said == "CompletedWithViolations: Job completed successfully with 1 violations."
    (violation,) = load(processing / "output" / "constraint_violations.json")["violations"]
    assert (violation["facet"], violation["facet_value"], violation["metric_name"]) == ("side", "2", "CI")


def test_a_facet_above_a_threshold_is_the_same_whatever_the_greatest_value(processing: Path) -> None:
    facet = [{"name_or_index": "score", "value_or_threshold": [0.5]}]
    methods = {"pre_training_bias": {"methods": ["CI", "KS"]}}
    config = {"label": "y", "label_values_or_threshold": [1], "facet": facet, "methods": methods}
    rows = [f"{n / 100},{int(n % 3 == 0)}" for n in range(90)]
    _, analysis = analyzed(processing, "\n".join(["score,y", *rows, ""]), config)
    (group,) = analysis["pre_training_bias_metrics"]["facets"]["score"]
    assert group["value_or_threshold"] == "(0.5, 0.89]"
    for metric in group["metrics"]:
        metric["value"] *= 1 + 1e-12 if metric["name"] == "KS" else 0.1
    (processing / "before.json").write_text(json.dumps(analysis))
    more = "\n".join(["score,y", *rows, "0.97,1", "0.02,0", ""])
    before = str(processing / "before.json")
    analyzed(processing, more, config, baseline_constraints=before)
    listed = load(processing / "output" / "constraint_violations.json")["violations"]
    assert "CI" in {violation["metric_name"] for violation in listed}

    # The same rows are no farther, though sums of them differ in their last digits.
    analyzed(processing, "\n".join(["score,y", *rows, ""]), config, baseline_constraints=before)
    listed = load(processing / "output" / "constraint_violations.json")["violations"]
    assert [violation["metric_name"] for violation in listed] == ["CI"]


@pytest.mark.parametrize(("factor", "violated"), [(1 - 1e-12, []), (0.9, ["mae", "mse", "rmse"])])
def test_metrics_of_the_same_rows_violate_nothing(
    processing: Path, factor: float, violated: list[str]
) -> None:
    rows = "\n".join(["y,guess", *(f"{n},{n + n % 7 / 3}" for n in range(1, 50)), ""])
    (processing / "input" / "data" / "a.csv").write_text(rows)
    variables = {
        "analysis_type": "MODEL_QUALITY",
        "problem_type": "Regression",
        "ground_truth_attribute": "y",
        "inference_attribute": "guess",
        "dataset_source": str(processing / "input" / "data"),
        "dataset_format": CSV,
        "output_path": str(processing / "output"),
    }
    monitor.analyze(variables)
    constraints = load(processing / "output" / "constraints.json")
    for name, rule in constraints["regression_constraints"].items():
        rule["threshold"] *= 1 if name == "r2" else factor
    (processing / "before.json").write_text(json.dumps(constraints))
    monitor.analyze({**variables, "baseline_constraints": str(processing / "before.json")})
    listed = load(processing / "output" / "constraint_violations.json")["violations"]
    assert sorted(violation["metric_name"] for violation in listed) == violated


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"methods": {"pdp": {}}}, "explains models by shap: leave pdp out"),
        ({"methods": {"shap": {"agg_method": "sum"}}}, "agg_method must be one of mean_abs, median, mean_sq"),
        ({"methods": {"shap": {"baseline": [[1]]}}}, "needs a value of each feature: side, dept, guess"),
        ({"label": "z"}, "label must be a column of side, dept, y, guess, not 'z'"),
        ({"facet": []}, "facet must name the columns"),
        ({"methods": {"pre_training_bias": {"methods": ["XY"]}}}, "methods must be all, or of CI, DPL"),
        ({"dataset_type": "application/x-image"}, "dataset_type must be one of"),
        ({"predicted_label": None}, "predictor must name a model"),
    ],
)
def test_a_configuration_that_cannot_be_followed_says_why(
    processing: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(AnalysisError, match=said):
        analyzed(processing, ROWS, {**CONFIG, **changed})
