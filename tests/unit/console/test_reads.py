"""However much has happened, a page costs at most three queries, and what has a key is read together."""

from __future__ import annotations

import json

import pytest

import fakes
from browsing import ask
from build_world import Invoke
from console_world import PATHS, Catalog, Counted, grown
from sluice.catalog import keys

QUERIES_MAX, SIZE_MAX_BYTES = 3, 100_000
# Of a page's reads by key: each batch needs what the one before found.
ROUNDS_MAX = 8


@pytest.fixture
def past(cloud: fakes.Cloud, invoke: Invoke) -> Catalog:
    return grown(cloud, invoke, pipelines=14, runs=400, arrivals=200)


def test_a_page_asks_few_queries_and_is_small(cloud: fakes.Cloud, past: Catalog) -> None:
    told = {}
    for name, path in PATHS.items():
        counted = past.counted = Counted()
        status, body = ask(cloud, path)
        assert status == 200, (name, body)
        assert len(body.encode()) < SIZE_MAX_BYTES, name
        told[name] = (counted.queries, counted.gets + counted.batches)
    assert {name: asked for name, asked in told.items() if asked[0] > QUERIES_MAX} == {}
    assert {name: asked for name, asked in told.items() if asked[1] > ROUNDS_MAX} == {}


def test_what_was_approved_and_serves_nowhere_costs_the_home_page_no_request_each(
    cloud: fakes.Cloud, past: Catalog
) -> None:
    for (pk, sk), item in past.items.items():
        if sk == "PACKAGE":
            past.items[pk, sk] = {**item, "approval_status": "Approved", "approval_epoch": 1}
        if sk.startswith(keys.STAGES):
            past.items[pk, sk] = {**item, "live": None}
    counted = past.counted = Counted()
    assert ask(cloud, "/")[0] == 200
    assert (counted.queries, counted.gets) == (QUERIES_MAX, 0)
    assert counted.batches <= ROUNDS_MAX


def test_versions_of_data_go_on_where_the_page_ends(cloud: fakes.Cloud, past: Catalog) -> None:
    seen: list[str] = []
    query = ""
    while True:
        found = json.loads(ask(cloud, f"/pipelines/p-000/data.json{query}")[1])
        seen += [each["dataset_version"] for each in found["versions"]]
        if found["after"] is None:
            break
        query = f"?after={found['after']}"
    assert len(seen) == len(set(seen)) == 61


def test_arrivals_are_found_by_state_and_key_and_go_on(cloud: fakes.Cloud, past: Catalog) -> None:
    path = "/pipelines/p-000/arrivals.json"

    def keys_of(query: str) -> tuple[list[str], str]:
        found = json.loads(ask(cloud, f"{path}?{query}")[1])
        return [each["key"].rpartition("/")[2] for each in found["arrivals"]], str(found["after"] or "")

    assert keys_of("state=included&key=00012") == ([f"00012{digit}.csv" for digit in range(10)], "")
    assert keys_of("state=included&key=p-000/000123") == (["000123.csv"], "")
    first, after = keys_of("state=included")
    assert (len(first), first[-1]) == (50, "000049.csv")
    assert keys_of(f"state=included&after={after.replace('#', '%23')}")[0][0] == "000050.csv"
    assert len(keys_of("state=waiting")[0]) == 40
    assert keys_of("state=waiting&key=nothing") == ([], "")
    assert ask(cloud, "/pipelines/p-000/arrivals?state=lost")[0] == 404
