"""Bias of data and of a model's predictions, as analysis_config.json asks for it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from sluice.domain.config.statistics import Bias, BiasMetricName, PredictedBiasName
from sluice.domain.predictions import bias as predicted_bias
from sluice.domain.predictions.table import Predictions, PredictionsError
from sluice.quality.statistics import bias as label_bias
from sluice_analyzers import shadow
from sluice_analyzers.datasets import AnalysisError, Dataset

# A column of numbers with more different values than this share of its rows is a continuous one for Clarify.
_CONTINUOUS_SHARE = 0.05
# In a configuration and its analysis AWS writes DCA and DCR.
_OF_GROUPS = ("CDDL", "CDDPL")
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
        self.dataset, self.config = dataset, config
        self.label = column_name(dataset, config.get("label"), "label")
        stated: Item = {"facets": [self._facet(facet) for facet in _listed(config.get("facet"))]}
        if not stated["facets"]:
            raise AnalysisError("facet must name the columns that may be disadvantaged.")
        favorable = config.get("label_values_or_threshold")
        if not favorable:
            raise AnalysisError("label_values_or_threshold must say which labels are favorable.")
        if len(favorable) == 1 and _is_continuous(dataset, self.label):
            stated["favorable_threshold"] = favorable[0]
        else:
            stated["favorable_labels"] = [_typed(dataset, self.label, value) for value in favorable]
        if (group := config.get("group_variable")) is not None:
            stated["group"] = column_name(dataset, group, "group_variable")
        self.bias = Bias.model_validate_json(json.dumps(stated))

    def before(self, methods: Any) -> Item:
        """Return pre_training_bias_metrics."""
        counts = self.dataset.label_counts(self.label, self.bias)
        wanted = self._wanted(methods, get_args(BiasMetricName))
        found = _Facets()
        for facet in label_bias.measure(counts, self.label, self.bias).facets:
            known: dict[str, Any] = {metric.name: metric for metric in facet.metrics}
            for name in wanted:
                found.add(facet.column, facet.values, name, known[name].value, known[name].error)
        return self._answer(found)

    def after(self, methods: Any, variables: Mapping[str, str]) -> Item:
        """Return post_training_bias_metrics."""
        rows = self.dataset.rows()
        guesses = self._guesses(rows, variables)
        columns = {name: values for name, values in rows.items() if name != self.label}
        ids = [str(row) for row in range(len(guesses))]
        predictions = Predictions(
            ids=ids, labels=rows[self.label], predicted=guesses, scores=None, columns=columns
        )
        found = _Facets()
        for name in self._wanted(methods, get_args(PredictedBiasName)):
            try:
                measured = predicted_bias.measure(name, predictions, self.bias)  # type: ignore[arg-type]
            except PredictionsError as error:
                raise AnalysisError(f"{name} cannot be measured: the table of predictions {error}") from error
            for each in measured:
                found.add(each.column, each.values, name, each.value, each.error)
        return self._answer(found)

    def _wanted(self, methods: Any, known: Sequence[str]) -> list[str]:
        """Return the metrics to measure, those within groups only if there are groups."""
        given = [methods] if isinstance(methods, str) else list(methods)
        names = list(known) if methods == "all" else [_SPELLED.get(name, name) for name in given]
        if unknown := [name for name in names if name not in known]:
            raise AnalysisError(f"methods must be all, or of {', '.join(known)}, not {unknown[0]}.")
        return [name for name in names if self.bias.group is not None or name not in _OF_GROUPS]

    def _guesses(self, rows: Mapping[str, Sequence[str]], variables: Mapping[str, str]) -> Sequence[str]:
        """Return the predicted labels: those of the data set, or those that the model gives."""
        if (given := self.config.get("predicted_label")) is not None:
            return rows[column_name(self.dataset, given, "predicted_label")]
        features = features_of(rows, self.config, self.label)
        with shadow.model(self.config.get("predictor", {}), variables) as model:
            return model.labels(features, self.config.get("probability_threshold", 0.5))

    def _answer(self, found: _Facets) -> Item:
        favorable = self.config["label_values_or_threshold"]
        return {
            "label": self.label,
            "label_value_or_threshold": ", ".join(map(str, favorable)),
            "facets": found.listed([facet.column for facet in self.bias.facet_models], self._shown),
        }

    def _shown(self, column: str, values: str) -> str:
        """Return the values of a facet, as `= 1 or 2` and `> 3` name them, as Clarify does."""
        if values.startswith("= "):
            return values.removeprefix("= ").replace(" or ", ",")
        return f"({values.removeprefix('> ')}, {self.dataset.greatest(column)}]"

    def _facet(self, facet: Item) -> Item:
        dataset = self.dataset
        column = column_name(dataset, facet.get("name_or_index"), "facet")
        values = facet.get("value_or_threshold")
        if not values:
            return {"column": column}
        if len(values) == 1 and _is_continuous(dataset, column):
            return {"column": column, "threshold": values[0]}
        return {"column": column, "values": [_typed(dataset, column, value) for value in values]}


class _Facets:
    """Metrics by column and values of the facet."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], list[Item]] = {}

    def add(self, column: str, values: str, name: str, value: float | None, error: str | None) -> None:
        self._found.setdefault((column, values), []).append(_metric(name, value, error))

    def listed(self, columns: Sequence[str], shown: Callable[[str, str], str]) -> dict[str, list[Item]]:
        """Return each column's facets; a metric of all rows, which is GE, stands with each."""
        of_all = [metric for (_, values), metrics in self._found.items() if not values for metric in metrics]
        return {
            column: [
                {"value_or_threshold": shown(column, values), "metrics": [*metrics, *of_all]}
                for (whose, values), metrics in self._found.items()
                if values and whose == column
            ]
            for column in columns
        }


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


def _metric(name: str, value: float | None, error: str | None) -> Item:
    short = next((aws for aws, own in _SPELLED.items() if own == name), name)
    shown: Any = value if value is None or math.isfinite(value) else str(value)
    problem = {"error": error} if error else {}
    return {"name": short, "description": _DESCRIPTIONS[short], "value": shown, **problem}
