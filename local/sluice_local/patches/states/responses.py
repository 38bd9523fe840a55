"""Make answers of Step Functions operations."""

from __future__ import annotations

from typing import Any

from ministack.core.responses import error_response_json, json_response

Response = tuple[int, dict[str, str], bytes]


def answer(members: dict[str, Any]) -> Response:
    """Answer with success."""
    response: Response = json_response(members)
    return response


def refuse(code: str, message: str) -> Response:
    """Answer with an error that SDKs raise by the name `code`."""
    response: Response = error_response_json(code, message, 400)
    return response
