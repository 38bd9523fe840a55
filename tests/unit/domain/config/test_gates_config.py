"""Gates in pipeline.yaml are refused at the push if they cannot be what they say."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from sluice.domain import config
from sluice.domain.config import ConfigError, gate_rules

BIAS = {"facets": ["sex"], "favorable_labels": [1]}


def document(config_text: str, *gates: Any, **data: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(config_text)
    found["gates"] = list(gates)
    label = found["data"]["label"]
    found["data"]["schema"] |= {"sex": {"type": "string"}, "race": {"type": "string"}}
    found["data"] |= data
    if "bias" in data:
        found["data"]["schema"][label] = {"type": "integer"}
    return found


def problem(config_text: str, *gates: Any, **data: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config.load(yaml.safe_dump(document(config_text, *gates, **data)))
    return str(caught.value)


def test_a_gate_in_slices_needs_no_quotes_though_yaml_reads_a_mapping(config_text: str) -> None:
    # It is slow to import, and each worker collects all tests.
    import jsonschema  # type: ignore[import-untyped]

    text = "for each sex with n >= 30: recall >= 0.6"
    found = document(config_text, *yaml.safe_load(f"- {text}\n- metrics.f1.value >= 0.5\n- {text!r}\n"))
    assert found["gates"][0] == {"for each sex with n >= 30": "recall >= 0.6"}
    jsonschema.validate(found, config.json_schema())
    loaded = config.load(yaml.safe_dump(found))
    assert loaded.gates == (text, "metrics.f1.value >= 0.5", text)
    assert config.restore(config.dump(loaded)) == loaded


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ({"for each sex": "recal >= 1"}, "at column 15: expected a metric that is computed"),
        (
            {"for eech sex": "recall >= 1"},
            "gates[0] has 'eech' at column 5: expected 'each'; did you mean 'each'?",
        ),
        ({"a": 1, "b": 2}, "gates[0] is a mapping: expected a string"),
        ("bias.DPL.sex within 1", "gates[0] has 'bias.DPL.sex' at column 1: expected one of bias.DPPL"),
    ],
)
def test_a_gate_that_cannot_be_read_says_where(config_text: str, gate: Any, words: str) -> None:
    assert words in problem(config_text, gate, bias=BIAS)


@pytest.mark.parametrize(
    ("gate", "data", "words"),
    [
        ("bias.DI >= 0.8", {}, "gates[0] has no facets: expected data.bias with facets"),
        (
            "bias.DI.sx >= 0.8",
            {"bias": BIAS},
            "gates[0] names 'sx': expected a facet of data.bias: sex; did you mean 'sex'?",
        ),
        ("bias.CDDPL within 0.1", {"bias": BIAS}, "gates[0] has no group: expected data.bias.group"),
    ],
)
def test_a_gate_on_bias_names_what_the_data_have(
    config_text: str, gate: str, data: dict[str, Any], words: str
) -> None:
    assert words in problem(config_text, gate, **data)


def test_sound_gates_on_bias_are_taken(config_text: str) -> None:
    gates = ("bias.DI >= 0.8", "bias.AD.sex within 0.1", "bias.CDDPL within 0.1")
    found = document(config_text, *gates, bias={**BIAS, "group": "race"})
    assert config.load(yaml.safe_dump(found)).gates == gates


def test_a_gate_that_takes_a_loss_for_a_gain_is_told(config_text: str) -> None:
    gates = (
        "metrics.log_loss.value better_than champion",
        "metrics.log_loss.value better_than champion lower_is_better",
        "metrics.log_loss.value better_than champion with confidence 0.9",
        "metrics.accuracy.value better_than champion",
        "metrics.rmse.value <= 3",
    )
    loaded = config.load(yaml.safe_dump(document(config_text, *gates)))
    assert list(gate_rules.warnings(loaded)) == [
        "metrics.log_loss.value better_than champion: of log_loss less is better, as lower_is_better at the "
        "gate's end says; this one wants more"
    ]
