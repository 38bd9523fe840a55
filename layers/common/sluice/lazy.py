"""Frozen dataclasses that compile their methods when the first of them is made, not when they are imported.

`dataclasses` writes six methods of a class as text and compiles it, which takes 0.4 ms; the rest takes 0.05.
A function imports fifty such classes before its first event, and then makes a few of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_compiling = RLock()

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """Decorate like `dataclasses.dataclass`, but only classes that inherit from no other dataclass."""
        if not (frozen and slots):
            raise TypeError("a lazy dataclass is frozen and has slots")
        return _lazy


def _lazy(cls: type) -> type:
    if dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls.__name__} inherits from a dataclass, which a lazy one cannot")
    # The first decoration takes them out of the class, and the second needs them.
    fields = {name: value for name, value in vars(cls).items() if isinstance(value, dataclasses.Field)}
    # Else `dataclasses` spells the signature, of which the first one takes more than all else here.
    cls.__doc__ = cls.__doc__ or cls.__name__
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    compile_all = partial(_compile, cls, fields, made)
    for name in ("__init__", "__repr__", "__eq__", "__hash__"):
        setattr(made, name, _compiled_first(made, name, compile_all))
    made.__setattr__ = made.__delattr__ = _refuse
    made.__setstate__ = _restore
    return made  # type: ignore[no-any-return]


def _compiled_first(made: type, name: str, compile_all: Callable[[], None]) -> Callable[..., Any]:
    """Return what stands in for a method until the first call of any."""

    def method(*args: Any, **kwargs: Any) -> Any:
        compile_all()
        return getattr(made, name)(*args, **kwargs)

    return method


def _compile(cls: type, fields: Mapping[str, Any], made: type) -> None:
    """Have `dataclasses` compile the methods for the class as it was written, which has no slots."""
    with _compiling:
        if "__init__" in vars(cls):
            return
        for name, value in fields.items():
            setattr(cls, name, value)
        compiled = vars(dataclasses.dataclass(frozen=True)(cls))
        for name in ("__repr__", "__eq__", "__hash__", "__init__"):
            setattr(made, name, compiled[name])


def _refuse(self: object, name: str, *_value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot change field {name!r}")


def _restore(self: object, state: tuple[None, Mapping[str, Any]]) -> None:
    """Set what was pickled or copied."""
    for name, value in state[1].items():
        object.__setattr__(self, name, value)
