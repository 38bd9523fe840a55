"""The catalog's promises, kept alike by DynamoDB and by the fake that the unit tests trust."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

import fakes
from catalog_contract import KEY, OTHER, TABLE, CatalogContract, create_table
from sluice.adapters.catalog import DynamoDBCatalog
from sluice.catalog.changes import Change, Delete, Put, Update
from sluice.domain.failures import TransientError
from sluice.ports import Catalog


class TestFake(CatalogContract):
    @pytest.fixture
    def catalog(self) -> Catalog:
        return fakes.FakeCatalog()


class TestDynamoDB(CatalogContract):
    @pytest.fixture
    def catalog(self) -> Iterator[Catalog]:
        with mock_aws():
            yield DynamoDBCatalog(TABLE, create_table(boto3.client("dynamodb", region_name="eu-central-1")))


def test_an_error_that_is_no_answer_is_raised() -> None:
    with mock_aws(), pytest.raises(Exception, match="ResourceNotFoundException"):
        DynamoDBCatalog("nowhere", boto3.client("dynamodb", region_name="eu-central-1")).apply(Put(KEY))


class Busy:
    """A table that reads one item of each batch, and every other time none."""

    def __init__(self, *, is_dead: bool = False) -> None:
        self.calls = 0
        self.is_dead = is_dead

    def batch_get_item(self, RequestItems: Any) -> Any:
        self.calls += 1
        (first, *rest) = RequestItems[TABLE]["Keys"]
        if self.is_dead or self.calls % 2:
            return {"Responses": {}, "UnprocessedKeys": {TABLE: {"Keys": [first, *rest]}}}
        left = {TABLE: {"Keys": rest}} if rest else {}
        return {"Responses": {TABLE: [first]}, "UnprocessedKeys": left}


def test_what_a_batch_leaves_is_asked_for_again_until_nothing_more_comes() -> None:
    wanted = [{"pk": "p", "sk": str(number)} for number in range(20)]
    assert DynamoDBCatalog(TABLE, Busy(), lambda _: None).get_all(wanted) == wanted  # type: ignore[arg-type]
    with pytest.raises(TransientError, match="20 items"):
        DynamoDBCatalog(TABLE, Busy(is_dead=True), lambda _: None).get_all(wanted)  # type: ignore[arg-type]


class ScriptedDynamoDB:
    """Writes that answer with the given errors, one after the other, and then succeed."""

    def __init__(self, *errors: ClientError) -> None:
        self._errors = list(errors)
        self.calls: list[str] = []

    def _write(self, operation: str) -> None:
        self.calls.append(operation)
        if self._errors:
            raise self._errors.pop(0)

    def put_item(self, **_: Any) -> None:
        self._write("put_item")

    def update_item(self, **_: Any) -> None:
        self._write("update_item")

    def delete_item(self, **_: Any) -> None:
        self._write("delete_item")

    def transact_write_items(self, **_: Any) -> None:
        self._write("transact_write_items")


def error(code: str, *reasons: str) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": ""}}
    if reasons:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(response, "Write")


def cancelled(*reasons: str) -> ClientError:
    return error("TransactionCanceledException", *reasons)


def scripted(*errors: ClientError) -> tuple[DynamoDBCatalog, ScriptedDynamoDB, list[float]]:
    pauses: list[float] = []
    dynamodb: Any = ScriptedDynamoDB(*errors)
    return DynamoDBCatalog(TABLE, dynamodb, pause=pauses.append), dynamodb, pauses


TWO: Sequence[Change] = (Put({**KEY, "by": "me"}), Delete(OTHER))


@pytest.mark.parametrize(
    ("changes", "operation"),
    [
        ([Put(KEY)], "put_item"),
        ([Update(KEY, {"a": 1})], "update_item"),
        ([Delete(KEY)], "delete_item"),
        (TWO, "transact_write_items"),
    ],
)
def test_only_several_changes_are_a_transaction(changes: Sequence[Change], operation: str) -> None:
    catalog, dynamodb, _ = scripted()
    assert catalog.apply(*changes)
    assert dynamodb.calls == [operation]


@pytest.mark.parametrize(
    "passing", ["TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"]
)
def test_a_transaction_that_meets_another_is_tried_again(passing: str) -> None:
    catalog, dynamodb, pauses = scripted(cancelled("None", passing), cancelled(passing, passing))
    assert catalog.apply(*TWO)
    assert len(dynamodb.calls) == 3
    assert len(pauses) == 2


@pytest.mark.parametrize("change", [Put(KEY), Update(KEY, {"a": 1}, when={}), Delete(KEY)])
def test_a_single_write_that_meets_a_transaction_is_tried_again(change: Change) -> None:
    catalog, dynamodb, _ = scripted(error("TransactionConflictException"))
    assert catalog.apply(change)
    assert len(dynamodb.calls) == 2


def test_a_condition_that_fails_beside_a_conflict_is_the_answer() -> None:
    catalog, dynamodb, _ = scripted(cancelled("TransactionConflict", "ConditionalCheckFailed"))
    assert not catalog.apply(*TWO)
    assert len(dynamodb.calls) == 1


def test_a_condition_may_fail_after_a_conflict() -> None:
    catalog, _, _ = scripted(
        cancelled("TransactionConflict", "None"), cancelled("None", "ConditionalCheckFailed")
    )
    assert not catalog.apply(*TWO)


@pytest.mark.parametrize("reason", ["ValidationError", "ItemCollectionSizeLimitExceeded", "AccessDenied"])
def test_what_waiting_cannot_cure_is_raised_at_once(reason: str) -> None:
    catalog, dynamodb, pauses = scripted(cancelled("None", reason))
    with pytest.raises(ClientError, match="TransactionCanceledException"):
        catalog.apply(*TWO)
    assert (len(dynamodb.calls), pauses) == (1, [])


def test_conflicts_without_end_are_raised_after_a_few_seconds() -> None:
    catalog, dynamodb, pauses = scripted(*[cancelled("TransactionConflict", "None")] * 50)
    with pytest.raises(ClientError, match="TransactionCanceledException"):
        catalog.apply(*TWO)
    assert 5 <= len(dynamodb.calls) <= 10
    assert max(pauses) <= 1
