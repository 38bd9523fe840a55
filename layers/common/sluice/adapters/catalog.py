"""Adapter for the catalog in DynamoDB."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sluice.adapters.clients import client, error_codes
from sluice.catalog.changes import Change, Delete, Put, Update, refuse_impossible
from sluice.domain.failures import TransientError
from sluice.ports import Item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_INDEX = "gsi1"
_DIGITS_MAX = 38
_CONDITION_FAILED = {"ConditionalCheckFailedException", "ConditionalCheckFailed"}
# Another write of the item was in progress. botocore retries throttling, but not within a transaction.
_PASSING = {
    "TransactionConflictException",
    "TransactionConflict",
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
}
_ATTEMPTS = 8
_GETS_MAX = 100  # DynamoDB's limit for a batch
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0


class DynamoDBCatalog:
    """One table. A failed condition is an answer; every other error is raised."""

    def __init__(
        self,
        table: str,
        dynamodb: DynamoDBClient | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = table
        self._dynamodb: DynamoDBClient = dynamodb or client("dynamodb")
        self._pause = pause

    def get(self, key: Mapping[str, str]) -> Item | None:
        answer = self._dynamodb.get_item(TableName=self._table, Key=_encoded(key), ConsistentRead=True)
        return _decoded(answer["Item"]) if "Item" in answer else None

    def get_all(self, keys: Sequence[Mapping[str, str]]) -> list[Item | None]:
        wanted = list({(key["pk"], key["sk"]): _encoded(key) for key in keys}.values())
        found: dict[tuple[str, str], Item] = {}
        for start in range(0, len(wanted), _GETS_MAX):
            found |= self._batch(wanted[start : start + _GETS_MAX])
        return [copy.deepcopy(found.get((key["pk"], key["sk"]))) for key in keys]

    def _batch(self, wanted: list[dict[str, Any]]) -> dict[tuple[str, str], Item]:
        """Read up to a hundred items; DynamoDB may leave some for another request."""
        found: dict[tuple[str, str], Item] = {}
        pauses = 0
        while wanted:
            asked = {self._table: {"Keys": wanted, "ConsistentRead": True}}
            answer = self._dynamodb.batch_get_item(RequestItems=asked)  # type: ignore[arg-type]
            items = [_decoded(item) for item in answer["Responses"].get(self._table, [])]
            found |= {(item["pk"], item["sk"]): item for item in items}
            left = answer.get("UnprocessedKeys", {}).get(self._table, {"Keys": []})
            wanted = [dict(key) for key in left["Keys"]]
            pauses = 0 if items else pauses + 1
            if wanted and pauses:
                if pauses == _ATTEMPTS:
                    raise TransientError(f"DynamoDB reads none of {len(wanted)} items")
                self._pause(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311 (no secret)
        return found

    def apply(self, *changes: Change) -> bool:
        refuse_impossible(changes)
        return not changes or self._retried(lambda: self._write(changes))

    def _write(self, changes: tuple[Change, ...]) -> None:
        """Write one change without a transaction, which would cost twice as much."""
        requests = [_request(self._table, change) for change in changes]
        match changes:
            case [Put()]:
                self._dynamodb.put_item(**requests[0])
            case [Update()]:
                self._dynamodb.update_item(**requests[0])
            case [Delete()]:
                self._dynamodb.delete_item(**requests[0])
            case _:
                named = zip(changes, requests, strict=True)
                items: list[Any] = [{type(change).__name__: request} for change, request in named]
                self._dynamodb.transact_write_items(TransactItems=items)

    def _retried(self, write: Callable[[], None]) -> bool:
        """Write, retrying while other writes interfere; returns False if a condition failed."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                write()
                return True
            except ClientError as error:
                codes = error_codes(error)
                if codes & _CONDITION_FAILED:
                    return False
                if attempt == _ATTEMPTS or not codes & _PASSING:
                    raise
            longest = min(_FIRST_PAUSE_S * 2 ** (attempt - 1), _LONGEST_PAUSE_S)
            self._pause(random.uniform(0, longest))  # noqa: S311 (no secret)
        raise AssertionError("the last attempt returns or raises")

    def query(
        self,
        pk: str,
        prefix: str = "",
        *,
        between: tuple[str, str] | None = None,
        after: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[Item]:
        if between is not None and between[0] > between[1]:
            return []  # DynamoDB refuses a range that ends before it starts
        condition, values = _range(prefix, between)
        request: dict[str, Any] = {
            "KeyConditionExpression": f"pk = :pk{condition}",
            "ExpressionAttributeValues": _encoded({":pk": pk, **values}),
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
        }
        if after is not None:
            request["ExclusiveStartKey"] = _encoded({"pk": pk, "sk": after})
        if limit is not None:
            request["Limit"] = limit
        items: list[Item] = []
        for page in self._pages(request):
            items += page
            if limit is not None and len(items) >= limit:
                return items[:limit]
        return items

    def listing(self, gsi1pk: str) -> list[Item]:
        request = {
            "IndexName": _INDEX,
            "KeyConditionExpression": "gsi1pk = :pk",
            "ExpressionAttributeValues": _encoded({":pk": gsi1pk}),
        }
        return [item for page in self._pages(request) for item in page]

    def _pages(self, request: Mapping[str, Any]) -> Iterator[list[Item]]:
        start: dict[str, Any] = {}
        while True:
            page = self._dynamodb.query(TableName=self._table, **{**request, **start})
            yield [_decoded(item) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _range(prefix: str, between: tuple[str, str] | None) -> tuple[str, dict[str, str]]:
    if between is not None:
        return " AND sk BETWEEN :first AND :last", {":first": between[0], ":last": between[1]}
    return (" AND begins_with(sk, :prefix)", {":prefix": prefix}) if prefix else ("", {})


def _request(table: str, change: Change) -> dict[str, Any]:
    """Make the request of a single write, which is also its part of a transaction."""
    if isinstance(change, Put):
        present = {name: value for name, value in change.item.items() if value is not None}
        return {
            "TableName": table,
            "Item": _encoded(present),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
    expression = _Expression()
    request: dict[str, Any] = {"TableName": table, "Key": _encoded(change.key)}
    if isinstance(change, Update) and change.set:
        request["UpdateExpression"] = expression.change(change.set)
    if change.when is not None:
        request["ConditionExpression"] = expression.condition(change.when)
    return {**request, **expression.placeholders()}


class _Expression:
    """Update and condition expressions with placeholders, since any attribute name may be reserved."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def change(self, changes: Mapping[str, Any]) -> str:
        sets = [f"{self._name(n)} = {self._value(v)}" for n, v in changes.items() if v is not None]
        removes = [self._name(n) for n, v in changes.items() if v is None]
        clauses = [("SET", sets), ("REMOVE", removes)]
        return " ".join(f"{verb} {', '.join(terms)}" for verb, terms in clauses if terms)

    def condition(self, when: Mapping[str, Any]) -> str:
        terms = ["attribute_exists(pk)"]
        for name, value in when.items():
            absent = f"attribute_not_exists({self._name(name)})"
            terms.append(absent if value is None else f"{self._name(name)} = {self._value(value)}")
        return " AND ".join(terms)

    def placeholders(self) -> dict[str, Any]:
        placeholders: dict[str, Any] = {}
        if self._names:
            placeholders["ExpressionAttributeNames"] = {
                placeholder: n for n, placeholder in self._names.items()
            }
        if self._values:
            placeholders["ExpressionAttributeValues"] = _encoded(self._values)
        return placeholders

    def _name(self, name: str) -> str:
        return self._names.setdefault(name, f"#n{len(self._names)}")

    def _value(self, value: Any) -> str:
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value
        return placeholder


def _encoded(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _encode(value) for name, value in item.items()}


def _decoded(item: Mapping[str, Any]) -> Item:
    return {name: _decode(value) for name, value in item.items()}


def _encode(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | float() | Decimal():
            return {"N": str(value)} if _fits(value) else {"B": str(value).encode()}
        case Mapping():
            return {"M": _encoded(value)}
        case list() | tuple():
            return {"L": [_encode(element) for element in value]}
    raise TypeError(f"the catalog cannot hold a {type(value).__name__}")


def _decode(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return _number(content)
        case "B":
            return _number(content.decode())
        case "M":
            return _decoded(content)
        case "L":
            return [_decode(element) for element in content]
        case _:
            return content


def _fits(value: float | Decimal) -> bool:
    """Tell whether DynamoDB can store a number: 38 digits, 1e-130 to 9.9e125. Others are stored as bytes."""
    number = Decimal(str(value))
    digits = len(number.as_tuple().digits)
    return number == 0 or (digits <= _DIGITS_MAX and -130 <= number.adjusted() <= 125)


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)
