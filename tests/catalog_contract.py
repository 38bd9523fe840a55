"""The catalog's promises: statements that hold for every catalog, whatever stands behind the port.

A test module makes a class of it and gives it a `catalog`.
"""

from __future__ import annotations

from typing import Any

import pytest

from sluice.catalog.changes import Change, Delete, Put, Update
from sluice.ports import Catalog

KEY = {"pk": "PIPELINE#p", "sk": "PIPELINE"}
OTHER = {"pk": "PIPELINE#q", "sk": "PIPELINE"}
TABLE = "catalog"


def create_table(dynamodb: Any, name: str = TABLE) -> Any:
    """Make a table as the template declares it; the client again."""
    keys = ("pk", "sk", "gsi1pk", "gsi1sk")

    def schema(partition: str, sort: str) -> Any:
        return [
            {"AttributeName": partition, "KeyType": "HASH"},
            {"AttributeName": sort, "KeyType": "RANGE"},
        ]

    dynamodb.create_table(
        TableName=name,
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


class CatalogContract:
    def test_what_is_created_is_got_as_it_was(self, catalog: Catalog) -> None:
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
        assert catalog.apply(Put(item))
        assert catalog.get(KEY) == item
        assert type((catalog.get(KEY) or {})["whole"]) is int

    def test_an_attribute_that_is_none_is_absent(self, catalog: Catalog) -> None:
        catalog.apply(Put({**KEY, "in_flight": None}))
        assert catalog.get(KEY) == KEY
        assert catalog.apply(Update(KEY, {"status": "free"}, when={"in_flight": None}))

    def test_tuples_become_lists(self, catalog: Catalog) -> None:
        catalog.apply(Put({**KEY, "reasons": ("a", "b")}))
        assert (catalog.get(KEY) or {})["reasons"] == ["a", "b"]

    def test_what_is_not_there_is_none(self, catalog: Catalog) -> None:
        assert catalog.get(KEY) is None

    def test_many_are_read_at_once_in_the_order_in_which_they_are_asked_for(self, catalog: Catalog) -> None:
        wanted = [{"pk": "P#1", "sk": f"A#{number:03}"} for number in range(130)]
        for key in wanted[::2]:
            catalog.apply(Put({**key, "name": key["sk"]}))
        found = catalog.get_all([*reversed(wanted), wanted[0]])
        assert found == [catalog.get(key) for key in (*reversed(wanted), wanted[0])]
        assert found.count(None) == 65
        assert catalog.get_all([]) == []

    def test_only_the_first_creation_succeeds(self, catalog: Catalog) -> None:
        assert catalog.apply(Put({**KEY, "by": "first"}))
        assert not catalog.apply(Put({**KEY, "by": "second"}))
        assert (catalog.get(KEY) or {})["by"] == "first"

    def test_an_update_sets_removes_and_leaves_the_rest(self, catalog: Catalog) -> None:
        catalog.apply(Put({**KEY, "status": "old", "name": "kept", "reason": "gone"}))
        assert catalog.apply(Update(KEY, {"status": "new", "reason": None, "size": 1}))
        assert catalog.get(KEY) == {**KEY, "status": "new", "name": "kept", "size": 1}

    def test_without_a_condition_an_update_creates(self, catalog: Catalog) -> None:
        assert catalog.apply(Update(KEY, {"status": "new"}))
        assert catalog.get(KEY) == {**KEY, "status": "new"}

    @pytest.mark.parametrize("when", [{}, {"status": None}, {"status": "old"}])
    def test_with_a_condition_it_creates_nothing(self, catalog: Catalog, when: dict[str, Any]) -> None:
        assert not catalog.apply(Update(KEY, {"status": "new"}, when=when))
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
    def test_every_condition_has_to_hold(
        self, catalog: Catalog, when: dict[str, Any], expected: bool
    ) -> None:
        catalog.apply(Put({**KEY, "status": "old", "count": 1}))
        assert catalog.apply(Update(KEY, {"status": "changed"}, when=when)) is expected
        assert (catalog.get(KEY) or {})["status"] == ("changed" if expected else "old")

    def test_of_several_claims_one_wins(self, catalog: Catalog) -> None:
        catalog.apply(Put({**KEY, "build_seq": 0}))
        claims = [
            catalog.apply(
                Update(
                    KEY,
                    {"in_flight": f"run-{number}", "build_seq": 1},
                    when={"in_flight": None, "build_seq": 0},
                )
            )
            for number in range(3)
        ]
        assert claims == [True, False, False]
        assert (catalog.get(KEY) or {})["in_flight"] == "run-0"

    def test_names_that_dynamodb_reserves_are_names_like_any(self, catalog: Catalog) -> None:
        catalog.apply(Put({**KEY, "status": "a", "size": 1}))
        assert catalog.apply(
            Update(KEY, {"name": "b", "timestamp": "c", "a.b": "d"}, when={"status": "a", "size": 1})
        )
        assert (catalog.get(KEY) or {})["a.b"] == "d"

    def test_a_query_takes_a_prefix_of_one_partition_in_order(self, catalog: Catalog) -> None:
        for pk, sk in (("P#1", "B#2"), ("P#1", "B#1"), ("P#1", "A#1"), ("P#1", "BB"), ("P#2", "B#1")):
            catalog.apply(Put({"pk": pk, "sk": sk}))
        assert [item["sk"] for item in catalog.query("P#1", "B#")] == ["B#1", "B#2"]
        assert [item["sk"] for item in catalog.query("P#1", "B#", newest_first=True)] == ["B#2", "B#1"]
        assert [item["sk"] for item in catalog.query("P#1")] == ["A#1", "B#1", "B#2", "BB"]
        assert [item["sk"] for item in catalog.query("P#1", newest_first=True, limit=1)] == ["BB"]
        assert catalog.query("P#3") == []

    def test_a_query_over_several_pages_is_whole(self, catalog: Catalog) -> None:
        for number in range(8):
            catalog.apply(Put({"pk": "P", "sk": f"{number}", "filler": "x" * 300_000}))
        assert len(catalog.query("P")) == 8
        assert [item["sk"] for item in catalog.query("P", limit=6)] == list("012345")

    def test_a_listing_holds_what_names_it_in_order(self, catalog: Catalog) -> None:
        for name in ("b", "a"):
            catalog.apply(Put({"pk": name, "sk": "PIPELINE", "gsi1pk": "PIPELINES", "gsi1sk": name}))
        catalog.apply(Put({"pk": "t", "sk": "TASK", "gsi1pk": "TASKS", "gsi1sk": "t"}))
        assert [item["gsi1sk"] for item in catalog.listing("PIPELINES")] == ["a", "b"]
        catalog.apply(Update({"pk": "t", "sk": "TASK"}, {"gsi1pk": None, "gsi1sk": None}))
        assert catalog.listing("TASKS") == []

    def test_what_is_no_plain_data_is_refused(self, catalog: Catalog) -> None:
        with pytest.raises(TypeError):
            catalog.apply(Put({**KEY, "bytes": b"raw"}))

    def test_what_is_got_is_a_copy(self, catalog: Catalog) -> None:
        catalog.apply(Put({**KEY, "list": [1]}))
        (catalog.get(KEY) or {})["list"].append(2)
        assert (catalog.get(KEY) or {})["list"] == [1]

    def test_a_put_writes_only_where_the_key_is_free(self, catalog: Catalog) -> None:
        assert catalog.apply(Put({**KEY, "by": "first", "nothing": None}))
        assert not catalog.apply(Put({**KEY, "by": "second"}))
        assert catalog.get(KEY) == {**KEY, "by": "first"}

    def test_an_update_is_applied_if_its_condition_holds(self, catalog: Catalog) -> None:
        catalog.apply(Put({**KEY, "status": "old", "reason": "gone"}))
        assert not catalog.apply(Update(KEY, {"status": "new"}, when={"status": "other"}))
        assert catalog.apply(Update(KEY, {"status": "new", "reason": None}, when={"status": "old"}))
        assert catalog.get(KEY) == {**KEY, "status": "new"}

    @pytest.mark.parametrize(
        ("when", "expected"), [(None, True), ({}, True), ({"status": "old"}, True), ({"status": None}, False)]
    )
    def test_a_delete_is_applied_if_its_condition_holds(
        self, catalog: Catalog, when: dict[str, Any] | None, expected: bool
    ) -> None:
        catalog.apply(Put({**KEY, "status": "old"}))
        assert catalog.apply(Delete(KEY, when)) is expected
        assert (catalog.get(KEY) is None) is expected

    def test_what_is_missing_is_deleted_unless_there_is_a_condition(self, catalog: Catalog) -> None:
        assert catalog.apply(Delete(KEY))
        assert not catalog.apply(Delete(KEY, when={}))

    def test_an_item_moves_to_another_key_in_one_step(self, catalog: Catalog) -> None:
        catalog.apply(Put({**KEY, "status": "pending"}))
        move = (Put({**OTHER, "status": "settled"}), Delete(KEY, when={"status": "pending"}))
        assert catalog.apply(*move)
        assert catalog.get(KEY) is None
        assert catalog.get(OTHER) == {**OTHER, "status": "settled"}
        assert not catalog.apply(*move)

    @pytest.mark.parametrize(
        "failing",
        [
            Put({**OTHER, "by": "second"}),
            Update(OTHER, {"by": "second"}, when={"by": "nobody"}),
            Update({**OTHER, "sk": "MISSING"}, {"by": "second"}, when={}),
            Delete(OTHER, when={"by": "nobody"}),
        ],
        ids=lambda change: type(change).__name__,
    )
    @pytest.mark.parametrize("is_first", [True, False])
    def test_of_several_changes_none_is_written_if_one_condition_fails(
        self, catalog: Catalog, failing: Change, is_first: bool
    ) -> None:
        catalog.apply(Put({**KEY, "count": 1}))
        catalog.apply(Put({**OTHER, "by": "first"}))
        rest: list[Change] = [Update(KEY, {"count": 2}, when={"count": 1}), Put({"pk": "new", "sk": "new"})]
        assert not catalog.apply(*([failing, *rest] if is_first else [*rest, failing]))
        assert catalog.get(KEY) == {**KEY, "count": 1}
        assert catalog.get(OTHER) == {**OTHER, "by": "first"}
        assert catalog.get({"pk": "new", "sk": "new"}) is None

    def test_a_transaction_updates_where_nothing_was_and_deletes_what_is_missing(
        self, catalog: Catalog
    ) -> None:
        assert catalog.apply(Update(KEY, {"count": 1}), Delete(OTHER))
        assert catalog.get(KEY) == {**KEY, "count": 1}

    def test_a_hundred_changes_are_one(self, catalog: Catalog) -> None:
        items = [{"pk": "P", "sk": f"{number:03}", "filler": "x" * 1000} for number in range(100)]
        assert catalog.apply(*(Put(item) for item in items))
        assert catalog.query("P") == items
        assert not catalog.apply(*(Put({**item, "pk": "Q"}) for item in items[1:]), Put(items[0]))
        assert catalog.query("Q") == []

    def test_no_change_is_applied(self, catalog: Catalog) -> None:
        assert catalog.apply()

    @pytest.mark.parametrize(
        "changes",
        [
            [Put({"pk": "P", "sk": str(number)}) for number in range(101)],
            [Update(KEY, {"a": 1}), Delete(KEY)],
            [Update(KEY, {}), Delete(OTHER)],
        ],
        ids=["too many", "one item twice", "an update of nothing"],
    )
    def test_what_no_transaction_holds_is_refused(self, catalog: Catalog, changes: list[Change]) -> None:
        with pytest.raises(ValueError, match="transaction"):
            catalog.apply(*changes)
        assert catalog.query("P") == []

    def test_of_several_transactions_on_an_item_one_wins(self, catalog: Catalog) -> None:
        catalog.apply(Put({**KEY, "status": "running"}))
        ends = [
            catalog.apply(
                Update(KEY, {"status": end}, when={"status": "running"}), Put({"pk": "END", "sk": end})
            )
            for end in ("failed", "registered")
        ]
        assert ends == [True, False]
        assert [item["sk"] for item in catalog.query("END")] == ["failed"]

    def test_a_query_goes_on_after_a_key_whether_or_not_it_is_there(self, catalog: Catalog) -> None:
        self._fill(catalog, "A#1", "B#1", "B#3", "B#5", "C#1")

        def after(sk: str, **options: Any) -> list[str]:
            return [item["sk"] for item in catalog.query("P", "B#", after=sk, **options)]

        assert after("B#1") == ["B#3", "B#5"]
        assert after("B#2") == ["B#3", "B#5"]
        assert after("B#2", limit=1) == ["B#3"]
        assert after("B#5") == []
        assert after("B#5", newest_first=True) == ["B#3", "B#1"]
        assert after("B#4", newest_first=True, limit=1) == ["B#3"]

    def test_pages_put_together_are_the_whole(self, catalog: Catalog) -> None:
        self._fill(catalog, *(f"B#{number:02}" for number in range(25)))
        for newest_first in (False, True):
            pages, after = [], None
            while page := catalog.query("P", "B#", after=after, newest_first=newest_first, limit=10):
                pages.append(page)
                after = page[-1]["sk"]
            assert [len(page) for page in pages] == [10, 10, 5]
            assert [item for page in pages for item in page] == catalog.query(
                "P", "B#", newest_first=newest_first
            )

    def test_a_query_takes_a_range_with_both_ends(self, catalog: Catalog) -> None:
        self._fill(catalog, "A#1", "B#1", "B#2", "B#3", "B#ü", "C#1")

        def between(first: str, last: str, **options: Any) -> list[str]:
            return [item["sk"] for item in catalog.query("P", between=(first, last), **options)]

        assert between("B#1", "B#2") == ["B#1", "B#2"]
        assert between("B#", "B#z") == ["B#1", "B#2", "B#3"]
        assert between("B#2", "D") == ["B#2", "B#3", "B#ü", "C#1"]
        assert between("B#2", "D", after="B#2", limit=2) == ["B#3", "B#ü"]
        assert between("B#1", "B#3", newest_first=True, limit=2) == ["B#3", "B#2"]
        assert between("B#3", "B#1") == []

    def _fill(self, catalog: Catalog, *sort_keys: str) -> None:
        for sk in sort_keys:
            catalog.apply(Put({"pk": "P", "sk": sk}))
