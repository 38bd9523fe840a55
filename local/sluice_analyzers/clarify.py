"""Clarify's analyzer (sagemaker-clarify-processing): bias of data, and of a model's predictions.

It reads analysis_config.json and writes analysis.json; with a baseline, an earlier analysis.json in
`baseline_constraints`, also constraint_violations.json.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from sluice.domain.config.statistics import BiasMetricName, PredictedBiasName
from sluice.domain.predictions import bias as predicted_bias
from sluice.domain.predictions.table import Predictions, PredictionsError
from sluice.quality.statistics import bias as label_bias
from sluice_analyzers import datasets, job, shadow
from sluice_analyzers.datasets import AnalysisError, Dataset

_DATASET_TYPES = ("text/csv", "application/x-parquet", "application/jsonlines")
_UNSUPPORTED = ("shap", "pdp", "asymmetric_shapley_value")
# A column of numbers with more different values than this share of its rows is a continuous one for Clarify.
_CONTINUOUS_SHARE = 0.05
_PRE, _POST = "pre_training_bias", "post_training_bias"
# In a configuration and its analysis AWS writes DCA and DCR.
_SPELLED = {"DCA": "DCAcc", "DCR": "DCRej"}
_DESCRIPTIONS = {
    "CI": "Class Imbalance (CI)",
    "DPL": "Difference in Positive Proportions in Labels (DPL)",
    "KL": "Kullback-Liebler Divergence (KL)",
    "JS": "Jensen-Shannon Divergence (JS)",
    "LP": "L-p Norm (LP)",
    "TVD": "Total Variation Distance (TVD)",
    "KS": "Kolmogorov-Smirnov Distance (KS)",
    "CDDL": "Conditional Demographic Disparity in Labels (CDDL)",
    "DPPL": "Difference in Positive Proportions in Predicted Labels (DPPL)",
    "DI": "Disparate Impact (DI)",
    "DCA": "Difference in Conditional Acceptance (DCA)",
    "DCR": "Difference in Conditional Rejection (DCR)",
    "SD": "Specificity Difference (SD)",
    "RD": "Recall Difference (RD)",
    "DAR": "Difference in Acceptance Rates (DAR)",
    "DRR": "Difference in Rejection Rates (DRR)",
    "AD": "Accuracy Difference (AD)",
    "TE": "Treatment Equality (TE)",
    "CDDPL": "Conditional Demographic Disparity in Predicted Labels (CDDPL)",
    "FT": "Flip Test (FT)",
    "GE": "Generalized Entropy (GE)",
}
Item = dict[str, Any]


def analyze(variables: Mapping[str, str]) -> str:
    """Make the analysis of analysis_config.json; returns the job's message, and raises AnalysisError."""
    config = job.read_json(job.PROCESSING / "input" / "config" / "analysis_config.json")
    methods = config.get("methods", {})
    if named := [name for name in _UNSUPPORTED if name in methods]:
        raise AnalysisError(f"The local SageMaker explains no models: leave {named[0]} out of methods.")
    if not {_PRE, _POST} & methods.keys():
        raise AnalysisError("methods must have pre_training_bias or post_training_bias.")
    kind = config.get("dataset_type", "text/csv")
    if kind not in _DATASET_TYPES:
        raise AnalysisError(f"dataset_type must be one of {', '.join(_DATASET_TYPES)} locally, not {kind}.")
    found: Item = {"version": "1.0"}
    with tempfile.TemporaryDirectory() as work:
        dataset = datasets.read(job.PROCESSING / "input" / "data", Path(work), config.get("headers"))
        judged = _Judged(dataset, config)
        if _PRE in methods:
            found[f"{_PRE}_metrics"] = judged.before(methods[_PRE].get("methods", "all"))
        if _POST in methods:
            found[f"{_POST}_metrics"] = judged.after(methods[_POST].get("methods", "all"), variables)
    output = job.PROCESSING / "output"
    job.write(output, "analysis.json", found)
    if not variables.get("baseline_constraints"):
        return "Completed: Job completed successfully."
    before = job.read_json(Path(variables["baseline_constraints"]))
    violated = list(violations(found, before))
    job.write(output, "constraint_violations.json", {"version": "1.0", "violations": violated})
    if violated:
        return f"CompletedWithViolations: Job completed successfully with {len(violated)} violations."
    return "Completed: Job completed successfully with no violations."


class _Judged:
    """A data set with what its configuration says of label and facets."""

    def __init__(self, dataset: Dataset, config: Item) -> None:
        self.config = config
        self.label = self._name(dataset, config.get("label"), "label")
        favorable = config.get("label_values_or_threshold") or []
        is_threshold = len(favorable) == 1 and _is_continuous(dataset, self.label)
        facets = [self._facet(dataset, facet) for facet in _listed(config.get("facet"))]
        if not facets:
            raise AnalysisError("facet must name the columns that may be disadvantaged.")
        bias: Item = {"facets": facets}
        if is_threshold:
            bias["favorable_threshold"] = favorable[0]
        elif favorable:
            bias["favorable_labels"] = [_typed(dataset, self.label, value) for value in favorable]
        else:
            raise AnalysisError("label_values_or_threshold must say which labels are favorable.")
        if (group := config.get("group_variable")) is not None:
            bias["group"] = self._name(dataset, group, "group_variable")
        schema = {
            name: column.model_dump(mode="json", exclude_unset=True)
            for name, column in dataset.contract.columns.items()
        }
        self.dataset = dataset.typed(schema, label=self.label, bias=bias)

    def before(self, methods: Any) -> Item:
        """Return pre_training_bias_metrics."""
        bias = self.dataset.contract.bias
        assert bias is not None  # noqa: S101 - it was just set
        result = label_bias.measure(self.dataset.label_counts(), self.label, bias)
        wanted = _wanted(methods, get_args(BiasMetricName), has_group=bias.group is not None)
        facets: dict[str, list[Item]] = {}
        for facet in result.facets:
            known = {metric.name: metric for metric in facet.metrics}
            metrics = [
                _metric(name, known[name].value, known[name].error) for name in wanted if name in known
            ]
            facets.setdefault(facet.column, []).append(
                {"value_or_threshold": _shown(facet.values), "metrics": metrics}
            )
        return self._answer(facets)

    def after(self, methods: Any, variables: Mapping[str, str]) -> Item:
        """Return post_training_bias_metrics."""
        bias = self.dataset.contract.bias
        assert bias is not None  # noqa: S101 - it was just set
        rows = self.dataset.rows()
        guesses = self._guesses(rows, variables)
        columns = {name: values for name, values in rows.items() if name != self.label}
        ids = [str(row) for row in range(len(guesses))]
        predictions = Predictions(
            ids=ids, labels=rows[self.label], predicted=guesses, scores=None, columns=columns
        )
        wanted = _wanted(methods, get_args(PredictedBiasName), has_group=bias.group is not None)
        facets: dict[str, dict[str, list[Item]]] = {}
        try:
            for name in wanted:
                for each in predicted_bias.measure(name, predictions, bias):  # type: ignore[arg-type]
                    of = (
                        [(facet.column, "") for facet in bias.facet_models]
                        if name == "GE"
                        else [(each.column, each.values)]
                    )
                    for column, values in of:
                        facets.setdefault(column, {}).setdefault(values, []).append(
                            _metric(name, each.value, each.error)
                        )
        except PredictionsError as error:
            raise AnalysisError(f"The predictions {error}") from error
        return self._answer({column: _with_entropy(found) for column, found in facets.items()})

    def _guesses(self, rows: Mapping[str, Sequence[str]], variables: Mapping[str, str]) -> Sequence[str]:
        """Return the predicted labels: those of the data set, or those that the model gives."""
        if (given := self.config.get("predicted_label")) is not None:
            return rows[self._name(self.dataset, given, "predicted_label")]
        predictor = {**self.config.get("predictor", {})}
        if name := variables.get("model_name"):
            predictor["model_name"] = name
        if not predictor.get("model_name") and not predictor.get("endpoint_name"):
            raise AnalysisError("predictor must name a model, or predicted_label a column of the data set.")
        left_out = {self.label, *(self.config.get("excluded_columns") or [])}
        features = {name: values for name, values in rows.items() if name not in left_out}
        return shadow.predicted(features, predictor, self.config.get("probability_threshold", 0.5))

    def _answer(self, facets: Mapping[str, Any]) -> Item:
        favorable = self.config["label_values_or_threshold"]
        return {
            "label": self.label,
            "label_value_or_threshold": ", ".join(map(str, favorable)),
            "facets": facets,
        }

    @staticmethod
    def _name(dataset: Dataset, given: Any, what: str) -> str:
        """Return the column that a name or zero-based position means."""
        if isinstance(given, int) and 0 <= given < len(dataset.names):
            return dataset.names[given]
        if given not in dataset.names:
            raise AnalysisError(f"{what} must be a column of {', '.join(dataset.names)}, not {given!r}.")
        return str(given)

    def _facet(self, dataset: Dataset, facet: Item) -> Item:
        column = self._name(dataset, facet.get("name_or_index"), "facet")
        values = facet.get("value_or_threshold")
        if not values:
            return {"column": column}
        if len(values) == 1 and _is_continuous(dataset, column):
            return {"column": column, "threshold": values[0]}
        return {"column": column, "values": [_typed(dataset, column, value) for value in values]}


def _listed(value: Any) -> list[Item]:
    return value if isinstance(value, list) else [value] if value else []


def _is_continuous(dataset: Dataset, column: str) -> bool:
    """Tell whether a threshold divides the column; two values never are a continuum."""
    facts, kind = dataset.facts[column], dataset.contract.columns[column].type
    present = facts.rows - facts.missing
    if kind == "number":
        return facts.distinct > 2
    return kind == "integer" and facts.distinct > max(2, _CONTINUOUS_SHARE * present)


def _typed(dataset: Dataset, column: str, value: Any) -> Any:
    """Return a value of the configuration in the column's type."""
    kind = dataset.contract.columns[column].type
    try:
        if kind == "integer":
            return int(value)
        if kind == "number":
            return float(value)
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"{value!r} is no value of {column}, whose values are of type {kind}.") from error
    if kind == "boolean":
        return value if isinstance(value, bool) else str(value).lower() in ("true", "1")
    return str(value)


def _wanted(methods: Any, known: Sequence[str], *, has_group: bool) -> list[str]:
    names = list(known) if methods == "all" else [_SPELLED.get(name, name) for name in _methods(methods)]
    if unknown := [name for name in names if name not in known]:
        raise AnalysisError(f"methods must be all, or of {', '.join(known)}, not {unknown[0]}.")
    return [name for name in names if has_group or name not in ("CDDL", "CDDPL")]


def _methods(methods: Any) -> list[str]:
    return [methods] if isinstance(methods, str) else list(methods)


def _metric(name: str, value: float | None, error: str | None) -> Item:
    short = next((aws for aws, own in _SPELLED.items() if own == name), name)
    shown: Any = value if value is None or math.isfinite(value) else str(value)
    problem = {"error": error} if error else {}
    return {"name": short, "description": _DESCRIPTIONS[short], "value": shown, **problem}


def _shown(values: str) -> str:
    """Return the values of a facet, as `= 1 or 2` and `> 3` name them, as Clarify does."""
    if values.startswith("= "):
        return values.removeprefix("= ").replace(" or ", ",")
    return f"({values.removeprefix('> ')}, inf)"


def _with_entropy(found: Mapping[str, list[Item]]) -> list[Item]:
    """Return a column's facets; GE, which is of all rows, stands with each."""
    of_all = found.get("", [])
    return [
        {"value_or_threshold": _shown(values), "metrics": [*metrics, *of_all]}
        for values, metrics in found.items()
        if values
    ]


def violations(found: Item, before: Item) -> Iterator[Item]:
    """Yield the metrics that are farther from no bias than those of the baseline."""
    for kind in (_PRE, _POST):
        known = dict(_values(before.get(f"{kind}_metrics", {})))
        for key, value in _values(found.get(f"{kind}_metrics", {})):
            if key in known and _distance(key[2], value) > _distance(key[2], known[key]):
                facet, facet_value, name = key
                yield {
                    "facet": facet,
                    "facet_value": facet_value,
                    "metric_name": name,
                    "constraint_check_type": "bias_drift_check",
                    "description": f"Metric value {value:.6g} is farther from no bias than the baseline's "
                    f"{known[key]:.6g}.",
                }


def _values(metrics: Item) -> Iterator[tuple[tuple[str, str, str], float]]:
    for facet, groups in metrics.get("facets", {}).items():
        for group in groups:
            for metric in group["metrics"]:
                if metric.get("value") is not None:
                    yield (facet, group["value_or_threshold"], metric["name"]), float(metric["value"])


def _distance(name: str, value: float) -> float:
    return abs(value - (1.0 if name == "DI" else 0.0))


if __name__ == "__main__":
    job.run(analyze)
