"""The memory of instance types: by the rule of their families, and by the list of those without."""

from __future__ import annotations

import pytest

from sluice.containers.instances import memory_mb


@pytest.mark.parametrize(
    ("instance_type", "gib"),
    [
        *(("ml.t3.medium", 4), ("ml.t3.large", 8), ("ml.m5.large", 8), ("ml.m5.xlarge", 16)),
        *(("ml.m5.24xlarge", 384), ("ml.c5.9xlarge", 72), ("ml.r5.large", 16), ("ml.r5.16xlarge", 512)),
        *(("ml.g4dn.xlarge", 16), ("ml.g5.48xlarge", 768), ("ml.p3.2xlarge", 61), ("ml.c4.8xlarge", 60)),
        *(("ml.m6g.medium", 4), ("ml.c4.xlarge", 7.5), ("ml.g6e.xlarge", 32)),
    ],
)
def test_an_instance_type_has_the_memory_of_its_public_page(instance_type: str, gib: float) -> None:
    assert memory_mb(instance_type) == gib * 1024


@pytest.mark.parametrize("unknown", ["", "local", "ml.new9.large", "ml.m5.huge", "ml.m5", "m5.large"])
def test_what_is_not_known_has_no_limit(unknown: str) -> None:
    assert memory_mb(unknown) is None
