"""The `context` that handlers may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RequestProcessor:
    """The headers of request and answer, with the multi-model server's method names."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)
        self.response_headers: dict[str, str] = {}
        self.response_status: int | None = None

    def get_request_properties(self) -> dict[str, str]:
        """Return all request headers."""
        return dict(self._headers)

    def get_request_property(self, key: str) -> str | None:
        """Return one request header, ignoring case."""
        wanted = key.lower()
        return next((value for name, value in self._headers.items() if name.lower() == wanted), None)

    def add_response_property(self, key: str, value: str) -> None:
        """Set a response header."""
        self.response_headers[key] = value

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        """Set the response's status; the phrase is not sent."""
        self.response_status = code


class Context:
    """One request, or none while the model is loaded. `idx` is 0: requests are not batched."""

    def __init__(self, model_dir: str, headers: Mapping[str, str] | None = None) -> None:
        self.system_properties: dict[str, Any] = {"model_dir": model_dir, "gpu_id": None, "batch_size": 1}
        self.request_processor = [RequestProcessor(headers or {})]

    def get_request_id(self, idx: int = 0) -> str | None:
        """Return the caller's InferenceId, if there is one."""
        return self.get_request_header(idx, "X-Amzn-SageMaker-Inference-Id")

    def get_request_header(self, idx: int, key: str) -> str | None:
        """Return one request header."""
        return self.request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        """Return all request headers."""
        return self.request_processor[idx].get_request_properties()

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Set a response header."""
        self.request_processor[idx].add_response_property(key, value)

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Set a response status other than 200."""
        self.request_processor[idx].report_status(code, phrase)
