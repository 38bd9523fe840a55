"""Headers that keep a page to itself, and the tokens by which a form proves that it is one of ours."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_PAGE = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
# A stored report: one file with its own style, without scripts, shown in a frame of ours.
_REPORT = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox allow-same-origin"
PAGE: Mapping[str, str] = {**_ALWAYS, "content-security-policy": _PAGE, "cache-control": "no-store"}
REPORT: Mapping[str, str] = {**_ALWAYS, "content-security-policy": _REPORT, "cache-control": "no-store"}
STATIC: Mapping[str, str] = {
    **_ALWAYS,
    "content-security-policy": "default-src 'none'",
    "cache-control": "public, max-age=31536000, immutable",
}
_OWN_FETCHES = (None, "same-origin", "none")


def form_token(secret: str) -> str:
    """Return the token that forms carry, for a secret that only the browser's cookie and the server have."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def objection(headers: Mapping[str, str], own: str, secret: str, token: str) -> str | None:
    """Say why a form is not one of ours; None if it is. `own` is our origin, header names are lower case."""
    if headers.get("origin", own) != own or headers.get("sec-fetch-site") not in _OWN_FETCHES:
        return "it was sent by a page of another site"
    if not hmac.compare_digest(token.encode(), form_token(secret).encode()):
        return "it lacks the token of this console: load the page again, and repeat what you did"
    return None


def is_opened(cookie: str, secret: str) -> bool:
    """Tell whether a browser has the key that the address of the console gave it."""
    return hmac.compare_digest(cookie.encode(), secret.encode())
