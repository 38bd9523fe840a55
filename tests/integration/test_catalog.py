"""The catalog's promises, kept alike by DynamoDB and by the fake that the unit tests trust."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

import fakes
from sluice.adapters.catalog import DynamoDBCatalog
from sluice.ports import Catalog

KEY = {"pk": "PIPELINE#p", "sk": "PIPELINE"}
TABLE = "catalog"


@pytest.fixture(params=["fake", "dynamodb"])
def catalog(request: pytest.FixtureRequest) -> Iterator[Catalog]:
    if request.param == "fake":
        yield fakes.FakeCatalog()
        return
    with mock_aws():
        yield DynamoDBCatalog(TABLE, _table())


def _table() -> Any:
    """A table as the template declares it."""
    dynamodb = boto3.client("dynamodb", region_name="eu-central-1")
    keys = ("pk", "sk", "gsi1pk", "gsi1sk")

    def schema(partition: str, sort: str) -> Any:
        return [
            {"AttributeName": partition, "KeyType": "HASH"},
            {"AttributeName": sort, "KeyType": "RANGE"},
        ]

    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=schema("pk", "sk"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": "gsi1",
                "KeySchema": schema("gsi1pk", "gsi1sk"),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return dynamodb


def test_what_is_created_is_got_as_it_was(catalog: Catalog) -> None:
    item = {
        **KEY,
        "text": 'größe, not "plain"',
        "empty": "",
        "whole": 3,
        "exact": 0.1,
        "small": 1e-12,
        "smaller than DynamoDB's numbers": 5e-324,
        "larger": -1.7e308,
        "longer": 10**60 + 1,
        "large": 123456789012345678,
        "flag": False,
        "list": [1, "a", [0.5], None, {"deep": True}],
        "map": {"name with space": {"a.b": 1}},
    }
    assert catalog.create(item)
    assert catalog.get(KEY) == item
    assert type((catalog.get(KEY) or {})["whole"]) is int


def test_an_attribute_that_is_none_is_absent(catalog: Catalog) -> None:
    catalog.create({**KEY, "in_flight": None})
    assert catalog.get(KEY) == KEY
    assert catalog.update(KEY, {"status": "free"}, when={"in_flight": None})


def test_tuples_become_lists(catalog: Catalog) -> None:
    catalog.create({**KEY, "reasons": ("a", "b")})
    assert (catalog.get(KEY) or {})["reasons"] == ["a", "b"]


def test_what_is_not_there_is_none(catalog: Catalog) -> None:
    assert catalog.get(KEY) is None


def test_only_the_first_creation_succeeds(catalog: Catalog) -> None:
    assert catalog.create({**KEY, "by": "first"})
    assert not catalog.create({**KEY, "by": "second"})
    assert (catalog.get(KEY) or {})["by"] == "first"


def test_an_update_sets_removes_and_leaves_the_rest(catalog: Catalog) -> None:
    catalog.create({**KEY, "status": "old", "name": "kept", "reason": "gone"})
    assert catalog.update(KEY, {"status": "new", "reason": None, "size": 1})
    assert catalog.get(KEY) == {**KEY, "status": "new", "name": "kept", "size": 1}


def test_without_a_condition_an_update_creates(catalog: Catalog) -> None:
    assert catalog.update(KEY, {"status": "new"})
    assert catalog.get(KEY) == {**KEY, "status": "new"}


@pytest.mark.parametrize("when", [{}, {"status": None}, {"status": "old"}])
def test_with_a_condition_it_creates_nothing(catalog: Catalog, when: dict[str, Any]) -> None:
    assert not catalog.update(KEY, {"status": "new"}, when=when)
    assert catalog.get(KEY) is None


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({"status": "old"}, True),
        ({"status": "old", "count": 1}, True),
        ({"status": "old", "missing": None}, True),
        ({"status": "new"}, False),
        ({"status": None}, False),
        ({"status": "old", "count": 2}, False),
        ({"missing": "anything"}, False),
    ],
)
def test_every_condition_has_to_hold(catalog: Catalog, when: dict[str, Any], expected: bool) -> None:
    catalog.create({**KEY, "status": "old", "count": 1})
    assert catalog.update(KEY, {"status": "changed"}, when=when) is expected
    assert (catalog.get(KEY) or {})["status"] == ("changed" if expected else "old")


def test_of_several_claims_one_wins(catalog: Catalog) -> None:
    catalog.create({**KEY, "build_seq": 0})
    claims = [
        catalog.update(
            KEY, {"in_flight": f"run-{number}", "build_seq": 1}, when={"in_flight": None, "build_seq": 0}
        )
        for number in range(3)
    ]
    assert claims == [True, False, False]
    assert (catalog.get(KEY) or {})["in_flight"] == "run-0"


def test_names_that_dynamodb_reserves_are_names_like_any(catalog: Catalog) -> None:
    catalog.create({**KEY, "status": "a", "size": 1})
    assert catalog.update(KEY, {"name": "b", "timestamp": "c", "a.b": "d"}, when={"status": "a", "size": 1})
    assert (catalog.get(KEY) or {})["a.b"] == "d"


def test_a_query_takes_a_prefix_of_one_partition_in_order(catalog: Catalog) -> None:
    for pk, sk in (("P#1", "B#2"), ("P#1", "B#1"), ("P#1", "A#1"), ("P#1", "BB"), ("P#2", "B#1")):
        catalog.create({"pk": pk, "sk": sk})
    assert [item["sk"] for item in catalog.query("P#1", "B#")] == ["B#1", "B#2"]
    assert [item["sk"] for item in catalog.query("P#1", "B#", newest_first=True)] == ["B#2", "B#1"]
    assert [item["sk"] for item in catalog.query("P#1")] == ["A#1", "B#1", "B#2", "BB"]
    assert [item["sk"] for item in catalog.query("P#1", newest_first=True, limit=1)] == ["BB"]
    assert catalog.query("P#3") == []


def test_a_query_over_several_pages_is_whole(catalog: Catalog) -> None:
    for number in range(8):
        catalog.create({"pk": "P", "sk": f"{number}", "filler": "x" * 300_000})
    assert len(catalog.query("P")) == 8
    assert [item["sk"] for item in catalog.query("P", limit=6)] == list("012345")


def test_a_listing_holds_what_names_it_in_order(catalog: Catalog) -> None:
    for name in ("b", "a"):
        catalog.create({"pk": name, "sk": "PIPELINE", "gsi1pk": "PIPELINES", "gsi1sk": name})
    catalog.create({"pk": "t", "sk": "TASK", "gsi1pk": "TASKS", "gsi1sk": "t"})
    assert [item["gsi1sk"] for item in catalog.listing("PIPELINES")] == ["a", "b"]
    catalog.update({"pk": "t", "sk": "TASK"}, {"gsi1pk": None, "gsi1sk": None})
    assert catalog.listing("TASKS") == []


def test_what_is_no_plain_data_is_refused(catalog: Catalog) -> None:
    with pytest.raises(TypeError):
        catalog.create({**KEY, "bytes": b"raw"})


def test_what_is_got_is_a_copy(catalog: Catalog) -> None:
    catalog.create({**KEY, "list": [1]})
    (catalog.get(KEY) or {})["list"].append(2)
    assert (catalog.get(KEY) or {})["list"] == [1]


def test_an_error_that_is_no_answer_is_raised() -> None:
    with mock_aws(), pytest.raises(Exception, match="ResourceNotFoundException"):
        DynamoDBCatalog("nowhere", boto3.client("dynamodb", region_name="eu-central-1")).create(KEY)
