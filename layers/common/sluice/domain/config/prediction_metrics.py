"""The metrics that are computed from predictions, by the names that gates give them.

`kind` says what a metric is made of, and so how two models are compared by it: `share` is a share of rows
that are right, `counts` a function of the counts of a confusion matrix, `mean` a mean over rows, `ranks` an
order of scores. `needs` says what evaluate.py must have written: classes (a column `prediction`, or `score`),
scores (`score`, of two classes), numbers (`prediction`, or `score`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sluice.lazy import dataclass

Kind = Literal["share", "counts", "mean", "ranks"]
Needs = Literal["classes", "scores", "numbers"]


@dataclass(frozen=True, slots=True)
class PredictionMetric:
    """A metric; `of_two_classes` needs to know which label is positive."""

    name: str
    kind: Kind
    needs: Needs
    aliases: tuple[str, ...] = ()
    of_two_classes: bool = False
    lower_is_better: bool = False


METRICS: dict[str, PredictionMetric] = {
    metric.name: metric
    for metric in (
        PredictionMetric("accuracy", "share", "classes", ("acc",)),
        PredictionMetric("recall", "share", "classes", ("sensitivity", "tpr"), of_two_classes=True),
        PredictionMetric("specificity", "share", "classes", ("tnr",), of_two_classes=True),
        PredictionMetric("precision", "counts", "classes", ("ppv",), of_two_classes=True),
        PredictionMetric("f1", "counts", "classes", ("f1_score",), of_two_classes=True),
        PredictionMetric("balanced_accuracy", "counts", "classes"),
        PredictionMetric("mcc", "counts", "classes", ("matthews_corrcoef",)),
        PredictionMetric("precision_macro", "counts", "classes"),
        PredictionMetric("recall_macro", "counts", "classes"),
        PredictionMetric("f1_macro", "counts", "classes"),
        PredictionMetric("f1_weighted", "counts", "classes"),
        PredictionMetric("auc", "ranks", "scores", ("roc_auc", "auroc"), of_two_classes=True),
        PredictionMetric(
            "log_loss",
            "mean",
            "scores",
            ("logloss", "cross_entropy"),
            of_two_classes=True,
            lower_is_better=True,
        ),
        PredictionMetric(
            "brier", "mean", "scores", ("brier_score",), of_two_classes=True, lower_is_better=True
        ),
        PredictionMetric("mae", "mean", "numbers", ("mean_absolute_error",), lower_is_better=True),
        PredictionMetric("mse", "mean", "numbers", ("mean_squared_error",), lower_is_better=True),
        PredictionMetric("rmse", "mean", "numbers", ("root_mean_squared_error",), lower_is_better=True),
        PredictionMetric("r2", "mean", "numbers", ("r2_score",)),
    )
}
_BY_NAME = {name: metric for metric in METRICS.values() for name in (metric.name, *metric.aliases)}
# The words around a metric's name in a path, as in metrics.accuracy.value.
_AROUND = ("metrics", "predictions", "value")


def name_in(path: Sequence[str]) -> str:
    """Return the name of the metric that a path leads to: of metrics.accuracy.value, accuracy."""
    inner = [key for key in path if key not in _AROUND] or list(path)
    return inner[-1].casefold().replace("-", "_").replace(" ", "_")


def find(path: Sequence[str]) -> PredictionMetric | None:
    """Return the metric that a path names; None if it is none that predictions have."""
    return _BY_NAME.get(name_in(path))
