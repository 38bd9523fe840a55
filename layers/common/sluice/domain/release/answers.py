"""Check that a model answers with the content type that its project declares."""

from __future__ import annotations

import json
from typing import Any, NoReturn

_EXCERPT = 300


class NotJsonError(ValueError):
    """The bytes are not JSON; the message says why."""


def parse_json(body: bytes) -> Any:
    """Parse JSON by RFC 8259, which is stricter than Python; raises NotJsonError."""
    try:
        # Decode first: for bytes, `json` would accept UTF-16 and UTF-32 too.
        return json.loads(body.decode(), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise NotJsonError(f"byte {error.start} is no UTF-8") from None
    except RecursionError:
        raise NotJsonError("it is nested too deeply") from None
    except ValueError as error:
        raise NotJsonError(str(error)) from None


def _refuse(name: str) -> NoReturn:
    raise NotJsonError(f"{name} is no number in JSON: answer null, or a text")


def faults(body: bytes, content_type: str, accept: str) -> list[str]:
    """Return what is wrong with a successful answer to a request that accepts a type."""
    if not body:
        return ["the answer to the sample request is empty"]
    excerpt = body[:_EXCERPT].decode(errors="replace")
    answered, wanted = (_media_type(each) for each in (content_type, accept))
    if answered != wanted and not any(mark in wanted for mark in "*,"):
        said = answered or "of no type"
        return [f"the answer to the sample request is {said}, not {wanted} (serve.accept): {excerpt}"]
    if answered == "application/json" or answered.endswith("+json"):
        try:
            parse_json(body)
        except NotJsonError as error:
            return [f"the answer to the sample request is no JSON: {error}: {excerpt}"]
    return []


def _media_type(header: str) -> str:
    """Return the type without parameters such as a charset."""
    return header.partition(";")[0].strip().lower()
