"""Override values of a pipeline's config for one run: which may be, and what they must be.

An override is a dotted path and a value, such as `train.hyperparameters.alpha` and 0.1. It changes what a run
computes with the scripts as they were pushed. What the project is (its name, data, scripts, gates, serving
and stages) stays as pushed: what is registered is compared with it later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sluice.domain.config import kinds
from sluice.domain.config.models import PipelineConfig
from sluice.domain.nearest import hint

Overrides = Mapping[str, Any]
# Fields below these, and these themselves, are a run's matter.
_BRANCHES = (
    "prepare.parameters",
    "prepare.compute",
    "train.hyperparameters",
    "train.candidates",
    "train.compute",
    "evaluate.compute",
    "build.parameters",
)
_LEAVES = ("prepare.cache", "train.cache", "evaluate.cache")
_HYPERPARAMETERS, _SPACE = "train.hyperparameters", "train.candidates.space"
_OF_THE_PIPELINE = "build.parameters"
# Mappings whose names are the project's own.
_FREE = ("prepare.parameters", _HYPERPARAMETERS, _SPACE, _OF_THE_PIPELINE)
_LISTED_MAX = 10


class OverrideError(ValueError):
    """A run cannot have these overrides; `problems` says why, a line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


def parse(assignment: str) -> tuple[str, Any, str]:
    """Read `PATH=VALUE`, the value as YAML of one line; returns path, value and the value's text."""
    path, equals, text = assignment.partition("=")
    path = path.strip()
    if not equals or not all(path.split(".")):
        raise OverrideError([f"{assignment!r}: expected PATH=VALUE, such as train.hyperparameters.alpha=0.1"])
    from sluice.domain.config.problems import ConfigError
    from sluice.domain.config.source import read

    try:
        found = read(f"value: {text}\n").data
    except ConfigError:
        # Text that YAML cannot read is text.
        return path, text, text
    return path, found["value"] if found.keys() == {"value"} else text, text


def read_all(config: PipelineConfig, assignments: Sequence[str]) -> dict[str, Any]:
    """Read what a person typed for a config; raises OverrideError with every problem."""
    problems: list[str] = []
    found: dict[str, Any] = {}
    document = _document(config)
    for assignment in assignments:
        try:
            path, value, text = parse(assignment)
            if config.build is not None and "." not in path:
                path = f"{_OF_THE_PIPELINE}.{path}"
        except OverrideError as error:
            problems += error.problems
            continue
        if path in found:
            problems.append(f"{path} is given twice: expected each once")
        # Where the project has text, a number is read as its text.
        found[path] = text.strip() if isinstance(_current(document, path), str) else value
    check(config, found, problems)
    return found


def check(config: PipelineConfig, overrides: Overrides, problems: Sequence[str] = ()) -> PipelineConfig:
    """Return the config as overridden; raises OverrideError with every problem, those given too."""
    document = _document(config)
    found = [*problems]
    for path, value in overrides.items():
        problem = _problem(document, path, value)
        found += [problem] if problem else []
    found += _conflicts(overrides)
    if found:
        raise OverrideError(found)
    from sluice.domain.config import loading
    from sluice.domain.config.problems import ConfigError

    try:
        return loading.check(_overridden(document, overrides), config)
    except ConfigError as error:
        raise OverrideError(error.reasons) from None


def applied(config: PipelineConfig, overrides: Overrides | None) -> PipelineConfig:
    """Return the config with overrides that were checked before."""
    if not overrides:
        return config
    document = _overridden(_document(config), overrides)
    return PipelineConfig.model_validate_json(json.dumps(document))


def _document(config: PipelineConfig) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(config.model_dump_json())
    return document


def _overridden(document: dict[str, Any], overrides: Overrides) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(document))
    for path, value in overrides.items():
        *parents, name = path.split(".")
        place = changed
        for parent in parents:
            place = place[parent]
        place[name] = value
        if path.startswith(f"{_HYPERPARAMETERS}.") and name in changed["train"]["candidates"]["space"]:
            _fix(changed["train"], name, value)
    return changed


def _fix(train: dict[str, Any], name: str, value: Any) -> None:
    """Search a hyperparameter no longer; random and halving draw from a space that has at least this one."""
    candidates = train["candidates"]
    del candidates["space"][name]
    if not candidates["space"] and candidates["strategy"] != "grid":
        candidates["space"][name] = [value]
        del train["hyperparameters"][name]


def _current(document: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path; of a hyperparameter in the space the first that would be tried."""
    place: Any = document
    for name in path.split("."):
        if not isinstance(place, Mapping) or name not in place:
            return _first(document, path)
        place = place[name]
    return place


def _first(document: Mapping[str, Any], path: str) -> Any:
    branch, _, name = path.rpartition(".")
    if branch != _HYPERPARAMETERS or document["train"] is None:
        return None
    values = document["train"]["candidates"]["space"].get(name)
    if isinstance(values, list) and values:
        return values[0]
    if isinstance(values, Mapping):
        return int(values["min"]) if values["integer"] else float(values["min"])
    return None


def _problem(document: Mapping[str, Any], path: str, value: Any) -> str | None:
    names = path.split(".")
    place: Any = document
    for index, name in enumerate(names):
        here = ".".join(names[:index])
        known = _names(document, here, place)
        if name not in known:
            return _unknown(document, path, here, name, known) if known else _inside(path, here, place)
        place = place.get(name) if isinstance(place, Mapping) else None
    if not _may_be(path):
        return _forbidden(path)
    if value is None:
        return f"{path} is empty: expected a value"
    return _mismatch(document, path, value)


def _names(document: Mapping[str, Any], here: str, place: Any) -> list[str]:
    """Return the names at a place; a hyperparameter of the space can be given a value, too."""
    names = [*place] if isinstance(place, Mapping) else []
    if here == _HYPERPARAMETERS:
        names += [name for name in document["train"]["candidates"]["space"] if name not in names]
    if here == _SPACE:
        names += [name for name in document["train"]["hyperparameters"] if name not in names]
    return names


def _unknown(document: Mapping[str, Any], path: str, here: str, name: str, known: Sequence[str]) -> str:
    may_be = [each for each in known if _leads(document, f"{here}.{each}" if here else each)] or known
    listed = ", ".join(may_be[:_LISTED_MAX]) + (", …" if len(may_be) > _LISTED_MAX else "")
    what = "is not in pipeline.yaml" if here in _FREE else "is no field"
    if here == _OF_THE_PIPELINE:
        what = "is no parameter that a run may be given"
    full = f"{here}.{name}" if here else name
    # What has this very name elsewhere is nearer than what is spelt alike here.
    elsewhere = _elsewhere(document, path)
    meant = (elsewhere if full == path else "") or hint(name, known) or elsewhere
    return f"{full} {what}: expected one of {listed}{meant}"


def _leads(document: Mapping[str, Any], path: str) -> bool:
    """Tell whether a path leads to what a run may override of this project."""
    ways = _of_project(document, (*_BRANCHES, *_LEAVES))
    return any(way == path or way.startswith(f"{path}.") or path.startswith(f"{way}.") for way in ways)


def _of_project(document: Mapping[str, Any], ways: Sequence[str]) -> list[str]:
    """Return those that the project has: its build runs scripts, or a pipeline of SageMaker."""
    return [way for way in ways if document.get(way.partition(".")[0]) is not None]


def _elsewhere(document: Mapping[str, Any], path: str) -> str:
    """Return, as the end of a sentence, where the last name of a path is; empty if it is nowhere."""
    name = path.rpartition(".")[2]
    branches = _of_project(document, _BRANCHES)
    places = [branch for branch in branches if name in _names(document, branch, _current(document, branch))]
    return f"; did you mean {' or '.join(f'{place}.{name}' for place in places)}?" if places else ""


def _inside(path: str, here: str, place: Any) -> str:
    """Refuse what lies within a value, or within a mapping that the project does not have."""
    if place is None and not _may_be(here):
        return f"{path} is no field, as pipeline.yaml has no {here}"
    if not _may_be(here):
        return _forbidden(here)
    from sluice.domain.config import loading

    now = "is not given" if place is None else f"is {kinds.quoted(place)}"
    may_have_fields = isinstance(place, Mapping) or here in _LEAVES or loading.has_fields(here.split("."))
    whole = f"{{{path.removeprefix(f'{here}.')}: VALUE}}" if may_have_fields else "VALUE"
    return f"{path} is no field: {here} {now} in pipeline.yaml, and can be given as a whole, '{here}={whole}'"


def _may_be(path: str) -> bool:
    is_below = any(path.startswith(f"{branch}.") for branch in _BRANCHES)
    return path in _LEAVES or (is_below and path not in _FREE)


def _forbidden(path: str) -> str:
    below = [branch for branch in (*_BRANCHES, *_LEAVES) if branch.startswith(path.split(".")[0] + ".")]
    if any(branch == path or branch.startswith(f"{path}.") for branch in (*_BRANCHES, *_LEAVES)):
        return f"{path} is a mapping: expected one of its fields, such as {below[0]}.NAME"
    known = ", ".join(f"{branch}.*" for branch in _BRANCHES)
    return (
        f"{path} cannot be overridden, as it is part of what was pushed: change pipeline.yaml and push it; "
        f"a run may override {known}"
    )


def _mismatch(document: Mapping[str, Any], path: str, value: Any) -> str | None:
    """Say what is wrong with the kind of a value that the project's own names."""
    branch, _, name = path.rpartition(".")
    if branch not in _FREE:
        return None
    current = _current(document, path)
    values = [value]
    if branch == _SPACE:
        current = _tried(document, name)
        values = value if isinstance(value, list) else []
    if current is None:
        return None
    return next((said for each in values if (said := kinds.fault(path, each, current))), None)


def _tried(document: Mapping[str, Any], name: str) -> Any:
    first = _first(document, f"{_HYPERPARAMETERS}.{name}")
    return document["train"]["hyperparameters"].get(name) if first is None else first


def _conflicts(overrides: Overrides) -> list[str]:
    names = {path.removeprefix(f"{_SPACE}.") for path in overrides if path.startswith(f"{_SPACE}.")}
    return [
        f"{_HYPERPARAMETERS}.{name} is given beside {_SPACE}.{name}: expected one of the two"
        for name in sorted(names)
        if f"{_HYPERPARAMETERS}.{name}" in overrides
    ]
