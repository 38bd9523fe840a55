"""Bias of data and of a model's predictions, as analysis_config.json asks for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from sluice.domain.config.statistics import BiasMetricName, PredictedBiasName
from sluice.domain.predictions import bias as predicted_bias
from sluice.domain.predictions.table import Predictions, PredictionsError
from sluice.quality.statistics import bias as label_bias
from sluice_analyzers import shadow
from sluice_analyzers.datasets import AnalysisError, Dataset

# A column of numbers with more different values than this share of its rows is a continuous one for Clarify.
_CONTINUOUS_SHARE = 0.05
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
Features = Mapping[str, Sequence[str]]


class Judged:
    """A data set with what its configuration says of label and facets."""

    def __init__(self, dataset: Dataset, config: Item) -> None:
        self.config = config
        self.label = column_name(dataset, config.get("label"), "label")
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
            bias["group"] = column_name(dataset, group, "group_variable")
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
            return rows[column_name(self.dataset, given, "predicted_label")]
        features = features_of(rows, self.config, self.label)
        with shadow.model(self.config.get("predictor", {}), variables) as model:
            return model.labels(features, self.config.get("probability_threshold", 0.5))

    def _answer(self, facets: Mapping[str, Any]) -> Item:
        favorable = self.config["label_values_or_threshold"]
        return {
            "label": self.label,
            "label_value_or_threshold": ", ".join(map(str, favorable)),
            "facets": facets,
        }

    def _facet(self, dataset: Dataset, facet: Item) -> Item:
        column = column_name(dataset, facet.get("name_or_index"), "facet")
        values = facet.get("value_or_threshold")
        if not values:
            return {"column": column}
        if len(values) == 1 and _is_continuous(dataset, column):
            return {"column": column, "threshold": values[0]}
        return {"column": column, "values": [_typed(dataset, column, value) for value in values]}


def column_name(dataset: Dataset, given: Any, what: str) -> str:
    """Return the column that a name or zero-based position means; raises AnalysisError."""
    if isinstance(given, int) and 0 <= given < len(dataset.names):
        return dataset.names[given]
    if given not in dataset.names:
        raise AnalysisError(f"{what} must be a column of {', '.join(dataset.names)}, not {given!r}.")
    return str(given)


def features_of(rows: Mapping[str, Sequence[str]], config: Item, label: str | None) -> Features:
    """Return the columns that a model gets: all but the label and those that are excluded."""
    left_out = {label, *(config.get("excluded_columns") or [])}
    return {name: values for name, values in rows.items() if name not in left_out}


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
