"""Saved endpoints serve again, whatever is asked of them meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sluice_local.sagemaker.api.core import ApiError, Scope
from sluice_local.sagemaker.hosting import endpoints
from sluice_local.sagemaker.hosting.endpoint_configs import ENDPOINT_CONFIGS
from sluice_local.sagemaker.hosting.live_endpoints import ENDPOINTS

SCOPE = Scope("123456789012", "eu-central-1")


class Deployer:
    """Notes what it is to create."""

    def __init__(self) -> None:
        self.created: list[str] = []

    def create(self, live: Any, plan: Any) -> None:
        self.created.append(live.name)


@pytest.fixture
def deployer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployer]:
    made = Deployer()
    monkeypatch.setattr(endpoints, "_deployer", made, raising=False)
    monkeypatch.setattr(endpoints, "_live", {})
    for name, status in (("one", "InService"), ("two", "Updating"), ("new", "Creating"), ("bad", "Failed")):
        item = {"EndpointStatus": status, "EndpointConfigName": "gone", "ProductionVariants": []}
        ENDPOINTS.create(SCOPE, name, item)
    yield made
    ENDPOINTS.restore({})


def delete(name: str) -> None:
    endpoints.delete_endpoint(SCOPE, {"EndpointName": name})


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ENDPOINT_CONFIGS, "get", lambda *_: {})
    monkeypatch.setattr(endpoints, "plan", lambda _: Plan())
    monkeypatch.setattr(endpoints, "replace", lambda plan, **_: plan)


class Plan:
    variants = ()


@pytest.mark.usefixtures("planned")
def test_what_served_serves_again_and_what_was_being_created_has_failed(deployer: Deployer) -> None:
    assert sorted(endpoints.resume("a stop")) == sorted(deployer.created) == ["one", "two"]
    status = {name: ENDPOINTS.get(SCOPE, name) for name in ("one", "two", "new", "bad")}
    assert [each["EndpointStatus"] for each in status.values()] == ["SystemUpdating"] * 2 + ["Failed"] * 2
    assert [each.get("FailureReason") for each in status.values()] == [None, "a stop", "a stop", None]


@pytest.mark.parametrize("at", ["the list", "the plan"])
def test_an_endpoint_that_is_deleted_meanwhile_holds_no_other_up(
    deployer: Deployer, planned: None, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    listed = ENDPOINTS.unfinished

    def first(wanted: Any) -> Any:
        found = listed(wanted)
        delete("one")
        return found

    def config(_scope: Any, _name: str) -> dict[str, Any]:
        if (
            "one" in str(listed(lambda item: item["EndpointStatus"] == "SystemUpdating"))
        ) and not deployer.created:
            delete("one")
            raise ApiError("ValidationException", "gone too")
        return {}

    if at == "the list":
        monkeypatch.setattr(ENDPOINTS, "unfinished", first)
    else:
        monkeypatch.setattr(ENDPOINT_CONFIGS, "get", config)
    assert endpoints.resume("a stop") == deployer.created == ["two"]


def test_a_request_may_come_before_its_endpoint_is_served_again(deployer: Deployer) -> None:
    delete("two")
    assert sorted(name for _, name in ENDPOINTS.unfinished(lambda item: True)) == ["bad", "new", "one"]
