"""A push has the packages of its jobs built for Lambda, before a run needs them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import pytest

from e2e.loop import Loop, rows
from sluice.catalog.records.builds import Environment
from sluice.domain import locations
from sluice.services.build import environments
from sluice_local.sagemaker.containers.container import Isolation, isolation

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(
        isolation() is Isolation.NONE, reason="/opt/ml is written in the scripts, and cannot be mapped here"
    ),
]


SCIKIT_LEARN = {"name": "scikit-learn", "version": "1.4.2"}


def environment_after(loop: Loop, wanted: Callable[[Environment], bool]) -> Environment:
    """The environment that a push asked for, among those of other tests on this stack."""
    deadline = time.monotonic() + 240
    while True:
        if found := next(filter(wanted, all_of(loop)), None):
            return found
        assert time.monotonic() < deadline, all_of(loop)
        time.sleep(0.2)


def all_of(loop: Loop) -> list[Environment]:
    client = loop.target.client("dynamodb")
    found = client.scan(
        TableName=loop.target.outputs["CatalogTableName"],
        FilterExpression="begins_with(pk, :prefix)",
        ExpressionAttributeValues={":prefix": {"S": "ENVIRONMENT#"}},
    )
    keys = [{"pk": item["pk"]["S"], "sk": item["sk"]["S"]} for item in found["Items"]]
    return [Environment.of(loop.target.cloud.catalog.get(key) or {}) for key in keys]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.backend("auto")
def test_a_push_has_the_packages_built_and_what_cannot_be_had_is_named(loop: Loop) -> None:
    pipeline = loop.text
    loop.push(pipeline=pipeline)

    def has_scikit_learn(each: Environment) -> bool:
        if each.digest is None:
            return False
        return SCIKIT_LEARN in environments.describe(loop.target.cloud, each.digest)["packages"]

    environment = environment_after(loop, has_scikit_learn)
    digest, bucket = str(environment.digest), loop.target.cloud.artifact_bucket
    archive = loop.target.cloud.objects.read(locations.environment_archive(bucket, digest))
    assert hashlib.sha256(archive).hexdigest() == digest
    document = environments.describe(loop.target.cloud, digest)
    assert len(archive) == environment.size_bytes == document["size_bytes"]

    run = loop.run_after("part-1.csv", rows(100, seed=1))
    assert run["status"] == "registered"
    jobs = [step for step in run["steps"] if step.get("job_name")]
    assert {(step["step"], step["backend"], step["environment"]) for step in jobs} == {
        (step, "lambda", digest) for step in ("prepare", "train-0", "train-1", "evaluate-candidate")
    }, [step.get("backend_reason") for step in jobs]
    (described,) = run["environments"]
    assert described["packages"]["scikit-learn"] == "1.4.2"

    known = {each.spec for each in all_of(loop)}
    requirements = loop.folder / "project" / "src" / "requirements.txt"
    requirements.write_text("--index-url http://127.0.0.1:9/simple\nnosuch==1.0\n")
    loop.push(pipeline=pipeline)
    refused = environment_after(loop, lambda each: each.status == "failed" and each.spec not in known)
    assert str(refused.problem).startswith("the package index cannot be reached: http://127.0.0.1:9/simple/")
