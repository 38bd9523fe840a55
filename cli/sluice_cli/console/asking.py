"""Ask the stack's function for a page, as Lambda asks it for a function URL."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sluice.console.requests import Frame
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.target import Target

OUTPUT = "ConsoleFunctionName"


@dataclass(frozen=True)
class Page:
    """What the function answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def function_of(target: Target) -> str:
    """Return the name of the function that renders pages; raises CommandError if the stack has none."""
    if (name := target.outputs.get(OUTPUT)) is None:
        again = "`sluice up --parameter Console=true`" if target.is_local else "it with Console=true"
        raise CommandError(
            f"the stack {target.stack} has no console", hint=f"Deploy {again}.", exit_code=EXIT_USAGE
        )
    return name


def ask(target: Target, path: str, query: str, headers: Mapping[str, str], frame: Frame) -> Page:
    """Return the page at a path; raises CommandError if the function failed."""
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name: headers[name] for name in ("accept",) if name in headers},
        "requestContext": {
            "http": {"method": "GET", "path": path},
            "authorizer": {"lambda": asdict(frame)},
        },
        "isBase64Encoded": False,
    }
    answer = target.call(
        "lambda", "invoke", FunctionName=function_of(target), Payload=json.dumps(event).encode()
    )
    found = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise CommandError(
            f"the page was not made: {found.get('errorMessage', 'the function failed')}",
            hint="`sluice logs --function console` shows why.",
        )
    body = found["body"].encode()
    return Page(
        found["statusCode"], found["headers"], base64.b64decode(body) if found["isBase64Encoded"] else body
    )
