"""What is asked of the console, and what it answers: HTTP as Lambda's payload of version 2 has it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from sluice.lazy import dataclass

JSON = "application/json"
HTML = "text/html; charset=utf-8"
_JSON_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Frame:
    """What only the server that a person opened knows: who that is, and what their last form led to.

    Without a `form_token` pages have no forms, but the commands that do the same.
    """

    person: str = ""
    form_token: str = ""
    said: str = ""
    failed: str = ""
    hint: str = ""
    command: str = "sluice"

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Frame:
        """Read what an authorizer said."""
        return cls(**{name: str(given[name]) for name in cls.__dataclass_fields__ if given.get(name)})


@dataclass(frozen=True, slots=True)
class Request:
    """A request for a page. The query has every value of each name."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    wants_json: bool
    frame: Frame

    def one(self, name: str) -> str | None:
        """Return the last value of a name in the query; None without one, or an empty one."""
        return (self.query.get(name) or [""])[-1] or None

    @property
    def state(self) -> str:
        """The query as it was asked, for links that keep it."""
        return "&".join(f"{name}={value}" for name, values in self.query.items() for value in values)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; its headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: str | bytes = ""

    def payload(self) -> dict[str, Any]:
        """Return the answer as a function of payload version 2 does."""
        is_text = isinstance(self.body, str)
        body = self.body if isinstance(self.body, str) else base64.b64encode(self.body).decode()
        return {
            "statusCode": self.status,
            "headers": dict(self.headers),
            "body": body,
            "isBase64Encoded": not is_text,
        }


def of_event(event: Mapping[str, Any]) -> Request:
    """Read a payload of version 2; what its authorizer said is believed, what a client sent is not."""
    context = event.get("requestContext") or {}
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    path = unquote(str(event.get("rawPath") or "/"))
    wants_json = headers.get("accept", "").startswith(JSON)
    if path.endswith(_JSON_SUFFIX):
        path, wants_json = path.removesuffix(_JSON_SUFFIX) or "/", True
    return Request(
        method=str((context.get("http") or {}).get("method") or "GET").upper(),
        path=path,
        query=parse_qs(str(event.get("rawQueryString") or ""), keep_blank_values=False, max_num_fields=50),
        wants_json=wants_json,
        frame=Frame.of((context.get("authorizer") or {}).get("lambda") or {}),
    )
