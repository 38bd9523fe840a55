"""Pickle plain data only, so that reading them back runs no code.

Pickling plain data lets no other thread run meanwhile and change them. JSON has no bytes, and no tuples as
keys. Either would copy large bytes with every save, so those have their own files.
"""

from __future__ import annotations

import gc
import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

BODY_BYTES = 4096
"""Bytes of this size and more are kept apart."""

_PLAIN = frozenset(
    {
        ("builtins", "bytearray"),
        ("builtins", "frozenset"),
        ("builtins", "set"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("collections", "deque"),
        ("builtins", "dict"),
        ("builtins", "list"),
        ("sluice_local.state.pickles", "Body"),
    }
)


class NotPlainError(Exception):
    """A value is not plain data."""


class Body(NamedTuple):
    """Stands for bytes that are stored separately."""

    digest: str


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """Refuse values that are not of a built-in type."""
        kind = value if isinstance(value, type) else type(value)
        if (kind.__module__, kind.__qualname__) not in _PLAIN:
            raise NotPlainError(f"{kind.__module__}.{kind.__qualname__} is no plain data")
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PLAIN:
            raise NotPlainError(f"{module}.{name} is no plain data")
        return super().find_class(module, name)


def dumps(value: Any) -> bytes:
    """Pickle a value; raises NotPlainError, or RuntimeError if it changed meanwhile after all."""
    target = io.BytesIO()
    with _without_collection():
        _Pickler(target, pickle.HIGHEST_PROTOCOL).dump(value)
    return target.getvalue()


def loads(data: bytes) -> Any:
    """Unpickle a value; raises NotPlainError for what `dumps` cannot have written."""
    return _Unpickler(io.BytesIO(data)).load()


def without_bodies(value: Any, put: Callable[[bytes], str]) -> Any:
    """Copy a value; each large piece of bytes goes to `put`, and a `Body` replaces it."""
    if isinstance(value, bytes):
        return Body(put(value)) if len(value) >= BODY_BYTES else value
    if isinstance(value, dict):
        return {key: without_bodies(item, put) for key, item in list(value.items())}
    if isinstance(value, list):
        return [without_bodies(item, put) for item in list(value)]
    return value


def with_bodies(value: Any, get: Callable[[str], bytes]) -> Any:
    """Undo `without_bodies`, in place if possible; raises what `get` raises."""
    if isinstance(value, Body):
        return get(value.digest)
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = with_bodies(item, get)
    elif isinstance(value, list):
        value[:] = [with_bodies(item, get) for item in value]
    return value


@contextmanager
def _without_collection() -> Iterator[None]:
    """Disable the garbage collector, which may run Python code and so other threads."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
