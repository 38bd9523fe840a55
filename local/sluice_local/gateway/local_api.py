"""Answer the cloud's own requests, besides AWS's: below /_local/, as JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]
# (method, body) -> status and answer
Answer = Callable[[str, bytes], tuple[int, Any]]

# Answered to all: the cloud itself and others ask whether it is this one.
IDENTITY_PATH = "/_local/identity"


def with_local_paths(application: Application, paths: Mapping[str, Answer]) -> Application:
    """Return the ASGI application, with `paths` answered here."""

    async def route(scope: Any, receive: Receive, send: Send) -> None:
        answer = paths.get(scope.get("path", "")) if scope["type"] == "http" else None
        if answer is None:
            await application(scope, receive, send)
            return
        status, document = answer(scope["method"], await _body(receive))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(document).encode()})

    return route


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
