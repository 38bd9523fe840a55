"""Run a user's handlers as SageMaker's inference toolkit does.

A script defines `model_fn(model_dir)`, and `input_fn(input_data, content_type)`, `predict_fn(data, model)`
and `output_fn(prediction, accept)`, or one `transform_fn(model, input_data, content_type, accept)` in their
place. Each may take a `context` more.
"""

from __future__ import annotations

import inspect
import json
import traceback
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from . import formats
from .context import Context

_STEPS = ("input_fn", "predict_fn", "output_fn")


class Response(NamedTuple):
    """A response to send."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class InferenceService:
    """A loaded model with the handlers that serve it; safe for requests in parallel if the handlers are."""

    def __init__(self, module: ModuleType, model_dir: str, default_accept: str = formats.JSON) -> None:
        """Load the model; raises ValueError if handlers conflict, and what the script's `model_fn` raises."""
        given = {name: getattr(module, name) for name in _STEPS if hasattr(module, name)}
        self._transform: Callable[..., Any] | None = getattr(module, "transform_fn", None)
        if self._transform and given:
            raise ValueError(
                "Cannot use transform_fn implementation in conjunction with "
                "input_fn, predict_fn, and/or output_fn implementation"
            )
        self._handlers: dict[str, Callable[..., Any]] = {**_DEFAULTS, **given}
        self._default_accept = default_accept
        self._model_dir = model_dir
        model_fn = getattr(module, "model_fn", _no_model_fn)
        self._model = _call(model_fn, (model_dir,), Context(model_dir))

    def respond(self, body: bytes, headers: Mapping[str, str]) -> Response:
        """Answer POST /invocations; an error becomes a status and a message, and its traceback is logged."""
        context = Context(self._model_dir, headers)
        try:
            return self._answer(body, context)
        except Exception as error:
            traceback.print_exc()
            if status := getattr(error, "status_code", None):
                return Response(status, {"Content-Type": "text/plain"}, str(error).encode())
            said = traceback.format_exception_only(error)[-1].strip()
            return Response(500, {"Content-Type": "text/plain"}, said.encode())

    def _answer(self, body: bytes, context: Context) -> Response:
        content_type = context.get_request_header(0, "Content-Type") or formats.JSON
        accept = context.get_request_header(0, "Accept") or "*/*"
        if accept == "*/*":
            accept = self._default_accept
        data = body.decode(errors="replace") if content_type in formats.TEXT_TYPES else body
        result = self._run(data, content_type, accept, context)
        if hasattr(
            result, "get_data"
        ):  # a werkzeug or Flask response, which the framework images send unchanged
            return Response(result.status_code, dict(result.headers), result.get_data())
        if isinstance(result, tuple):
            result, accept = result
        answer = context.request_processor[0]
        headers = {**answer.response_headers, "Content-Type": accept}
        return Response(answer.response_status or 200, headers, _to_bytes(result))

    def _run(self, data: str | bytes, content_type: str, accept: str, context: Context) -> Any:
        if self._transform:
            return _call(self._transform, (self._model, data, content_type, accept), context)
        parsed = _call(self._handlers["input_fn"], (data, content_type), context)
        prediction = _call(self._handlers["predict_fn"], (parsed, self._model), context)
        return _call(self._handlers["output_fn"], (prediction, accept), context)


def _call(handler: Callable[..., Any], arguments: tuple[Any, ...], context: Context) -> Any:
    """Call a handler, with the context if its signature takes it."""
    expected, given = len(inspect.signature(handler).parameters), len(arguments)
    if expected == given:
        return handler(*arguments)
    if expected == given + 1:
        return handler(*arguments, context)
    raise TypeError(f"{handler.__name__} must take {given} or {given + 1} arguments, but takes {expected}")


def _no_model_fn(model_dir: str) -> Any:
    raise NotImplementedError("Please provide a model_fn implementation: it loads the model from model_dir")


def _default_predict_fn(data: Any, model: Any) -> Any:
    """Predict as the scikit-learn and XGBoost images do."""
    return model.predict(data)


def _to_bytes(result: Any) -> bytes:
    if isinstance(result, (bytes, bytearray)):
        return bytes(result)
    return (result if isinstance(result, str) else json.dumps(result)).encode()


_DEFAULTS: dict[str, Callable[..., Any]] = {
    "input_fn": formats.decode,
    "predict_fn": _default_predict_fn,
    "output_fn": formats.encode,
}
