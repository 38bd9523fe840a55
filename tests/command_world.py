"""What a command sees as its target, over the fakes; `Hearing` hears at once what the command announces."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import fakes

ADA = "arn:aws:iam::123456789012:user/ada"


class Stack:
    """The parts of a `Target` that commands use; every client is the stack itself."""

    stack, description = "sluice", "a stack of fakes"

    def __init__(self, cloud: fakes.Cloud) -> None:
        self.cloud, self.catalog = cloud, cloud.catalog
        self.outputs = {"DataBucketName": fakes.DATA_BUCKET, "ArtifactBucketName": fakes.ARTIFACT_BUCKET}

    def client(self, service: str) -> Any:
        return self

    def call(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        return {"Arn": ADA}


class World(Protocol):
    """The fakes with the functions that act on them."""

    @property
    def cloud(self) -> fakes.Cloud: ...
    @property
    def invoke(self) -> Callable[[str, Any], Any]: ...


W = TypeVar("W", bound=World)


class Hearing(Stack, Generic[W]):
    """A stack whose one rule has a function hear an event twice, as EventBridge may deliver it.

    `before` happens on the event's way, `meanwhile` once the function has heard it.
    """

    def __init__(self, world: W, detail_type: str, function: str) -> None:
        super().__init__(world.cloud)
        self.world = world
        self.detail_type, self.function = detail_type, function
        self.before: Callable[[], object] = lambda: None
        self.meanwhile: Callable[[], object] = lambda: None

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:
        (entry,) = Entries
        assert (entry["Source"], entry["DetailType"]) == ("sluice.cli", self.detail_type)
        self.before()
        event = {"time": self.cloud.now.at, "detail": json.loads(entry["Detail"])}
        for _ in range(2):
            self.world.invoke(self.function, event)
        self.meanwhile()
        return {"FailedEntryCount": 0}
