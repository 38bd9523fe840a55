"""What versions are called, over the groups that a pipeline has had."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluice.catalog.records.builds import Pipeline
from sluice.domain.release import packages


def test_a_pipelines_groups_are_all_that_its_pushes_named_the_newest_last() -> None:
    fresh = Pipeline("case", "v1")
    assert packages.groups_of(fresh) == []
    former = replace(fresh, group="old")
    assert packages.groups_of(former) == ["old"]
    both = replace(former, groups=packages.with_group(former, "new"))
    assert packages.groups_of(both) == ["old", "new"]
    assert packages.with_group(both, "old") == ["new", "old"]


def test_a_version_is_called_in_full_only_where_another_group_has_it() -> None:
    called = packages.called("case", [("case", 1), ("case", 2), ("new", 1)])
    assert called == {("case", 1): "case/case/1", ("case", 2): "case/2", ("new", 1): "case/new/1"}


@pytest.mark.parametrize("name", ["case/2", "new/2", "case/new/2"])
def test_a_version_may_be_meant_by_each_of_its_names(name: str) -> None:
    assert packages.is_meant(name, "case", "new", 2)


@pytest.mark.parametrize("name", ["case/1", "case", "other/2", "case/other/2", "new/case/2"])
def test_a_version_is_not_meant_by_any_other_name(name: str) -> None:
    assert not packages.is_meant(name, "case", "new", 2)


@pytest.mark.parametrize(
    ("pipeline", "group", "name"),
    [
        ("flats", "sluice--flats", "flats/3"),
        ("flats", "flats-models", "flats-models/3"),
        ("flats", "sluice--other", "sluice--other/3"),
        (None, "foreign", "foreign/3"),
    ],
)
def test_nobody_is_told_a_groups_name_that_the_stack_made(
    pipeline: str | None, group: str, name: str
) -> None:
    assert packages.version_name("sluice", pipeline, group, 3) == name


def test_the_group_is_read_from_an_arn() -> None:
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/sluice--case/2"
    assert packages.group_of(arn) == "sluice--case"
    assert packages.group_of("") == ""
