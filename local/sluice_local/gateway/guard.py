"""Let only this machine's programs reach the local cloud, and no page in a browser.

Any page can send requests to loopback, and with DNS rebinding read the answers. A browser tells where a
request comes from (`Origin`, `Sec-Fetch-Site`) and which host it addresses (`Host`), so these headers decide.
With IAM enforced, a request must also be signed by an existing key, or be for a URL that AWS serves unsigned.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from sluice_local.gateway.local_api import IDENTITY_PATH, Application, Receive, Send
from sluice_local.settings import LOOPBACK, Settings

# None: a program, or an address that someone typed.
_OWN_PAGES = (None, "none", "same-origin")


def guarded(application: Application, settings: Settings) -> Application:
    """Return the ASGI application behind the guard; its answers have no CORS headers for other origins."""

    async def guard(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await application(scope, receive, send)
            return
        headers = _joined(scope["headers"])
        if refusal := foreign(headers, settings.port):
            await _refuse(scope, receive, send, refusal)
            return
        if settings.auth and scope["path"] != IDENTITY_PATH:
            from sluice_local.gateway import signatures  # ministack reads its environment on import

            signed = await signatures.authenticated(scope, receive, send)
            if signed is None:
                return
            receive = signed
        await application(scope, receive, _without_cors(send))

    return guard


def foreign(headers: Mapping[str, str], port: int) -> str | None:
    """Return why a request does not come from a program of this machine, or None."""
    host = headers.get("host", "")
    if not _is_own_host(host, port):
        return f"The local cloud answers to 127.0.0.1:{port} and localhost:{port}, not to the host {host!r}."
    if headers.get("sec-fetch-site") not in _OWN_PAGES:
        return "The local cloud answers no request of a page of another site."
    if "origin" in headers and headers["origin"] != f"http://{host}":
        return f"The local cloud answers no request of a page of {headers['origin']}."
    return None


def _is_own_host(host: str, port: int) -> bool:
    """Accept loopback with our port, or a name below localhost (S3, API Gateway, function URLs).

    DNS has no names below localhost (RFC 6761), so only pages that we served can have one.
    """
    name, colon, given = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, given = host, "80"
    name = name.lower()
    return given == str(port) and (name in LOOPBACK or name.endswith(".localhost"))


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name; repeated ones are joined, which makes their values unknown ones."""
    values: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        values[name] = f"{values[name]}, {value}" if name in values else value
    return values


async def _refuse(scope: Any, receive: Receive, send: Send, message: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": message[:120]})
        return
    content = json.dumps({"__type": "AccessDenied", "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    # The request's body is not read, so the connection cannot be reused.
    headers += [(b"x-amzn-errortype", b"AccessDenied"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": HTTPStatus.FORBIDDEN, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


def _without_cors(send: Send) -> Send:
    async def send_without_cors(message: dict[str, Any]) -> None:
        if "headers" in message:
            kept = [
                (name, value)
                for name, value in message["headers"]
                if not bytes(name).lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": kept}
        await send(message)

    return send_without_cors
