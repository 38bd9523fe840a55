"""A pipeline whose stages have no endpoint: transform jobs, which a test ends, score what is uploaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fakes
from release_world import PIPELINE, PIPELINE_YAML, World
from sluice.catalog import keys
from sluice.domain.names import transform_name

BATCH = PIPELINE_YAML.replace(
    "sample: sample.json}",
    "sample: sample.json, content_type: text/csv, accept: text/csv, compute: {batch: {}}}",
)
ANSWER = b"great\n"


@dataclass
class BatchWorld(World):
    """`proofs` is how the jobs end that prove a release, and `sample_answer` what they write."""

    pipeline_yaml: str = BATCH
    proof: str = "Completed"
    sample_answer: bytes = ANSWER

    # ------------------------------------------------------------------------ what SageMaker does

    def _change_endpoint(self) -> None:
        for name in self.running():
            self.write_output(name, "sample", self.sample_answer)
            self.end(name, self.proof)

    def running(self) -> list[str]:
        return [
            name
            for name, each in self.cloud.jobs.descriptions.items()
            if each.get("TransformJobStatus") == "InProgress"
        ]

    def write_output(self, job: str, name: str, data: bytes) -> None:
        place = self.cloud.jobs.requests[job]["TransformOutput"]["S3OutputPath"]
        self.cloud.objects.write(f"{place}/{name}.out", data)

    def end(self, job: str, status: str = "Completed", **described: Any) -> Any:
        """End a job, and deliver its event."""
        self.cloud.jobs.end(job, status, **described)
        return self.tell(job)

    def tell(self, job: str) -> Any:
        return self.invoke("transform_batch", {"detail": {"TransformJobName": job}})

    # -------------------------------------------------------------------------------- what people do

    def upload(self, name: str, data: bytes = b"good\nbad\n", *, is_told: bool = True) -> dict[str, Any]:
        """Upload what is to be scored, and deliver the event; returns the event."""
        key = f"batch/{PIPELINE}/{name}"
        version_id = self.cloud.objects.put(fakes.DATA_BUCKET, key, data)
        event = {
            "detail": {
                "bucket": {"name": fakes.DATA_BUCKET},
                "object": {"key": key, "version-id": version_id},
            }
        }
        if is_told:
            self.invoke("transform_batch", event)
        return event

    def score(self, name: str, *answers: tuple[str, bytes]) -> None:
        """End the transform of this number with results."""
        for result, data in answers:
            self.write_output(name, result, data)
        self.end(name)

    # -------------------------------------------------------------------------------- what is seen

    def job(self, number: int) -> str:
        return transform_name("sluice", f"{PIPELINE}-batch-{number:05d}")

    def transform(self, number: int) -> dict[str, Any]:
        item = self.cloud.catalog.get(keys.transform_key(PIPELINE, f"{PIPELINE}-batch-{number:05d}"))
        assert item is not None
        return item

    def transforms(self) -> list[dict[str, Any]]:
        return self.cloud.catalog.query(keys.partition(PIPELINE), keys.TRANSFORMS)

    def input(self, event: dict[str, Any]) -> dict[str, Any]:
        given = event["detail"]["object"]
        item = self.cloud.catalog.get(keys.input_key(PIPELINE, given["key"], given["version-id"]))
        assert item is not None
        return item

    def told(self) -> list[dict[str, Any]]:
        return [detail for name, detail in self.cloud.bus.announced if name == "TransformEnded"]


Make = Callable[[str, Any], Any]
