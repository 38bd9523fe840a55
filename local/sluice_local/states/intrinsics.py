"""Evaluate intrinsic functions such as `States.Format('train-{}', $.index)`."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from sluice_local.states.data import dumps
from sluice_local.states.paths import find

_TOKEN = re.compile(
    r"""\s*(?:(?P<call>States\.\w+)\s*\(
      | '(?P<text>(?:\\.|[^'\\])*)'
      | (?P<path>\$(?:\[[^\]]*\]|[^,()\[\]])*)
      | (?P<literal>-?[0-9][0-9.eE+-]*|true|false|null))\s*""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(['{}\\])")
_SLOT = re.compile(r"\\(.)|\{\}", re.DOTALL)
_LONGEST_TEXT = 10_000


class _Text(str):
    """A text as written in the expression, with its escapes."""

    __slots__ = ()

    def plain(self) -> str:
        return _ESCAPED.sub(r"\1", self)


def evaluate(expression: str, data: Any, context: Mapping[str, Any]) -> Any:
    """Evaluate a call; raises ValueError if it is not a call, or for bad arguments."""
    return _Reader(expression, data, context).call()


class _Reader:
    """Reads an expression from left to right, and computes as it reads."""

    def __init__(self, expression: str, data: Any, context: Mapping[str, Any]) -> None:
        self._expression = expression
        self._data = data
        self._context = context
        self._position = 0

    def call(self) -> Any:
        value = self._value()
        if self._position != len(self._expression):
            raise ValueError(f"Invalid expression {self._expression}")
        return value

    def _value(self) -> Any:
        token = _TOKEN.match(self._expression, self._position)
        if token is None:
            raise ValueError(f"Invalid expression {self._expression}")
        self._position = token.end()
        if token["call"]:
            return self._called(token["call"], self._arguments())
        if token["text"] is not None:
            return _Text(token["text"])
        if token["path"]:
            return find(token["path"].strip(), self._data, self._context)
        return json.loads(token["literal"])

    def _arguments(self) -> list[Any]:
        found: list[Any] = []
        while not self._take(")"):
            if found and not self._take(","):
                raise ValueError(f"Invalid expression {self._expression}")
            found.append(self._value())
        return found

    def _take(self, character: str) -> bool:
        taken = self._expression.startswith(character, self._position)
        if taken:
            rest = self._expression[self._position + 1 :]
            self._position = len(self._expression) - len(rest.lstrip())
        return taken

    def _called(self, name: str, arguments: list[Any]) -> Any:
        function = _FUNCTIONS.get(name)
        if function is None:
            raise ValueError(f"Unsupported intrinsic function {name}")
        if name != "States.Format":
            arguments = [each.plain() if isinstance(each, _Text) else each for each in arguments]
        try:
            return function(*arguments)
        except (TypeError, ValueError, LookupError) as error:
            raise ValueError(f"Invalid arguments in {name}: {error}") from error


def _format(template: str, *values: Any) -> str:
    texts = [value if isinstance(value, str) else dumps(value) for value in values]
    waiting = [text.plain() if isinstance(text, _Text) else text for text in texts]
    return _SLOT.sub(lambda slot: slot[1] if slot[1] else waiting.pop(0), template)


def _encoded(text: str) -> str:
    return base64.b64encode(_short(text).encode()).decode()


def _decoded(text: str) -> str:
    padded = _short(text) + "=" * (-len(text) % 4)
    return base64.b64decode(padded).decode(errors="replace")


def _digest(text: str, algorithm: str) -> str:
    name = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
    return hashlib.new(name[algorithm], _short(text).encode(), usedforsecurity=False).hexdigest()


def _short(text: str) -> str:
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"longer than {_LONGEST_TEXT} characters")
    return text


def _unique(values: list[Any]) -> list[Any]:
    return list({dumps(value): value for value in values}.values())


def _parts(values: list[Any], size: int) -> list[list[Any]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _split(text: str, marks: str) -> list[str]:
    return [part for part in re.split(f"[{re.escape(marks)}]", text) if part]


def _range(first: int, last: int, step: int) -> list[int]:
    return list(range(int(first), int(last) + (1 if step > 0 else -1), int(step)))


def _random(low: int, high: int, seed: int | None = None) -> int:
    source = random.Random(seed)  # noqa: S311 - not for secrets
    return source.randrange(int(low), int(high))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "States.Array": lambda *values: list(values),
    "States.ArrayContains": lambda values, value: value in values,
    "States.ArrayGetItem": lambda values, index: values[int(index)],
    "States.ArrayLength": lambda values: len(values),
    "States.ArrayPartition": _parts,
    "States.ArrayRange": _range,
    "States.ArrayUnique": _unique,
    "States.Base64Decode": _decoded,
    "States.Base64Encode": _encoded,
    "States.Format": _format,
    "States.Hash": _digest,
    "States.JsonMerge": lambda first, second, deep=False: {**first, **second},
    "States.JsonToString": dumps,
    "States.MathAdd": lambda first, second: int(first) + int(second),
    "States.MathRandom": _random,
    "States.StringSplit": _split,
    "States.StringToJson": json.loads,
    "States.UUID": lambda: str(uuid.uuid4()),
}
