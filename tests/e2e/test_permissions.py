"""The template's roles suffice, as every other test here shows, and the loop needs what they allow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.loop import Loop, rows
from sluice_cli import cloud, target

STACK = "e2e-minus"
BUILT = cloud.BUILD_DIR / "template.yaml"


def without(template: str, function: str, action: str) -> str:
    """The built template's text with one action taken from one function's role."""
    resource = re.search(rf"^  {function}:\n(?:(?:    .*)?\n)+", template, re.MULTILINE)
    assert resource, f"the template has no {function}"
    # A statement cannot be without any action: in place of its only one comes one that everybody may do.
    alone = re.compile(rf"^( *Action:) {action}$", re.MULTILINE)
    listed = re.compile(rf"^ *- {action}\n", re.MULTILINE)
    changed, times = alone.subn(r"\1 sts:GetCallerIdentity", resource[0])
    changed, more = listed.subn("", changed)
    assert times + more == 1, f"{function} has {times + more} times {action}"
    return template.replace(resource[0], changed)


@pytest.fixture
def deploy_without(stack: target.Target) -> Iterator[Callable[[str, str], target.Target]]:
    """Deploy a copy of the template beside the whole one, with one permission less."""
    copy = BUILT.with_name("template-minus.yaml")

    def deploy(function: str, action: str) -> target.Target:
        copy.write_text(without(BUILT.read_text(), function, action))
        ready = target.local_cloud()
        assert ready is not None
        cloud.deploy(ready, stack=STACK, template=copy)
        return target.resolve(where="local", stack=STACK, profile=None, region=None)

    yield deploy
    copy.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("function", "action"),
    [
        ("StartJobFunction", "sagemaker:CreateTrainingJob"),
        ("StartJobFunction", "iam:PassRole"),
        ("RegisterModelFunction", "sagemaker:CreateModelPackage"),
    ],
)
def test_with_one_permission_less_the_run_fails_with_access_denied(
    deploy_without: Callable[[str, str], target.Target], function: str, action: str, tmp_path: Path
) -> None:
    minus = deploy_without(function, action)
    loop = Loop(minus, f"m{action.partition(':')[2].lower()[:20]}", tmp_path)
    loop.push()
    run = loop.run_after("part.csv", rows(100, seed=1))
    assert run["status"] == "failed"
    said = " ".join(run["reasons"])
    assert "AccessDenied" in said
    assert action in said
