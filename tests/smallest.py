"""The smallest pipeline.yaml that is complete, for tests of what comes after a build."""

from __future__ import annotations


def pipeline(
    schema: str, *, serve: str = "{script: src/inference.py, sample: sample.json}", more: str = ""
) -> str:
    """Return a pipeline.yaml whose label is y, with this schema, this `serve` and more lines at its end."""
    return f"""\
name: reviews
image: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/own:1
data: {{format: csv, label: y, schema: {schema}}}
prepare: {{script: src/prepare.py}}
train:
  script: src/train.py
  candidates: {{objective: accuracy}}
  metrics: [{{name: accuracy, regex: "accuracy: ([0-9.]+)"}}]
evaluate: {{script: src/evaluate.py}}
gates: [metrics.accuracy.value >= 0.5]
serve: {serve}
{more}"""
