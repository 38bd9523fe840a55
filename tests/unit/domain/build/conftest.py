"""What the tests of jobs share."""

from __future__ import annotations

import pytest

from sluice.domain.build import jobs
from sluice.domain.config import PipelineConfig


@pytest.fixture
def build(pipeline_config: PipelineConfig) -> jobs.Build:
    return jobs.Build(
        stack="sluice",
        config=pipeline_config,
        run_id="reviews-sentiment-00001",
        project_version="f" * 64,
        artifact_bucket="artifacts",
        role_arn="arn:aws:iam::123456789012:role/jobs",
        region="eu-central-1",
    )
