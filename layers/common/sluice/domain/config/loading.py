"""Read a pipeline.yaml, and say what is wrong with it in its author's words."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from types import UnionType
from typing import Any, Protocol, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from sluice.domain.config.checks import CHECKS
from sluice.domain.config.kinds import quoted
from sluice.domain.config.models import PipelineConfig
from sluice.domain.config.problems import Breach, ConfigError, Problem, dotted
from sluice.domain.config.rules import breaches
from sluice.domain.config.source import read
from sluice.domain.nearest import nearest
from sluice.lazy import dataclass

_MISSING = "is missing"
_JOBS = ("prepare", "train", "evaluate")
# It breaks no rule.
_ANY_GATE = "metrics.any.value >= 0"
_NOUNS = {
    "a valid tuple": "a list",
    "a valid array": "a list",
    "an object": "a mapping",
    "a valid dictionary": "a mapping",
    "a valid integer": "an integer",
    "a valid ": "a ",
    "greater than or equal to ": "at least ",
    "less than or equal to ": "at most ",
    "greater than ": "more than ",
}


def load(text: str) -> PipelineConfig:
    """Read and check a pipeline.yaml; raises ConfigError with every problem found."""
    return _checked(read(text))


def check(data: dict[str, Any], former: PipelineConfig) -> PipelineConfig:
    """Check plain data that another config was changed to; raises ConfigError, whose problems name no lines.

    Defaults are written out there, so a rule that asks what the author wrote may be broken in both.
    """
    known = set(breaches(PipelineConfig.model_validate_json(former.model_dump_json())))
    return _checked(_Untold(data), known)


class _Located(Protocol):
    """Data, and where their parts are."""

    @property
    def data(self) -> dict[str, Any]: ...

    def resolve(self, loc: Sequence[str | int]) -> tuple[tuple[str | int, ...], int]: ...


@dataclass(frozen=True, slots=True)
class _Untold:
    """Data that were no text."""

    data: dict[str, Any]

    def resolve(self, loc: Sequence[str | int]) -> tuple[tuple[str | int, ...], int]:
        """Return the part of a location that exists in the data; they have no lines."""
        place: Any = self.data
        path = list[str | int]()
        for part in loc:
            known = dict(enumerate(place)) if isinstance(place, list) else place
            if isinstance(known, dict) and part in known:
                place = known[part]
                path.append(part)
        return tuple(path), 0


def _checked(source: _Located, known: Collection[Breach] = ()) -> PipelineConfig:
    try:
        config = _parsed(source.data)
    except ValidationError as error:
        raise ConfigError([*_problems(error, source), *_broken_beside(error, source, known)]) from None
    if problems := _absent(source) or _broken(config, source, known):
        raise ConfigError(problems)
    return config


def _parsed(data: dict[str, Any]) -> PipelineConfig:
    # Go through JSON: only there does pydantic's strict mode accept a list for a tuple.
    return PipelineConfig.model_validate_json(json.dumps(data))


def _broken_beside(error: ValidationError, source: _Located, known: Collection[Breach]) -> Iterable[Problem]:
    """Return what breaks rules beside gates that are none, if nothing else is invalid.

    Rules need the rest, but of gates each is judged alone.
    """
    gates = source.data.get("gates")
    if not isinstance(gates, list) or _absent(source):
        return ()
    wrong = {detail["loc"][1] for detail in error.errors(include_url=False) if _is_a_gate(detail["loc"])}
    sound = [_ANY_GATE if index in wrong else gate for index, gate in enumerate(gates)]
    try:
        return _broken(_parsed({**source.data, "gates": sound}), source, known)
    except ValidationError:
        return ()


def _is_a_gate(loc: Sequence[str | int]) -> bool:
    return len(loc) > 1 and loc[0] == "gates"


def _broken(config: PipelineConfig, source: _Located, known: Collection[Breach]) -> list[Problem]:
    return [
        Problem(
            dotted(breach.loc), source.resolve(breach.loc)[1], breach.message, breach.expected, breach.nearest
        )
        for breach in breaches(config)
        if breach not in known
    ]


def _problems(error: ValidationError, source: _Located) -> list[Problem]:
    """Return one problem for each place: a union reports each of its members at the same place."""
    found: dict[str, Problem] = {}
    details = error.errors(include_url=False)
    for detail in details:
        if detail["type"] == "too_short" and _is_within(detail["loc"], details):
            # Pydantic counts only valid items.
            continue
        problem = _translate(detail, source)
        found.setdefault(problem.path, problem)
    found = {**{problem.path: problem for problem in _absent(source)}, **found}
    misspelt = {_sibling(path, problem.nearest) for path, problem in found.items() if problem.nearest}
    return [p for path, p in found.items() if p.message != _MISSING or path not in misspelt]


def _absent(source: _Located) -> list[Problem]:
    """Return the jobs that a build lacks, and those that stand beside a pipeline which replaces them."""
    known = _fields(())
    given = {name for name in _JOBS if source.data.get(name) is not None}
    if source.data.get("build") is None:
        return [
            _problem(
                source,
                (name,),
                _MISSING,
                f"{known[name]}{_needs((name,))} (or build, a pipeline of SageMaker)",
            )
            for name in _JOBS
            if name not in given
        ]
    return [
        _problem(source, (name,), "is given beside build", "one of the two")
        for name in _JOBS
        if name in given
    ]


def _is_within(loc: Sequence[str | int], details: Sequence[ErrorDetails]) -> bool:
    """Tell whether an error lies within the part at the location."""
    return any(len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in details)


def _sibling(path: str, name: str) -> str:
    return f"{path.rpartition('.')[0]}.{name}".removeprefix(".")


def _translate(detail: ErrorDetails, source: _Located) -> Problem:
    loc, context = detail["loc"], detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            expected = _fields(loc[:-1]).get(str(loc[-1])) or "a value"
            return _problem(source, loc, _MISSING, expected + _needs(loc))
        case "extra_forbidden":
            known, name = _fields(loc[:-1]), str(loc[-1])
            # What has this very name below is nearer than what is spelt alike here.
            near = _below(loc[:-1], name) or nearest(name, known)
            return _problem(source, loc, "is no field here", f"one of {', '.join(known)}", near)
        case "expected":
            return _problem(source, loc, detail["msg"], context["expected"], context.get("nearest"))
        case "kind":
            return _problem(source, loc, _is(detail["input"]), context["expected"])
        case "literal_error" | "union_tag_invalid":
            named = context.get("expected_tags") or context["expected"]
            choices = re.findall(r"'([^']*)'", named) or re.findall(r"[\w.]+", named.replace(" or ", " "))
            given = context.get("tag", detail["input"])
            loc = (*loc, "check") if "tag" in context else loc
            return _problem(
                source, loc, _is(given), f"one of {', '.join(choices)}", nearest(str(given), choices)
            )
        case "union_tag_not_found":
            return _problem(source, (*loc, "check"), _MISSING, f"one of {', '.join(_checks())}")
        case "too_short":
            meaning = _fields(loc[:-1]).get(str(loc[-1]))
            least = context["min_length"]
            expected = f"at least {least} item{'' if least == 1 else 's'}"
            return _problem(source, loc, "is empty", f"{expected} ({meaning})" if meaning else expected)
        case "json_invalid":
            return Problem("", 1, "has an escape that is no character", "Unicode text")
        case "string_pattern_mismatch":
            expected = _fields(loc[:-1]).get(str(loc[-1])) or f"text like {context['pattern']}"
            return _problem(source, loc, _is(detail["input"]), expected)
        case _:
            expected = _expectation(detail["msg"])
            meaning = _fields(loc[:-1]).get(str(loc[-1])) if loc else None
            is_shown = "{" in (meaning or "")
            needs = _needs(loc) if "a mapping" in expected and not is_shown else ""
            given = f"{expected} ({meaning}{needs})" if meaning else expected
            return _problem(source, loc, _is(detail["input"]), given)


def _problem(
    source: _Located, loc: Sequence[str | int], message: str, expected: str, near: str | None = None
) -> Problem:
    path, line = source.resolve(loc)
    if loc and loc[-1] not in path[-1:] and message == _MISSING:
        path = (*path, loc[-1])
    return Problem(dotted(path), line, message, expected, near)


def _is(value: Any) -> str:
    if value is None:
        return "is empty"
    if isinstance(value, dict | list):
        return "is a mapping" if isinstance(value, dict) else "is a list"
    return f"is {quoted(value)}"


def _expectation(message: str) -> str:
    """Turn Pydantic's sentence into a noun phrase: "Input should be a valid string" to "a valid string"."""
    text = re.sub(r"^[A-Z][a-z]+ should (be |have )?", "", message)
    for phrase, noun in _NOUNS.items():
        text = text.replace(phrase, noun)
    return text


def _fields(loc: Sequence[str | int]) -> dict[str, str | None]:
    """Return the fields of the model at a location or nearest above it: names with descriptions."""
    return {name: info.description for name, info in _infos(loc).items()}


def _infos(loc: Sequence[str | int]) -> dict[str, FieldInfo]:
    models: list[type[BaseModel]] = [PipelineConfig]
    for part in loc:
        models = [model for model in models if part in _tags(model)] or models
        for model in models:
            info = _named(model).get(str(part))
            if info is not None and (inner := list(_models_in(info.annotation))):
                models = inner
                break
    return {name: info for model in models for name, info in _named(model).items()}


def _named(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _needs(loc: Sequence[str | int]) -> str:
    """Return which fields a mapping at a location must have, as the end of what it is; empty if none."""
    fields = _inner(_infos(loc[:-1]).get(str(loc[-1])))
    needed = [name for name, info in fields.items() if info.is_required()]
    if len(needed) == 1 and (meaning := fields[needed[0]].description):
        return f", with {needed[0]}: {meaning}"
    return f", with {', '.join(needed)}" if needed else ""


def has_fields(loc: Sequence[str | int]) -> bool:
    """Tell whether a field is one mapping, whose fields are known."""
    return bool(_inner(_infos(loc[:-1]).get(str(loc[-1]))))


def _below(loc: Sequence[str | int], name: str) -> str | None:
    """Return the path, from a location, of the field of this name that one of its mappings has."""
    return next((f"{each}.{name}" for each, info in _infos(loc).items() if name in _inner(info)), None)


def _inner(info: FieldInfo | None) -> dict[str, FieldInfo]:
    """Return the fields of a field that is one mapping; none of a list or a mapping of such."""
    annotation = info.annotation if info else None
    members = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    models = [each for each in members if isinstance(each, type) and issubclass(each, BaseModel)]
    return _named(models[0]) if models else {}


def _checks() -> list[str]:
    return [name for check in CHECKS for name in _tags(check)]


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the tags of a union's member: pydantic puts them into a location, before the fields."""
    check = model.model_fields.get("check")
    return get_args(check.annotation) if check else ()


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
