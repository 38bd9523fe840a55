"""docs/lost-events.md says of each event what heals its loss: none is missing, and what it names is there."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import asl
from sluice.domain import lost_events

ROOT = Path(__file__).parents[2]
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in asl.load_template(ROOT / "template.yaml")["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}
LISTENS = {
    f"{name}.{event}": declared
    for name, properties in FUNCTIONS.items()
    for event, declared in properties.get("Events", {}).items()
    if declared["Type"] != "Schedule"
}
RULES = {name: each["Properties"]["Pattern"] for name, each in LISTENS.items() if each["Type"] != "SQS"}
ROW = re.compile(r"^\| `(\w+\.\w+)`[^|]*\|([^|]+)\|([^|]+)\|([^|]*)\| `([\w.]+)::(\w+)` \|$", re.MULTILINE)
ROWS = {row[0]: row[1:] for row in ROW.findall((ROOT / "docs/lost-events.md").read_text())}
rows = pytest.mark.parametrize("rule", ROWS)
# What details of our own events a rule looks at, with values that they may have.
SAYS: dict[str, list[Any]] = {
    "status": ["ok", "violated", "no_data", "failed", "data_rejected", "registered", "completed"],
    "outcome": ["released", "failed", "refused", "rolled_back", "rollback_failed", "rollback_refused"],
    "is_estimate": [True, False],
}
# A command alone sends a test, and waits for what comes of it.
ANNOUNCED = sorted(
    {kind for pattern in RULES.values() if "sluice" in pattern["source"] for kind in pattern["detail-type"]}
    - {"NoticeTested"}
)


@cache
def source(name: str) -> str:
    return "".join(path.read_text() for path in (ROOT / "tests").rglob(name))


def test_each_event_that_a_function_listens_to_has_its_row() -> None:
    assert set(ROWS) == set(LISTENS)


@rows
def test_the_check_is_one_that_reconcile_makes_and_the_rule_hears_it(rule: str) -> None:
    named = re.findall(r"`(\w+)`", ROWS[rule][2])
    made = re.findall(r"^        (_\w+),$", (ROOT / "functions/reconcile/app.py").read_text(), re.MULTILINE)
    assert set(named) <= set(made)
    if rule in RULES and named:
        # A job of ours ends by an event whose hint has the form of SageMaker's.
        heard = "sluice.reconcile" in RULES[rule]["source"] or rule == "FinishJobFunction.FunctionsJobEnded"
        assert heard, "it would not hear a hint"


@rows
def test_the_test_is_there(rule: str) -> None:
    file, name = ROWS[rule][3:]
    assert f"def {name}(" in source(file)


@rows
def test_what_nothing_checks_is_a_request_or_comes_again_by_itself(rule: str) -> None:
    lost, checks = ROWS[rule][1:3]
    by_itself = {"PipelineIsDue", "ProjectRegistered", "NoticeQueued"}
    assert checks.strip() or "the command says so" in lost or rule.partition(".")[2] in by_itself


def is_matched(pattern: Any, said: Any) -> bool:
    """What EventBridge's patterns of these rules mean."""
    if isinstance(pattern, Mapping):
        return all(name in said and is_matched(each, said[name]) for name, each in pattern.items())
    return any(each == said if not isinstance(each, dict) else _is_fit(each, said) for each in pattern)


def _is_fit(rule: Mapping[str, Any], said: Any) -> bool:
    ((how, what),) = rule.items()
    assert how == "anything-but", "extend this if a rule asks for more"
    return said not in what if isinstance(what, list) else said != what


def details() -> Iterator[dict[str, Any]]:
    for values in itertools.product(*SAYS.values()):
        yield {"stack": "AWS::StackName", **dict(zip(SAYS, values, strict=True))}


@pytest.mark.parametrize("kind", ANNOUNCED)
def test_who_has_to_hear_an_event_is_whom_its_rules_send_it_to(kind: str) -> None:
    """But for what is found in the state of things: then nobody has to."""
    kept = ("SendNoticeFunction", "FollowLifeCycleFunction")
    for detail in details():
        event = {"source": "sluice", "detail-type": kind, "detail": detail}
        heard = {name for name, pattern in RULES.items() if is_matched(pattern, event)}
        functions = {name.partition(".")[0] for name in heard}
        folders = {str(FUNCTIONS[name]["CodeUri"]).split("/")[1] for name in functions if name in kept}
        assert set(lost_events.receivers(kind, detail)) == folders
        again = {**event, "source": "sluice.reconcile"}
        assert not folders or {name for name, pattern in RULES.items() if is_matched(pattern, again)} == heard


def test_what_the_stack_announces_goes_through_the_one_place_that_notes_who_has_to_hear_it() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("layers/common", "functions")
        for path in (ROOT / folder).rglob("*.py")
        if "bus.announce(" in path.read_text()
    }
    assert found == {"layers/common/sluice/services/announcing.py"}
