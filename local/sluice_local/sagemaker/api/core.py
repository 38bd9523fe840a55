"""The base of the local SageMaker: errors, scopes, operations and tables."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sluice_local.sagemaker.api.index import Index

Item = dict[str, Any]


class ApiError(Exception):
    """An error answer: an AWS error code, such as `ResourceInUse`, and the message the caller reads."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Scope:
    """The account and region of a request and its resources."""

    account: str
    region: str

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name}"


Operation = Callable[[Scope, dict[str, Any]], dict[str, Any] | None]

OPERATIONS: dict[str, Operation] = {}


def operation(name: str) -> Callable[[Operation], Operation]:
    """Register the implementation of an API operation.

    It gets parameters that botocore's model accepted. It may return more than the operation's output: members
    that the output shape does not name are dropped, so it can return a `Table` item unchanged.
    """

    def register(implementation: Operation) -> Operation:
        OPERATIONS[name] = implementation
        return implementation

    return register


def now() -> float:
    """Return the time as SageMaker does: epoch seconds, with milliseconds."""
    return round(time.time(), 3)


@dataclass(frozen=True, slots=True)
class Wording:
    """AWS's messages about a missing and an existing resource, which differ by kind."""

    missing: str = 'Could not find {noun} "{arn}".'
    existing: str = 'Cannot create already existing {noun} "{arn}".'
    existing_code: str = "ValidationException"
    missing_code: str = "ValidationException"


_JOB = Wording(
    missing="Could not find requested job with name: {name}",
    existing="Job name must be unique within an AWS account and region, "
    "and a job with this name already exists ({arn})",
    existing_code="ResourceInUse",
)
_REGISTRY = Wording(missing="{noun} {arn} does not exist.", existing="{noun} already exists: {arn}")
_WORDINGS = {
    "training-job": Wording(
        missing="Requested resource not found.",
        existing="Training job names must be unique within an AWS account and region, "
        "and a training job with this name already exists ({arn})",
        existing_code="ResourceInUse",
    ),
    "processing-job": _JOB,
    "transform-job": _JOB,
    "hyper-parameter-tuning-job": Wording(
        missing="Amazon SageMaker can't find a tuning job with the name {name}.",
        existing="Hyperparameter tuning job names must be unique within an AWS account and region, "
        "and a tuning job with this name already exists ({arn})",
        existing_code="ResourceInUse",
        missing_code="ResourceNotFound",
    ),
    "model-package-group": _REGISTRY,
    "model-package": _REGISTRY,
    "pipeline": Wording(
        missing="Pipeline '{arn}' does not exist.",
        existing="Pipeline names must be unique within an AWS account and region, "
        "and a pipeline with name ({name}) already exists.",
        missing_code="ResourceNotFound",
    ),
}


_TRACKED = Wording(
    missing="{noun} '{arn}' does not exist.",
    existing="{noun} '{arn}' already exists.",
    missing_code="ResourceNotFound",
)
_WORDINGS |= dict.fromkeys(
    (
        "experiment",
        "experiment-trial",
        "experiment-trial-component",
        "artifact",
        "action",
        "context",
        "association",
    ),
    _TRACKED,
)

TABLES: dict[str, Table] = {}


class Table:
    """The resources of one kind, by scope and name. Thread-safe.

    A new item gets a name, ARN, `CreationTime` and `LastModifiedTime` if it lacks them. The tagging
    operations read and change its `Tags`, which have the form of the Create request. `stored_as` is for what
    has no ARN of a kind of its own. Stored items never change: an edit puts another in their place.

    Names and ARNs keep the case that they were given. Where a kind `ignores_case`, names that differ in
    nothing else are one name.
    """

    def __init__(
        self, noun: str, arn_kind: str, name_key: str, stored_as: str = "", *, ignores_case: bool = False
    ) -> None:
        self.noun = noun
        self.arn_kind = arn_kind
        self.name_key = name_key
        self.arn_key = name_key.removesuffix("Name") + "Arn"
        self._ignores_case = ignores_case
        self._wording = _WORDINGS.get(arn_kind, Wording())
        self._items: dict[Scope, dict[str, Item]] = {}
        self._indexes: list[Index[Scope]] = []
        self._last_creation = 0.0
        self._lock = threading.RLock()
        TABLES[stored_as or arn_kind] = self

    def index(self, keys: Callable[[Scope, Item], Iterable[str]]) -> Index[Scope]:
        """Return an index of the items by these keys, which keeps itself."""
        index = Index(self._lock, keys)
        with self._lock:
            self._indexes.append(index)
            self._fill(index)
        return index

    def create(self, scope: Scope, name: str, item: Mapping[str, Any]) -> Item:
        """Create an item; raises ApiError, worded for the kind, if the name is taken."""
        with self._lock:
            if self._read(scope, name) is not None:
                raise self._fault(self._wording.existing_code, self._wording.existing, scope, name)
            # No two items share a creation time, so "the newest" is always well-defined.
            self._last_creation = created = max(now(), round(self._last_creation + 0.001, 3))
            complete = {
                self.name_key: name,
                self.arn_key: scope.arn(self.arn_kind, name),
                "CreationTime": created,
                "LastModifiedTime": created,
                **copy.deepcopy(dict(item)),
            }
            self._put(scope, name, complete)
            return copy.deepcopy(complete)

    def replace(self, scope: Scope, name: str, item: Mapping[str, Any]) -> Item:
        """Create an item in place of the one that may have its name."""
        with self._lock:
            self._drop(scope, name)
            return self.create(scope, name, item)

    def get(self, scope: Scope, name: str) -> Item:
        """Return a copy of an item; raises ApiError, worded for the kind, if there is none."""
        if (item := self.find(scope, name)) is None:
            raise self._missing(scope, name)
        return item

    def find(self, scope: Scope, name: str) -> Item | None:
        with self._lock:
            return copy.deepcopy(self._read(scope, name))

    def name(self, scope: Scope, reference: str) -> str:
        """Return the name in a name or ARN; raises ApiError for an ARN of another kind, account or region."""
        if not reference.startswith("arn:"):
            return reference
        name = reference.partition("/")[2]
        if reference != scope.arn(self.arn_kind, name):
            raise ApiError(
                self._wording.missing_code,
                self._wording.missing.format(noun=self.noun, name=name, arn=reference),
            )
        return name

    def values(self, scope: Scope) -> list[Item]:
        """Return the items in order of creation. They are no copies: callers change none."""
        with self._lock:
            return list(self._items.get(scope, {}).values())

    def change(self, scope: Scope, name: str, **changes: Any) -> Item:
        """Set members of an item, and its `LastModifiedTime`; raises ApiError if there is no such item."""
        return self.edit(scope, name, lambda _: changes)

    def edit(self, scope: Scope, name: str, changes: Callable[[Item], Mapping[str, Any]]) -> Item:
        """Like `change`, with changes computed from the item while nobody else can change it.

        A member set to None counts as absent. If `changes` raises, the item stays unchanged.
        """
        with self._lock:
            item = self.get(scope, name)
            item |= {"LastModifiedTime": now(), **copy.deepcopy(dict(changes(copy.deepcopy(item))))}
            self._put(scope, name, item)
            return copy.deepcopy(item)

    def delete(self, scope: Scope, name: str) -> Item:
        """Delete and return an item; raises ApiError if there is no such item."""
        with self._lock:
            if (item := self._drop(scope, name)) is None:
                raise self._missing(scope, name)
            return item

    def delete_below(self, scope: Scope, prefix: str) -> None:
        """Delete all items whose names begin so."""
        with self._lock:
            below = self._key(prefix)
            for name in [name for name in self._items.get(scope, {}) if name.startswith(below)]:
                self._drop(scope, name)

    def unfinished(self, is_unfinished: Callable[[Item], bool]) -> list[tuple[Scope, str]]:
        """Return the scopes and names of the unfinished items in all accounts."""
        with self._lock:
            return [(scope, name) for scope, name, item in self._all() if is_unfinished(item)]

    def saved(self) -> dict[tuple[str, str, str], Item]:
        """Return all items as plain data."""
        with self._lock:
            return {(scope.account, scope.region, name): item for scope, name, item in self._all()}

    def restore(self, items: Mapping[tuple[str, str, str], Item]) -> None:
        """Replace all items by these."""
        with self._lock:
            self._items = {}
            for (account, region, name), item in items.items():
                self._items.setdefault(Scope(account, region), {})[self._key(name)] = dict(item)
            self._last_creation = max((item["CreationTime"] for item in items.values()), default=0.0)
            for index in self._indexes:
                self._fill(index)

    def _key(self, name: str) -> str:
        return name.lower() if self._ignores_case else name

    def _read(self, scope: Scope, name: str) -> Item | None:
        return self._items.get(scope, {}).get(self._key(name))

    def _all(self) -> Iterator[tuple[Scope, str, Item]]:
        for scope, items in self._items.items():
            for name, item in items.items():
                yield scope, name, item

    def _put(self, scope: Scope, name: str, item: Item) -> None:
        key = self._key(name)
        former = self._items.setdefault(scope, {}).get(key)
        self._items[scope][key] = item
        for index in self._indexes:
            index.move(scope, key, former, item)

    def _drop(self, scope: Scope, name: str) -> Item | None:
        key = self._key(name)
        if (item := self._items.get(scope, {}).pop(key, None)) is not None:
            for index in self._indexes:
                index.move(scope, key, item, None)
        return item

    def _fill(self, index: Index[Scope]) -> None:
        index.clear()
        for scope, name, item in self._all():
            index.move(scope, name, None, item)

    def _missing(self, scope: Scope, name: str) -> ApiError:
        return self._fault(self._wording.missing_code, self._wording.missing, scope, name)

    def _fault(self, code: str, words: str, scope: Scope, name: str) -> ApiError:
        arn = scope.arn(self.arn_kind, name)
        return ApiError(code, words.format(noun=self.noun, name=name, arn=arn))
