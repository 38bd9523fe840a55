"""A stack goes and comes back; what was uploaded and pushed before is what it goes on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.loop import Loop, rows
from sluice_cli import cloud, target, waiting

pytestmark = pytest.mark.thorough

STACK = "e2e-back"


def deployed(parameters: dict[str, str] | None = None) -> target.Target:
    ready = target.local_cloud()
    assert ready is not None
    cloud.deploy(ready, stack=STACK, parameters=parameters)
    return target.resolve(where="local", stack=STACK, profile=None, region=None)


def delete(gone: target.Target) -> None:
    formation = gone.client("cloudformation")
    formation.delete_stack(StackName=STACK)
    formation.get_waiter("stack_delete_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 150}
    )


@pytest.mark.usefixtures("stack")
def test_a_deleted_stack_comes_back_to_its_buckets_and_its_table_and_goes_on(tmp_path: Path) -> None:
    first = deployed()
    kept = {f"Existing{name}": first.outputs[f"{name}Name"] for name in ("DataBucket", "ArtifactBucket")}
    kept["ExistingCatalogTable"] = first.outputs["CatalogTableName"]
    loop = Loop(first, "kept", tmp_path)
    loop.push(pipeline=loop.configure(complete_when="{marker: _SUCCESS}"))
    loop.upload("a.csv", rows(100, seed=1))
    waiting.until(
        lambda: loop.status()["arrivals"] == {"pending": 1} or None, timeout_s=120, what="the arrival"
    )
    delete(first)
    assert "TlsOnly" in first.client("s3").get_bucket_policy(Bucket=kept["ExistingDataBucket"])["Policy"]
    loop.target = deployed(kept)
    assert loop.target.outputs["DataBucketName"] == kept["ExistingDataBucket"]
    run = loop.run_after("_SUCCESS", b"")
    assert run["status"] == "registered", run["reasons"]
    delete(loop.target)
