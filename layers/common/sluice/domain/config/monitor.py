"""How a model is watched after its release: what is captured, and by which limits windows are judged."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from sluice.domain.config.base import Model
from sluice.domain.config.statistics import Drift, DriftMethod, PredictedBiasName

Concern = Literal["drift", "quality", "schedule"]
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
Duration = Annotated[str, Field(pattern=r"^[0-9]{1,5}[smhd]$")]
# The names of `prediction_metrics`: most functions that read a config need not load those.
MetricName = Literal[
    "accuracy",
    "recall",
    "specificity",
    "precision",
    "f1",
    "balanced_accuracy",
    "mcc",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "f1_weighted",
    "auc",
    "log_loss",
    "brier",
    "mae",
    "mse",
    "rmse",
    "r2",
]


def span(text: str) -> timedelta:
    """Return the time span that a duration such as 7d, 12h, 30m or 45s names."""
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


class RequestShape(Model):
    """Where the rows of a request are, and which columns they have."""

    rows: str | None = Field(
        None, description="the member of a JSON request that holds its rows, by default its only list"
    )
    columns: tuple[str, ...] = Field(
        (), description="the columns of a request in their order, by default all of the schema but the label"
    )


class AnswerShape(Model):
    """Where the predictions are in an answer."""

    rows: str | None = Field(
        None, description="the member of a JSON answer that holds its predictions, by default its only list"
    )
    prediction: str | None = Field(
        None,
        description="the member of a prediction that is the predicted value, by default the label's name",
    )
    score: str | None = Field(
        None, description="the member of a prediction that is the score, by default `score`"
    )


class WatchedDrift(Model):
    """The drift from the training data that is allowed in a window; chance is allowed for besides."""

    method: DriftMethod = Field("psi", description="psi, js, ks, wasserstein, chi_square or l_infinity")
    max: float = Field(0.2, description="the greatest distance that does not count as drift", ge=0)
    max_missing_change: float | None = Field(
        0.1, description="the greatest change of the share of rows without a value, 0 to 1", ge=0, le=1
    )
    max_new_share: float | None = Field(
        0.1, description="the greatest share of values, 0 to 1, that the training data lack", ge=0, le=1
    )
    columns: tuple[str, ...] | None = Field(
        None, description="the columns to judge, by default all of a request", min_length=1
    )

    def limits(self) -> Drift:
        """Return the limits as the engine takes them."""
        return Drift(
            method=self.method,
            max=self.max,
            max_missing_change=self.max_missing_change,
            max_new_share=self.max_new_share,
            columns=self.columns,
        )


class WatchedQuality(Model):
    """How good the predictions must be once their labels are known."""

    metric: MetricName = Field("accuracy", description="a metric of predictions, such as accuracy or rmse")
    max_loss: float = Field(
        0.05, description="how much worse than on the hold-out data it may be, in the metric's unit", ge=0
    )
    limit: float | None = Field(
        None, description="the worst value that is allowed, whatever it was on the hold-out data"
    )
    window: Duration = Field("7d", description="the time whose predictions are judged together, such as 7d")
    min_labels: int = Field(50, description="labels of a window below which it is not judged", ge=2)
    slices: tuple[str, ...] = Field((), description="columns of a request, in whose values it is judged too")


class Volume(Model):
    """How many predictions a window may have."""

    min: int | None = Field(None, description="the least predictions of a window", ge=1)
    max: int | None = Field(None, description="the most predictions of a window", ge=1)


class Monitor(Model):
    """Watch what serves: capture requests and answers, and judge windows of them."""

    capture: Literal["endpoint", "script"] = Field(
        "endpoint",
        description="endpoint (SageMaker captures), or script (the serving script does, as for serverless)",
    )
    capture_percent: int = Field(100, description="the share of requests to capture, 1 to 100", ge=1, le=100)
    every_s: int = Field(3600, description="seconds of a window of requests", ge=5, le=604800)
    label_delay: Duration = Field(
        "7d", description="how long after a window its labels are complete, such as 7d, 12h or 0s"
    )
    min_rows: int = Field(100, description="predictions of a window below which drift is not judged", ge=30)
    request: RequestShape = Field(default_factory=RequestShape)
    answer: AnswerShape = Field(default_factory=AnswerShape)
    drift: WatchedDrift = Field(default_factory=WatchedDrift)
    quality: WatchedQuality = Field(default_factory=WatchedQuality)
    bias: dict[PredictedBiasName, Annotated[float, Field(ge=0)]] = Field(
        {}, description="by metric of predictions (DPPL, DI, AD, ..) the greatest distance from no bias"
    )
    volume: Volume | None = Field(None, description="limits on the number of predictions in a window")
    retrain_on: tuple[Concern, ...] = Field(
        (), description="what starts a build, within the limits of `retrain`: drift, quality, schedule"
    )
    retrain_every: Duration | None = Field(
        None, description="how old a live model may become, such as 30d, with retrain_on: [schedule]"
    )
