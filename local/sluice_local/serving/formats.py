"""Read and write the content types of the inference toolkit's default handlers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
TEXT_TYPES = (JSON, CSV)


class UnsupportedFormatError(Exception):
    """There is no default handler for a content type; `status_code` is the answer's."""

    def __init__(self, content_type: str, status_code: int) -> None:
        super().__init__(
            f"Content type {content_type} is not supported by this framework. Please implement input_fn to "
            "deserialize the request data or an output_fn to serialize the response."
        )
        self.status_code = status_code


def decode(body: Any, content_type: str) -> Any:
    """Return the request as a numpy array; raises UnsupportedFormatError (415)."""
    if content_type not in _DECODERS:
        raise UnsupportedFormatError(content_type, 415)
    return _DECODERS[content_type](body)


def encode(prediction: Any, accept: str) -> str | bytes:
    """Return a prediction, an array or plain lists, as `accept`; raises UnsupportedFormatError (406)."""
    if accept not in _ENCODERS:
        raise UnsupportedFormatError(accept, 406)
    return _ENCODERS[accept](prediction)


def _numpy() -> Any:
    """Import the image's numpy only if a default handler needs it."""
    import numpy  # type: ignore[import-not-found, unused-ignore]

    return numpy


def _from_json(text: str) -> Any:
    return _numpy().array(json.loads(text))


def _from_csv(text: str) -> Any:
    return _numpy().genfromtxt(io.StringIO(text), dtype=None, delimiter=",", encoding="utf-8")


def _from_npy(body: bytes) -> Any:
    return _numpy().load(io.BytesIO(body), allow_pickle=False)


def _plain(value: Any) -> Any:
    """Convert arrays and numpy scalars to Python's types."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _to_json(prediction: Any) -> str:
    return json.dumps(prediction, default=_plain)


def _to_csv(prediction: Any) -> str:
    """Write a row a line, as numpy.savetxt does with the toolkit's format."""
    rows = prediction.tolist() if hasattr(prediction, "tolist") else prediction
    rows = rows if isinstance(rows, (list, tuple)) else [rows]
    lines = [",".join(map(str, row)) if isinstance(row, (list, tuple)) else str(row) for row in rows]
    return "".join(f"{line}\n" for line in lines)


def _to_npy(prediction: Any) -> bytes:
    buffer = io.BytesIO()
    _numpy().save(buffer, prediction)
    return buffer.getvalue()


_DECODERS: dict[str, Callable[[Any], Any]] = {JSON: _from_json, CSV: _from_csv, NPY: _from_npy}
_ENCODERS: dict[str, Callable[[Any], str | bytes]] = {JSON: _to_json, CSV: _to_csv, NPY: _to_npy}
