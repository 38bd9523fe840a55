"""What a data contract may not say of its checks."""

from __future__ import annotations

import pytest

from sluice.domain.config import ConfigError, load
from sluice.domain.config.checks.allowed_share import AllowedShareCheck
from sluice.domain.config.checks.query import SqlCheck

QUALITY = "    - {check: row_count, min: 100}\n"


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        load(text)
    return str(error.value)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("{check: mean, column: score}", "data.quality[1] has neither min nor max"),
        ("{check: mean, column: scor, min: 1}", "did you mean 'score'?"),
        ("{check: mean, column: review, min: 1}", "data.quality[1].column is of type string"),
        ("{check: mean, column: score, min: 2, max: 1}", "data.quality[1].min is 2"),
        ("{check: quantile, column: score, min: 1}", "expected q, which quantile"),
        ("{check: mean, column: score, q: 0.5, min: 1}", "data.quality[1].q does not suit mean"),
        ("{check: freshness, column: score, max_age_s: 60}", "expected a timestamp column"),
        ("{check: freshness, column: scor, max_age_s: 60}", "did you mean 'score'?"),
        ("{check: allowed_share, column: scor, values: [1], min: 1}", "did you mean 'score'?"),
        ("{check: distinct_count, column: score, min: 3, max: 2}", "data.quality[1].min is 3"),
        (
            "{check: allowed_share, column: score, values: [a], min: 1}",
            "has 'a': expected values of type number",
        ),
        ("{check: sql, name: mine, query: DROP TABLE data}", "data.quality[1].query is no query"),
        ("{check: maen, column: score}", "did you mean 'mean'?"),
        (
            "{check: completeness, column: score}",
            "is missing: expected the least share of rows with a value, 0 to 1",
        ),
        (
            "{check: row_count, mim: 1}",
            "expected one of severity, check, min, max, max_change; did you mean 'min'?",
        ),
        (
            "{check: completeness, column: score, min: 99}",
            "is 99: expected at most 1 (the least share of rows with a value, 0 to 1)",
        ),
        (
            "{check: sql, name: a, query: SELECT 1}\n    - {check: sql, name: a, query: SELECT 2}",
            "data.quality[2].name is 'a' again: expected a name of its own",
        ),
        ("{check: row_count, min: 1, severity: wran}", "did you mean 'warn'?"),
    ],
)
def test_a_check_that_cannot_be_meant_is_explained(config_text: str, check: str, said: str) -> None:
    assert said in problems(config_text.replace(QUALITY, f"    - {check}\n"))


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("keys: [[id, nowhere]]", "data.keys[0][1] is 'nowhere'"),
        ("redact: [reviw]", "did you mean 'review'?"),
        ("window: 30d", "expected a mapping ({last: 30d} or {last: 12 batches}, in mode window)"),
        ("extra: deny", "data.extra is"),
        ('csv: {delimiter: "ab"}', "data.csv.delimiter"),
        ("format: jsonl\n  csv: {header: false}", "data.csv is given with format jsonl"),
        ('csv: {delimiter: "\'", quote: "\'"}', "data.csv.quote is the delimiter too"),
    ],
)
def test_a_contract_that_cannot_be_meant_is_explained(config_text: str, field: str, said: str) -> None:
    text = config_text.replace("  format: csv\n", "") if field.startswith("format") else config_text
    assert said in problems(text.replace("data:\n", f"data:\n  {field}\n"))


def test_values_of_the_columns_type_are_allowed(config_text: str) -> None:
    check = "    - {check: allowed_share, column: score, values: [1, 2.5], min: 0.5}\n"
    found = load(config_text.replace(QUALITY, check)).data.quality[1]
    assert isinstance(found, AllowedShareCheck)
    assert found.values == (1, 2.5)


def test_a_query_may_end_in_a_semicolon(config_text: str) -> None:
    text = config_text.replace(QUALITY, "    - {check: sql, name: a, query: 'SELECT 1 FROM data; '}\n")
    check = load(text).data.quality[1]
    assert isinstance(check, SqlCheck)
    assert check.query == "SELECT 1 FROM data"


def test_names_differ_in_more_than_case(config_text: str) -> None:
    text = config_text.replace("  schema:\n", "  schema:\n    ID: {type: integer}\n")
    assert "differs from 'ID' in case only" in problems(text)


@pytest.mark.parametrize("format_", ["day", "%q", "%d/%m/%Y %"])
def test_a_time_is_written_in_directives(config_text: str, format_: str) -> None:
    text = config_text.replace(
        "  schema:\n", f"  schema:\n    at: {{type: timestamp, format: '{format_}'}}\n"
    )
    assert "expected directives of strptime" in problems(text)


def test_a_time_may_be_written_in_any_known_directives(config_text: str) -> None:
    at = "    at: {type: timestamp, format: '%d/%m/%Y %H:%M'}\n"
    assert (
        load(config_text.replace("  schema:\n", f"  schema:\n{at}")).data.columns["at"].format
        == "%d/%m/%Y %H:%M"
    )
