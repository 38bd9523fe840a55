"""Say in a sentence what SageMaker refused, and what to do; its own words, maybe long, stand beneath."""

from __future__ import annotations

import re

from sluice.domain import failures, nearest

_CONSTRAINT = re.compile(
    r"Value (?P<value>.*?) at '(?P<path>[^']+)' failed to satisfy constraint: (?P<expected>.*)", re.DOTALL
)
_ONE_OF = re.compile(r"Member must satisfy enum value set: \[(?P<choices>[^\]]*)\]")
_ROLE = re.compile(r"Could not assume role (?P<role>\S+?)\.?\s")
# More choices are no help.
_LISTED = 8
_VALUE_MAX, _SENTENCE_MAX = 80, 300


def told(said: str) -> str:
    """Return a refusal's message as a reason: a sentence, then what it leaves out of SageMaker's words."""
    if found := _CONSTRAINT.search(said):
        return failures.with_words(_of_value(**found.groupdict()), said)
    if found := _ROLE.search(said):
        sentence = (
            f"SageMaker cannot assume the role {found['role']}: see that it exists and lets "
            "sagemaker.amazonaws.com assume it, then retry the run"
        )
        return failures.with_words(sentence, said)
    if len(said) <= _SENTENCE_MAX:
        return f"SageMaker refuses it: {said}"
    return failures.with_words(f"SageMaker refuses it: {failures.cut(said, _SENTENCE_MAX)}", said)


def _of_value(value: str, path: str, expected: str) -> str:
    value = value.strip("'")
    shown = repr(failures.cut(value, _VALUE_MAX))
    if found := _ONE_OF.match(expected):
        choices = found["choices"].split(", ")
        near = nearest.nearest(value, choices)
        others = f"one such as {near}" if near else "a known one"
        others = f"one of {', '.join(choices)}" if len(choices) <= _LISTED else others
        return f"SageMaker has no {_spaced(path)} {shown}: name {others} in pipeline.yaml, and push it"
    constraint = failures.cut(expected.partition("; Value ")[0].removeprefix("Member "), _SENTENCE_MAX)
    return f"SageMaker does not take {shown} as {path}: it {constraint}"


def _spaced(path: str) -> str:
    """Return the last part of a field's path as words: `instance type` of `resourceConfig.instanceType`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", path.rpartition(".")[2]).lower()
