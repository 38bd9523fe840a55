"""Versions of a pipeline are listed and found over all the groups that it has had."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest import mock

import pytest

import fakes
from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline
from sluice.catalog.records.releases import Deployment, Stage
from sluice.services.views import models
from sluice_cli import lookup
from sluice_cli.errors import CommandError
from sluice_cli.target import Target

START = datetime(2026, 11, 24, tzinfo=UTC)


class Stack:
    """A pipeline `case` whose group was `case`, and is `case-new`."""

    stack = "fakes"

    def __init__(self) -> None:
        self.cloud = fakes.Cloud()
        self.catalog = self.cloud.catalog
        pipeline = Pipeline("case", "v1", group="case-new", groups=["case", "case-new"])
        self.catalog.create(pipeline.item())
        self.runs = 0

    def register(self, group: str, pipeline: str = "case") -> str:
        self.runs += 1
        version = len([*self.cloud.registry.packages(group)]) + 1
        arn = fakes.arn("sagemaker", f"model-package/{group}/{version}")
        self.cloud.registry.by_arn[arn] = {
            "ModelPackageArn": arn,
            "ModelPackageGroupName": group,
            "ModelPackageVersion": version,
            "ModelApprovalStatus": "PendingManualApproval",
            "CreationTime": START + timedelta(hours=self.runs),
        }
        item = {"pipeline": pipeline, "run_id": f"case-{self.runs:05d}", "group": group, "version": version}
        self.catalog.create({**keys.package_key(arn), **item})
        return arn

    def serve(self, arn: str, run_id: str) -> None:
        version = int(arn.rpartition("/")[2])
        stage = Stage("case", "production", "fakes--case--production", live="r")
        deployment = Deployment(
            "case", "production", "r", arn, version, "live", "fakes--r--production", run_id=run_id
        )
        self.catalog.create(stage.item())
        self.catalog.create(deployment.item())


@pytest.fixture
def stack() -> Stack:
    """v1 and v2 in the former group, v1 in the present one."""
    made = Stack()
    for group in ("case", "case", "case-new"):
        made.register(group)
    return made


def target(stack: Stack) -> Target:
    return cast("Target", stack)


def found(stack: Stack, name: str) -> str:
    return lookup.model_arn(target(stack), name).partition("model-package/")[2]


def test_versions_of_all_groups_are_listed_newest_first_under_names_that_tell_them_apart(
    stack: Stack,
) -> None:
    names = [row["model"] for row in models.models(stack.cloud, "case")]
    assert names == ["case/case-new/1", "case/2", "case/case/1"]


def test_every_name_that_is_listed_or_noted_is_one_that_commands_take(stack: Stack) -> None:
    for row in models.models(stack.cloud, "case"):
        assert lookup.model_arn(target(stack), row["model"]) == row["arn"]
    assert found(stack, "case-new/1") == "case-new/1"
    assert found(stack, "case") == "case-new/1"
    assert found(stack, "case/2") == "case/2"


@pytest.mark.parametrize("name", ["case/2", "case-new/1", "case/case/1", "case", "case/case-new/300"])
def test_a_model_is_found_by_its_name_without_reading_all_versions(stack: Stack, name: str) -> None:
    small = versions_read(stack, name)
    for _ in range(299):
        stack.register("case-new")
    assert versions_read(stack, name) <= max(small, 6)


def versions_read(stack: Stack, name: str) -> int:
    """Count the versions that are listed or described to find one, or that there is none."""
    read = 0
    registry = stack.cloud.registry
    listed, described = registry.packages, registry.describe_package

    def counted(*given: Any) -> Iterator[dict[str, Any]]:
        nonlocal read
        for package in listed(*given):
            read += 1
            yield package

    def describe(arn: str) -> dict[str, Any] | None:
        nonlocal read
        read += 1
        return described(arn)

    with (
        mock.patch.object(registry, "packages", counted),
        mock.patch.object(registry, "describe_package", describe),
        suppress(CommandError),
    ):
        found(stack, name)
    return read


def test_a_name_that_may_be_one_of_several_is_refused_with_the_candidates(stack: Stack) -> None:
    with pytest.raises(CommandError, match="may be one of several models") as caught:
        found(stack, "case/1")
    assert "case/case-new/1 (case-00003), case/case/1 (case-00001)" in str(caught.value.hint)


def test_a_version_that_no_group_has_is_not_found(stack: Stack) -> None:
    with pytest.raises(CommandError, match="there is no model 'case/9'"):
        found(stack, "case/9")
    with pytest.raises(CommandError, match="there is no pipeline 'other'"):
        found(stack, "other/1")


def test_what_is_live_stays_listed_when_its_group_is_a_former_one_or_gone(stack: Stack) -> None:
    stack.serve(fakes.arn("sagemaker", "model-package/case/1"), "case-00001")
    live = {row["model"]: row["live_on"] for row in models.models(stack.cloud, "case")}
    assert live["case/case/1"] == ["production"]
    stack.cloud.registry.delete_group("case")
    (last,) = [row for row in models.models(stack.cloud, "case") if row["live_on"]]
    assert (last["model"], last["approval_status"]) == ("case/case/1", "Deleted")
    with pytest.raises(CommandError, match="there is no model"):
        found(stack, "case/case/1")


def test_a_version_that_took_the_arn_of_one_that_was_deleted_is_not_what_is_live(stack: Stack) -> None:
    arn = fakes.arn("sagemaker", "model-package/case/1")
    stack.serve(arn, "case-00001")
    stack.catalog.update(keys.package_key(arn), {"run_id": "case-00009"})
    live = {row["run_id"]: row["live_on"] for row in models.models(stack.cloud, "case")}
    assert live["case-00009"] == []
    assert live["case-00001"] == ["production"]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_of_models_are_together_what_all_are(stack: Stack, limit: int) -> None:
    for group in ("case-new", "case", "case-new", "case-new"):
        stack.register(group)
    stack.serve(fakes.arn("sagemaker", "model-package/case/2"), "case-00002")
    found: list[dict[str, Any]] = []
    after = None
    while page := models.page(stack.cloud, "case", after, limit):
        assert len(page) <= limit
        found += page
        after = lookup.model_arn(target(stack), page[-1]["model"])
    assert found == models.models(stack.cloud, "case")


def test_a_page_of_models_ends_with_what_is_live_and_gone(stack: Stack) -> None:
    stack.serve(fakes.arn("sagemaker", "model-package/case/1"), "case-00001")
    stack.cloud.registry.delete_group("case")
    (first, gone) = models.page(stack.cloud, "case", limit=1)
    assert (first["approval_status"], gone["approval_status"]) == ("PendingManualApproval", "Deleted")
    assert (gone["live_on"], gone["run_id"]) == (["production"], "case-00001")
    with pytest.raises(LookupError, match="gone from the registry"):
        models.page(stack.cloud, "case", after=gone["arn"])


def test_models_of_a_decision_are_listed_alone(stack: Stack) -> None:
    assert {row["approval_status"] for row in models.models(stack.cloud, "case")} == {"PendingManualApproval"}
    first = models.models(stack.cloud, "case")[0]["arn"]
    stack.cloud.registry.by_arn[first]["ModelApprovalStatus"] = "Approved"
    assert [row["arn"] for row in models.page(stack.cloud, "case", status="Approved")] == [first]
    assert models.page(stack.cloud, "case", status="Rejected") == []


def test_what_another_pipeline_has_in_a_shared_group_is_not_listed(stack: Stack) -> None:
    stack.register("case-new", pipeline="others")
    assert len(models.models(stack.cloud, "case")) == 3


def test_the_name_that_a_run_is_followed_by_is_one_that_commands_take(stack: Stack) -> None:
    arn = fakes.arn("sagemaker", "model-package/case-new/1")
    assert models.model_name(stack.cloud, "case", arn) == "case/case-new/1"
    assert models.model_name(stack.cloud, "case", None) is None
    stack.catalog.update(keys.pipeline_key("case"), {"groups": ["case-new"]})
    assert models.model_name(stack.cloud, "case", arn) == "case/1"
