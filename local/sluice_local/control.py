"""Send the local cloud requests that AWS does not have: faults, deliveries, permissions used."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sluice_local.settings import ROOT_KEY, ROOT_SECRET

_TIMEOUT_S = 10


def ask(endpoint_url: str, path: str, method: str = "GET", document: Any = None) -> Any:
    """Return the JSON that `/_local/<path>` answers to the root user; raises HTTPError for a refusal."""
    body = b"" if document is None else json.dumps(document).encode()
    url = f"{endpoint_url}/_local/{path}"
    signed = AWSRequest(method, url, {"Content-Type": "application/json"}, body)
    SigV4Auth(Credentials(ROOT_KEY, ROOT_SECRET), "local", "us-east-1").add_auth(signed)
    request = urllib.request.Request(url, body, dict(signed.headers.items()), method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
        return json.load(response)
