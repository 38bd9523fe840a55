"""A pipeline whose jobs write the same for the same inputs."""

from __future__ import annotations

import fakes
from build_world import PIPELINE, World
from sluice.domain.build import projects


class Caching(World):
    """A pipeline whose prepare step writes its splits, which depend on `prepared`."""

    prepared = "1"
    remembers = True

    def _write_outputs(self, step: str, run_id: str) -> None:
        super()._write_outputs(step, run_id)
        if step == "prepare":
            for split in ("train", "validation", "test"):
                uri = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{run_id}/prepare/{split}/data.csv"
                self.cloud.objects.write(uri, f"{split} {self.prepared}".encode())
        if step.startswith("train-"):
            # The same each time, as of a deterministic trainer.
            job_name = f"sluice--{run_id}-{step}"
            job = self.cloud.jobs.requests[job_name]
            folder = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{run_id}/train/{job_name}"
            uri = f"{folder}/output/model.tar.gz"
            self.cloud.objects.write(uri, projects.pack({"model": job["HyperParameters"]["alpha"].encode()}))
