"""Read evaluation.json, which a user's script wrote, so that any content has a defined outcome.

A number that is not finite (NaN, infinity, or beyond a float's range) fails the gate that reads it, and is
recorded as null. Anything but a JSON object of sensible size and depth raises EvaluationError.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from sluice.lazy import dataclass

MAX_BYTES = 5 * 1024 * 1024
MAX_DEPTH = 32
_SHOWN = 5
# A float ends at 1.8e308; int() refuses to read much longer ones.
_DIGITS_MAX = 310


class EvaluationError(ValueError):
    """An evaluation.json cannot be used; the message is a predicate of the file's name."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a script found: `document` keeps NaN and infinity for gates to name; `finite` has null instead."""

    document: dict[str, Any]
    sha256: str

    @property
    def finite(self) -> dict[str, Any]:
        finite: dict[str, Any] = _finite(self.document)
        return finite

    @property
    def remark(self) -> str | None:
        """A sentence on the numbers that are recorded as null, if any."""
        paths = [path for path, value in _leaves(self.document, ()) if not is_finite(value)]
        if not paths:
            return None
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        return f"no finite numbers, recorded as null: {', '.join(paths[:_SHOWN])}{more}"


def read(data: bytes) -> Evaluation:
    """Parse the file's content; raises EvaluationError."""
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    try:
        document = json.loads(data.decode("utf-8-sig"), parse_int=_integer, object_pairs_hook=_mapping)
    except EvaluationError:
        raise
    except UnicodeDecodeError as error:
        raise EvaluationError(f"is no UTF-8 text: byte {error.start}") from None
    except RecursionError:
        raise EvaluationError(f"is nested more than {MAX_DEPTH} levels deep") from None
    except ValueError as error:
        raise EvaluationError(f"is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise EvaluationError('is no JSON object, such as {"metrics": {"accuracy": {"value": 0.9}}}')
    _check_depth(document)
    return Evaluation(document, hashlib.sha256(data).hexdigest())


def too_large(size_bytes: int) -> EvaluationError:
    return EvaluationError(f"has {size_bytes} bytes, at most {MAX_BYTES}: write what is long to another file")


def is_finite(value: Any) -> bool:
    """Tell whether a value is anything but NaN, infinity or a number beyond a float's range."""
    return not isinstance(value, float) or math.isfinite(value)


def _integer(text: str) -> int | float:
    """Parse an integer; beyond a float's range it is infinite."""
    if len(text) <= _DIGITS_MAX:
        number = int(text)
        with suppress(OverflowError):
            float(number)
            return number
    return -math.inf if text.startswith("-") else math.inf


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise EvaluationError(f"gives {name!a} twice")
        for text in (name, value):
            if isinstance(text, str) and any("\ud800" <= character <= "\udfff" for character in text):
                raise EvaluationError(f"has text that is no Unicode, at {name!a}")
        found[name] = value
    return found


def _check_depth(document: Any) -> None:
    """Walk level by level: depth would exhaust a recursion."""
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [child for value in level for child in _children(value)]
        if not level:
            return
    raise EvaluationError(f"is nested more than {MAX_DEPTH} levels deep")


def _children(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from _leaves(child, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _leaves(child, (*path, str(index)))
    else:
        yield ".".join(path), value


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_finite(child) for child in value]
    return value if is_finite(value) else None
