"""Rules between gates and what they are about."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.domain.config import gate_syntax, prediction_metrics
from sluice.domain.config.models import PipelineConfig
from sluice.domain.config.problems import Breach
from sluice.domain.nearest import nearest


def sound_gates(config: PipelineConfig) -> Iterator[Breach]:
    """Require that gates on bias have facets, and those on CDDPL a group."""
    bias = config.data.bias
    for index, text in enumerate(config.gates):
        gate, loc = gate_syntax.parse(text), ("gates", index)
        if config.build is not None and gate.reads_predictions:
            yield Breach(
                loc,
                "needs predictions of both models for the same rows",
                "a gate on a metric, such as metrics.accuracy.value not_worse_than champion by 0.01: what a "
                "pipeline of SageMaker registers has an evaluation, and nothing scores the champion anew",
            )
            continue
        if gate.source != "bias":
            continue
        if bias is None:
            yield Breach(loc, "has no facets", "data.bias with facets and favorable labels")
            continue
        columns = [facet.column for facet in bias.facet_models]
        if len(gate.path) > 2 and gate.path[2] not in columns:
            near = nearest(gate.path[2], columns)
            yield Breach(loc, f"names {gate.path[2]!r}", f"a facet of data.bias: {', '.join(columns)}", near)
        if gate.path[1] == "CDDPL" and bias.group is None:
            yield Breach(loc, "has no group", "data.bias.group, the column to compare within")


def warnings(config: PipelineConfig) -> Iterator[str]:
    """Tell which gates compare a loss as if more of it were better."""
    for text in config.gates:
        gate = gate_syntax.parse(text)
        metric = prediction_metrics.find(gate.path)
        is_loss = metric is not None and metric.lower_is_better
        if metric and is_loss and gate.source == "evaluation" and gate.compares and not gate.lower_is_better:
            yield (
                f"{text}: of {metric.name} less is better, as lower_is_better at the gate's end says; "
                "this one wants more"
            )
