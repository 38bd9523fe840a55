"""data.bias and data.drift: what is wrong with them is told with its place, and what they name exists."""

import pytest

from sluice.domain import config
from sluice.domain.config import ConfigError
from sluice.domain.config.statistics import Facet


def with_statistics(text: str, *lines: str) -> str:
    added = "".join(f"  {line}\n" for line in lines)
    return text.replace("  quality:\n", f"{added}  quality:\n")


def problems(text: str, *lines: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.load(with_statistics(text, *lines))
    return [reason.partition(": ")[2] for reason in caught.value.reasons]


def test_a_facet_is_a_column_or_says_which_rows_it_is(config_text: str) -> None:
    line = (
        "bias: {facets: [code, {column: verified, values: [true]}, {column: score, threshold: 3}], "
        "favorable_labels: [great], limits: {DPL: 0.2}}"
    )
    loaded = config.load(with_statistics(config_text, line))
    assert loaded.data.bias is not None
    assert loaded.data.bias.facet_models == (
        Facet(column="code"),
        Facet(column="verified", values=(True,)),
        Facet(column="score", threshold=3),
    )
    assert config.restore(config.dump(loaded)) == loaded


def test_drift_is_psi_from_the_previous_version_unless_told_otherwise(config_text: str) -> None:
    drift = config.load(with_statistics(config_text, "drift: {max: 0.2}")).data.drift
    assert drift is not None
    assert (drift.method, drift.baseline, drift.columns, drift.severity) == ("psi", "previous", None, "fail")


@pytest.mark.parametrize(
    ("bias", "problem"),
    [
        (
            "facets: [cod], favorable_labels: [great]",
            "data.bias.facets[0] is 'cod': expected one of id, review, sentiment, written, score, code, "
            "verified; did you mean 'code'?",
        ),
        (
            "facets: [{column: scor}], favorable_labels: [great]",
            "data.bias.facets[0].column is 'scor': expected one of id, review, sentiment, written, score, "
            "code, verified; did you mean 'score'?",
        ),
        (
            "facets: [{column: score, values: [x]}], favorable_labels: [great]",
            "data.bias.facets[0].values has 'x': expected values of type number",
        ),
        (
            "facets: [{column: code, threshold: 3}], favorable_labels: [great]",
            "data.bias.facets[0].threshold does not apply to type string: expected values",
        ),
        (
            "facets: [{column: score, threshold: 3, values: [1]}], favorable_labels: [great]",
            "data.bias.facets[0].threshold is given beside values: expected one of the two",
        ),
        (
            "facets: [{column: score, treshold: 3}], favorable_labels: [great]",
            "data.bias.facets[0].treshold is no field here: expected one of column, values, threshold; "
            "did you mean 'threshold'?",
        ),
        (
            "facets: [written], favorable_labels: [great]",
            "data.bias.facets[0] is 'written', of type timestamp: expected a column of type string, integer, "
            "number or boolean",
        ),
        ("facets: [3], favorable_labels: [great]", "data.bias.facets[0] is 3: expected a mapping"),
        (
            "facets: [code]",
            "data.bias has no favorable outcome: expected favorable_labels or favorable_threshold",
        ),
        (
            "facets: [code], favorable_labels: [great], favorable_threshold: 3",
            "data.bias has two favorable outcomes: expected favorable_labels or favorable_threshold",
        ),
        (
            "facets: [code], favorable_labels: [3]",
            "data.bias.favorable_labels has 3: expected values of type string",
        ),
        (
            "facets: [code], favorable_threshold: 3",
            "data.bias.favorable_threshold does not apply to type string: expected favorable_labels",
        ),
        (
            "facets: [code], favorable_labels: [great], limits: {CDDL: 0.1}",
            "data.bias.limits.CDDL has no group: expected group, the column to compare within",
        ),
        (
            "facets: [code], favorable_labels: [great], group: cod",
            "data.bias.group is 'cod': expected one of id, review, sentiment, written, score, code, "
            "verified; did you mean 'code'?",
        ),
        (
            "facets: [code], favorable_labels: [great], limits: {CDD: 1}",
            'data.bias.limits.CDD is "CDD": expected one of CI, DPL, KL, JS, LP, TVD, KS, CDDL; '
            "did you mean 'CDDL'?",
        ),
        (
            "facets: [code], favorable_labels: [great], limits: {cddl: 1}",
            'data.bias.limits.cddl is "cddl": expected one of CI, DPL, KL, JS, LP, TVD, KS, CDDL; '
            "did you mean 'CDDL'?",
        ),
        (
            "facets: [code], favorable_labels: [great], limits: {DPL: 20}",
            "data.bias.limits.DPL is 20: expected less than 1, the farthest that DPL can be from 0",
        ),
        (
            "facets: [code], favorable_labels: [great], limits: {JS: 0.7}",
            "data.bias.limits.JS is 0.7: expected less than 0.6931, the farthest that JS can be from 0",
        ),
        (
            "facets: [code], favorable_labels: [Great]",
            "data.bias.favorable_labels has 'Great': expected values that the column is allowed: great, "
            "other; did you mean 'great'?",
        ),
        (
            "facets: [{column: sentiment, values: [bad]}], favorable_labels: [great]",
            "data.bias.facets[0].values has 'bad': expected values that the column is allowed: great, other",
        ),
        (
            "facets: [code], favorable_labels: [great], limits: {DPL: -1}",
            "data.bias.limits.DPL is -1: expected at least 0",
        ),
    ],
)
def test_what_is_wrong_with_bias_is_said_at_its_place(config_text: str, bias: str, problem: str) -> None:
    assert problem in problems(config_text, f"bias: {{{bias}}}")


def test_a_label_that_is_no_column_is_said_once(config_text: str) -> None:
    text = config_text.replace("label: sentiment", "label: sentimnt")
    assert text != config_text
    (problem,) = problems(text, "bias: {facets: [code], favorable_labels: [1.5]}")
    assert problem.startswith("data.label is 'sentimnt'")


def test_the_label_of_a_favorable_outcome_is_no_time(config_text: str) -> None:
    text = config_text.replace("label: sentiment", "label: written")
    found = problems(text, 'bias: {facets: [code], favorable_labels: ["2024-01-01"]}')
    assert found == [
        "data.bias has no outcomes in a label of type timestamp: expected a label of another type"
    ]


@pytest.mark.parametrize(
    ("drift", "problem"),
    [
        (
            "method: psj, max: 1",
            'data.drift.method is "psj": expected one of psi, js, ks, wasserstein, chi_square, l_infinity; '
            "did you mean 'psi'?",
        ),
        (
            "method: psi",
            "data.drift.max is missing: expected the greatest distance that does not count as drift",
        ),
        ("method: ks, max: 2", "data.drift.max is 2: expected less than 1, the greatest ks there is"),
        (
            "method: ks, max: 0.1, columns: [score, review]",
            "data.drift.columns[1] is 'review', of type string: expected a column of numbers or times, which "
            "is what ks compares",
        ),
        (
            "max: 0.1, columns: [scor]",
            "data.drift.columns[0] is 'scor': expected one of id, review, sentiment, written, score, code, "
            "verified; did you mean 'score'?",
        ),
        (
            "max: 0.1, baseline: latest",
            'data.drift.baseline is "latest": expected previous (the last valid version) or a data set '
            "version of 64 hex digits",
        ),
    ],
)
def test_what_is_wrong_with_drift_is_said_at_its_place(config_text: str, drift: str, problem: str) -> None:
    assert problems(config_text, f"drift: {{{drift}}}") == [problem]
