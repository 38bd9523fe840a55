"""The files are those that Model Monitor writes and other tools read."""

import json
import sys
from typing import Any

import pytest

from sluice.domain import config
from sluice.domain.config import PipelineConfig
from sluice.domain.config.models import Data
from sluice.domain.config.statistics import Drift
from sluice.quality.report import monitor_files
from sluice.quality.statistics.drift import compare
from sluice.quality.statistics.profiles import Categories, ColumnProfile, Distribution, Profile
from sluice.quality.validation import Violation

SCORE = ColumnProfile(
    "number", 90, 8, 2, 90, True, Distribution(0, 10, 4.5, 2.5, (2.0, 5.0), (40, 30, 20), False)
)
LABEL = ColumnProfile("string", 100, 0, 0, 2, True, None, Categories({"great": 65, "other": 35}, 0))
EMPTY = ColumnProfile("boolean", 0, 100, 0, 0, True)
PROFILE = Profile(100, {"score": SCORE, "sentiment": LABEL, "verified": EMPTY})


@pytest.fixture(scope="session")
def data(pipeline_config: PipelineConfig) -> Data:
    return pipeline_config.data


def feature(text: bytes, name: str) -> dict[str, Any]:
    return next(f for f in json.loads(text)["features"] if f["name"] == name)


def test_statistics_say_what_model_monitors_do() -> None:
    written = json.loads(monitor_files.statistics(PROFILE))
    assert (written["version"], written["dataset"]) == (0, {"item_count": 100})
    score = feature(monitor_files.statistics(PROFILE), "score")
    assert score["inferred_type"] == "Fractional"
    numbers = score["numerical_statistics"]
    assert numbers["common"] == {"num_present": 90, "num_missing": 10}
    assert {key: numbers[key] for key in ("mean", "sum", "std_dev", "min", "max")} == {
        "mean": 4.5,
        "sum": 405.0,
        "std_dev": 2.5,
        "min": 0,
        "max": 10,
    }
    kll = numbers["distribution"]["kll"]
    assert set(kll) == {"buckets", "sketch"}
    assert set(kll["sketch"]) == {"parameters", "data"}


def test_there_are_ten_buckets_that_hold_every_value_once() -> None:
    score = feature(monitor_files.statistics(PROFILE), "score")
    buckets = score["numerical_statistics"]["distribution"]["kll"]["buckets"]
    assert [bucket["lower_bound"] for bucket in buckets] == list(range(10))
    assert [bucket["upper_bound"] for bucket in buckets] == list(range(1, 11))
    # 40 values spread over (0, 2], 30 over (2, 5] and 20 over (5, 10].
    assert [bucket["count"] for bucket in buckets] == [20, 20, 10, 10, 10, 4, 4, 4, 4, 4]


def test_buckets_of_values_that_are_all_known_are_exact() -> None:
    distribution = Distribution(1, 3, 2, 0.5, (1.0, 2.0, 3.0), (5, 7, 1, 0), True)
    profile = Profile(13, {"code": ColumnProfile("integer", 13, 0, 0, 3, True, distribution)})
    code = feature(monitor_files.statistics(profile), "code")
    assert code["inferred_type"] == "Integral"
    buckets = code["numerical_statistics"]["distribution"]["kll"]["buckets"]
    # (lower, upper], of width 0.2: the first holds the least value too.
    assert [bucket["count"] for bucket in buckets] == [5, 0, 0, 0, 7, 0, 0, 0, 0, 1]


def test_a_column_of_one_number_has_buckets_too() -> None:
    distribution = Distribution(4, 4, 4, 0, (4.0,), (9, 0), True)
    profile = Profile(9, {"code": ColumnProfile("integer", 9, 0, 0, 1, True, distribution)})
    buckets = feature(monitor_files.statistics(profile), "code")["numerical_statistics"]["distribution"]
    assert sum(bucket["count"] for bucket in buckets["kll"]["buckets"]) == 9


@pytest.mark.parametrize("is_discrete", [True, False])
def test_numbers_as_great_as_there_are_have_finite_statistics(is_discrete: bool) -> None:
    most = sys.float_info.max
    huge = Distribution(-most, most, most, most, (-most, 0.0, most), (1, 1, 1, 0), is_discrete=is_discrete)
    column = ColumnProfile("number", 3, 0, 0, 3, True, distribution=huge)
    found = feature(monitor_files.statistics(Profile(3, {"x": column})), "x")["numerical_statistics"]
    assert found["sum"] == most
    buckets = found["distribution"]["kll"]["buckets"]
    assert [bucket["count"] for bucket in buckets] == [1, 0, 0, 0, 1, 0, 0, 0, 0, 1] or not is_discrete
    assert sum(bucket["count"] for bucket in buckets) == 3


def test_many_of_the_greatest_number_have_finite_buckets() -> None:
    most = sys.float_info.max
    same = Distribution(most, most, most, 0, (most,), (3, 0), is_discrete=True)
    column = ColumnProfile("number", 3, 0, 0, 1, True, distribution=same)
    found = feature(monitor_files.statistics(Profile(3, {"x": column})), "x")["numerical_statistics"]
    bounds = {bucket["upper_bound"] for bucket in found["distribution"]["kll"]["buckets"]}
    assert bounds == {most}


def test_categories_are_buckets_of_values() -> None:
    label = feature(monitor_files.statistics(PROFILE), "sentiment")
    assert label["inferred_type"] == "String"
    assert label["string_statistics"] == {
        "common": {"num_present": 100, "num_missing": 0},
        "distinct_count": 2,
        "distribution": {
            "categorical": {"buckets": [{"value": "great", "count": 65}, {"value": "other", "count": 35}]}
        },
    }


def test_a_column_without_values_is_of_unknown_type() -> None:
    assert feature(monitor_files.statistics(PROFILE), "verified")["inferred_type"] == "Unknown"


def test_constraints_are_those_of_the_contract(data: Data) -> None:
    text = monitor_files.constraints(PROFILE, data)
    assert feature(text, "score") == {
        "name": "score",
        "inferred_type": "Fractional",
        "completeness": 0.9,
        "num_constraints": {"is_non_negative": True},
    }
    assert feature(text, "sentiment") == {
        "name": "sentiment",
        "inferred_type": "String",
        "completeness": 1.0,
        "string_constraints": {"domains": ["great", "other"]},
    }


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        ("", {"perform_comparison": "Disabled"}),
        ("  drift: {method: psi, max: 0.2}\n", {"perform_comparison": "Disabled"}),
        (
            "  drift: {method: chi_square, max: 0.3}\n",
            {
                "perform_comparison": "Enabled",
                "comparison_threshold": 0.3,
                "comparison_method": "Robust",
                "categorical_comparison_threshold": 0.3,
                "categorical_drift_method": "ChiSquared",
            },
        ),
    ],
)
def test_drift_is_compared_where_model_monitor_knows_the_method(
    config_text: str, drift: str, expected: dict[str, Any]
) -> None:
    data = config.load(config_text.replace("  quality:\n", f"{drift}  quality:\n")).data
    monitoring = json.loads(monitor_files.constraints(PROFILE, data))["monitoring_config"]
    assert monitoring["distribution_constraints"] == expected
    assert monitoring["datatype_check_threshold"] == 1.0


def test_violations_have_model_monitors_kinds_and_no_others() -> None:
    found = [
        Violation("score", "type", "2 rows not of type number", 2),
        Violation("code", "column", "the column is missing", 1),
        Violation("sentiment", "allowed", "1 row not one of great, other", 1),
        Violation("score", "completeness", "0.9 of the rows have a value", 10),
        Violation("score", "max", "1 row above 5", 1),
        Violation(None, "format", "a.csv cannot be read", 0),
    ]
    written = json.loads(monitor_files.violations(found))["violations"]
    assert [(v["feature_name"], v["constraint_check_type"]) for v in written] == [
        ("score", "data_type_check"),
        ("code", "missing_column_check"),
        ("sentiment", "categorical_values_check"),
        ("score", "completeness_check"),
    ]
    assert written[0]["description"] == "2 rows not of type number"


def test_drift_is_a_violation_of_its_column() -> None:
    after = Profile(100, {"sentiment": LABEL}, {"sentiment": (0,)})
    before = Profile(
        100, {"sentiment": ColumnProfile("string", 100, 0, 0, 1, True, None, Categories({"poor": 100}, 0))}
    )
    (violation,) = json.loads(monitor_files.violations([], compare(after, before, Drift(max=0.1), "v")))[
        "violations"
    ]
    assert violation["constraint_check_type"] == "baseline_drift_check"
    assert violation["feature_name"] == "sentiment"
    assert violation["description"].startswith("psi ")


def test_data_without_a_violation_have_an_empty_list() -> None:
    assert json.loads(monitor_files.violations([])) == {"violations": []}
