"""Tables keep resources apart, and listings give each of them once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sluice_local.sagemaker.api.core import TABLES, ApiError, Item, Scope, Table
from sluice_local.sagemaker.api.listing import list_page

HERE = Scope("000000000000", "us-east-1")
ELSEWHERE = Scope("000000000000", "eu-west-1")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Table]:
    """Makes tables that no other test, and no part of SageMaker, uses."""
    monkeypatch.setattr("sluice_local.sagemaker.api.core.TABLES", dict(TABLES))
    return Table


@pytest.fixture
def models(table: Callable[..., Table]) -> Table:
    return table("model", "model", "ModelName")


def fault_of(action: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ApiError) as caught:
        action()
    return caught.value.code, caught.value.message


def test_an_item_is_completed_with_its_name_arn_and_times(models: Table) -> None:
    item = models.create(HERE, "m", {"EnableNetworkIsolation": False})
    assert item["ModelName"] == "m"
    assert item["ModelArn"] == "arn:aws:sagemaker:us-east-1:000000000000:model/m"
    assert item["CreationTime"] == item["LastModifiedTime"]


@pytest.mark.parametrize(
    ("noun", "kind", "code", "existing", "missing"),
    [
        (
            "model",
            "model",
            "ValidationException",
            'Cannot create already existing model "{arn}".',
            'Could not find model "{arn}".',
        ),
        (
            "training job",
            "training-job",
            "ResourceInUse",
            "Training job names must be unique within an AWS account and region, "
            "and a training job with this name already exists ({arn})",
            "Requested resource not found.",
        ),
        (
            "ModelPackageGroup",
            "model-package-group",
            "ValidationException",
            "ModelPackageGroup already exists: {arn}",
            "ModelPackageGroup {arn} does not exist.",
        ),
    ],
)
def test_each_kind_words_what_exists_and_what_does_not_as_aws_does(
    table: Callable[..., Table], noun: str, kind: str, code: str, existing: str, missing: str
) -> None:
    resources, arn = table(noun, kind, "Name"), HERE.arn(kind, "x")
    resources.create(HERE, "x", {})
    assert fault_of(lambda: resources.create(HERE, "x", {})) == (code, existing.format(arn=arn))
    resources.delete(HERE, "x")
    for missed in (resources.get, resources.delete, resources.change):
        assert fault_of(partial(missed, HERE, "x")) == ("ValidationException", missing.format(arn=arn))


def test_the_same_name_in_another_region_is_another_resource(models: Table) -> None:
    models.create(HERE, "m", {})
    assert models.find(ELSEWHERE, "m") is None
    assert models.values(ELSEWHERE) == []


def test_a_name_keeps_its_case_and_is_taken_in_every_case_where_the_kind_ignores_it(
    table: Callable[..., Table],
) -> None:
    pipelines = table("pipeline", "pipeline", "PipelineName", ignores_case=True)
    arn = pipelines.create(HERE, "Reviews", {})["PipelineArn"]
    assert arn == "arn:aws:sagemaker:us-east-1:000000000000:pipeline/Reviews"
    code, message = fault_of(lambda: pipelines.create(HERE, "reviews", {}))
    assert (code, "already exists" in message) == ("ValidationException", True)
    named = pipelines.name(HERE, arn.lower())
    assert pipelines.change(HERE, named, Status="Active")["PipelineArn"] == arn
    pipelines.restore(pipelines.saved())
    assert pipelines.find(HERE, "REVIEWS") == pipelines.get(HERE, "Reviews")
    pipelines.delete_below(HERE, "REV")
    assert pipelines.values(HERE) == []

    models = table("model", "model", "ModelName")
    assert models.create(HERE, "m", {}) != models.create(HERE, "M", {})


def test_who_changes_what_a_table_gave_changes_nothing_in_it(models: Table) -> None:
    given = {"Containers": [{"Image": "i"}]}
    created = models.create(HERE, "m", given)
    for item in (given, created, models.get(HERE, "m"), models.find(HERE, "m")):
        assert item is not None
        item["Containers"][0]["Image"] = "other"
    assert models.get(HERE, "m")["Containers"] == [{"Image": "i"}]


def test_what_was_listed_stays_as_it_was(models: Table) -> None:
    models.create(HERE, "m", {"Image": "old"})
    (listed,) = models.values(HERE)
    models.change(HERE, "m", Image="new")
    assert listed["Image"] == "old"


def test_an_index_follows_what_is_made_changed_deleted_and_restored(models: Table) -> None:
    models.create(HERE, "made-before", {"Group": "a"})
    index = models.index(lambda _, item: [item["Group"]])

    def named(group: str) -> list[str]:
        return [item["ModelName"] for item in index.find(HERE, group)]

    models.create(HERE, "m", {"Group": "b"})
    models.create(ELSEWHERE, "n", {"Group": "a"})
    assert (named("a"), named("b")) == (["made-before"], ["m"])
    models.change(HERE, "made-before", Group="b")
    assert (named("a"), named("b")) == ([], ["made-before", "m"])
    saved = models.saved()
    models.delete(HERE, "made-before")
    models.replace(HERE, "m", {"Group": "c"})
    assert (named("b"), named("c")) == ([], ["m"])
    models.delete_below(HERE, "m")
    assert named("c") == []
    models.restore(saved)
    assert named("b") == ["made-before", "m"]


def test_a_change_modifies_the_time_unless_it_says_otherwise(
    models: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = models.create(HERE, "m", {})["LastModifiedTime"]
    monkeypatch.setattr("sluice_local.sagemaker.api.core.now", lambda: created + 5)
    assert models.change(HERE, "m", Tags=[], LastModifiedTime=created)["LastModifiedTime"] == created
    assert models.change(HERE, "m", Tags=[])["LastModifiedTime"] == created + 5


def test_edits_from_many_threads_all_count(models: Table) -> None:
    models.create(HERE, "m", {"_Count": 0})

    def count() -> None:
        for _ in range(50):
            models.edit(HERE, "m", lambda item: {"_Count": item["_Count"] + 1})

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert models.get(HERE, "m")["_Count"] == 400


def test_an_edit_that_fails_leaves_the_item_as_it_was(models: Table) -> None:
    before = models.create(HERE, "m", {"Containers": [1]})

    def spoil(item: Item) -> Item:
        item["Containers"].clear()
        raise ApiError("ConflictException", "no")

    assert fault_of(lambda: models.edit(HERE, "m", spoil)) == ("ConflictException", "no")
    assert models.get(HERE, "m") == before


def test_a_name_and_its_arn_mean_the_same(models: Table) -> None:
    assert models.name(HERE, "m") == models.name(HERE, HERE.arn("model", "m")) == "m"


@pytest.mark.parametrize("arn", [ELSEWHERE.arn("model", "m"), HERE.arn("endpoint", "m")])
def test_the_arn_of_another_kind_or_region_is_not_found(models: Table, arn: str) -> None:
    assert fault_of(lambda: models.name(HERE, arn)) == (
        "ValidationException",
        f'Could not find model "{arn}".',
    )


def page(models: Table, **params: Any) -> tuple[list[str], str | None]:
    answer = list_page(models.values(HERE), params, result_key="Models", name_key="ModelName")
    return [item["ModelName"] for item in answer["Models"]], answer.get("NextToken")


def test_no_two_resources_are_equally_new(models: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice_local.sagemaker.api.core.now", lambda: 1000.0)
    names = [f"m{number}" for number in (3, 1, 2)]
    times = [models.create(HERE, name, {})["CreationTime"] for name in names]
    assert times == [1000.0, 1000.001, 1000.002]
    assert page(models)[0] == names
    assert page(models, SortOrder="Descending")[0] == names[::-1]


@pytest.mark.parametrize("order", ["Ascending", "Descending"])
@pytest.mark.parametrize("by", ["CreationTime", "Name"])
def test_pages_together_give_every_resource_once_in_order(models: Table, by: str, order: str) -> None:
    for number in range(25):
        models.create(HERE, f"m{number * 7 % 25:02}", {})
    whole, token = page(models, SortBy=by, SortOrder=order, MaxResults=100)
    assert token is None
    assert len(whole) == 25
    pages: list[str] = []
    answer = page(models, SortBy=by, SortOrder=order)
    while answer[1]:
        assert len(answer[0]) == 10
        pages += answer[0]
        answer = page(models, SortBy=by, SortOrder=order, NextToken=answer[1])
    assert pages + answer[0] == whole


def test_a_page_neither_repeats_nor_hides_what_others_change_meanwhile(models: Table) -> None:
    for number in range(6):
        models.create(HERE, f"m{number}", {})
    first, token = page(models, MaxResults=3)
    models.delete(HERE, "m0")
    models.create(HERE, "late", {})
    second, token = page(models, MaxResults=3, NextToken=token)
    third, _ = page(models, MaxResults=3, NextToken=token)
    assert first + second + third == ["m0", "m1", "m2", "m3", "m4", "m5", "late"]


def test_listings_are_filtered_by_name_status_and_time(models: Table) -> None:
    times = [
        models.create(HERE, name, {"Status": status})["CreationTime"]
        for name, status in (("red-1", "InService"), ("red-2", "Failed"), ("blue-1", "InService"))
    ]
    assert page(models, NameContains="RED")[0] == ["red-1", "red-2"]
    assert page(models, CreationTimeAfter=times[0])[0] == ["red-2", "blue-1"]
    assert page(models, CreationTimeBefore=times[1])[0] == ["red-1"]
    in_service = list_page(
        models.values(HERE),
        {"StatusEquals": "InService", "SortBy": "Status"},
        result_key="Models",
        name_key="ModelName",
        status_key="Status",
        descending=True,
    )
    assert [item["ModelName"] for item in in_service["Models"]] == ["blue-1", "red-1"]


def test_a_page_of_the_newest_reads_no_older_items(models: Table) -> None:
    newest = [models.create(HERE, f"m{number}", {}) for number in range(3)]
    unreadable: list[Item] = [{}] * 1000
    answer = list_page(
        [*unreadable, *newest], {"MaxResults": 2}, result_key="Models", name_key="ModelName", descending=True
    )
    assert [item["ModelName"] for item in answer["Models"]] == ["m2", "m1"]


@pytest.mark.parametrize("token", ["nonsense", "eyJhIjogMX0=", "WzEsIDIsIDNd"])
def test_a_token_that_no_page_gave_is_refused(models: Table, token: str) -> None:
    models.create(HERE, "m", {})
    assert fault_of(lambda: page(models, SortBy="Name", NextToken=token)) == (
        "ValidationException",
        "The pagination token is invalid.",
    )
