"""A job runs on Lambda where it fits there, and the reason can be read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.build.backends import SIZES_MB, Facts, choose
from sluice.domain.config.models import TrainCompute
from sluice.domain.lambda_limits import MEMORY_MAX_MB


def compute(**given: Any) -> TrainCompute:
    return TrainCompute.model_validate(given)


@pytest.mark.parametrize(
    ("declared", "facts", "backend", "memory_mb", "reason"),
    [
        ({}, {"data_bytes": 12_000_000}, "lambda", 1769, "lambda: 12 MB of data, at most 15 minutes"),
        ({}, {"data_bytes": 900}, "lambda", 1769, "lambda: 1 kB of data, at most 15 minutes"),
        ({"max_runtime_s": 60}, {}, "lambda", 1769, "lambda: 1 kB of data, at most 60 s"),
        ({"memory_mb": 2000}, {}, "lambda", 3008, "lambda: 1 kB of data, at most 15 minutes"),
        ({"backend": "sagemaker"}, {}, "sagemaker", 0, "sagemaker: pipeline.yaml says so"),
        ({"backend": "lambda"}, {"data_bytes": 10**12}, "lambda", 10240, "lambda: pipeline.yaml says so"),
        ({"instance_count": 2}, {}, "sagemaker", 0, "sagemaker: 2 instances"),
        (
            {"instance_type": "ml.g4dn.xlarge"},
            {},
            "sagemaker",
            0,
            "sagemaker: ml.g4dn.xlarge is more than Lambda has",
        ),
        (
            {"instance_type": "ml.m5.2xlarge"},
            {},
            "sagemaker",
            0,
            "sagemaker: ml.m5.2xlarge is more than Lambda has",
        ),
        (
            {"max_runtime_s": 901},
            {},
            "sagemaker",
            0,
            "sagemaker: max_runtime_s is 901, Lambda has 15 minutes",
        ),
        (
            {"memory_mb": 20000},
            {},
            "sagemaker",
            0,
            "sagemaker: memory_mb is 20000, Lambda has 10,240 MB",
        ),
        (
            {},
            {"data_bytes": 2 * 10**9},
            "sagemaker",
            0,
            "sagemaker: 2,000 MB of data may need 15,859 MB of memory, Lambda has 10,240 MB",
        ),
        (
            {"memory_mb": 1000},
            {"data_bytes": 4 * 10**9},
            "sagemaker",
            0,
            "sagemaker: 12,000 MB of packages, data and output, Lambda has a disk of 10,737 MB",
        ),
        (
            {},
            {"environment_problem": "numpy 1.24.1 has no wheel"},
            "sagemaker",
            0,
            "sagemaker: numpy 1.24.1 has no wheel",
        ),
        (
            {},
            {"limit_reached": "memory"},
            "sagemaker",
            0,
            "sagemaker: a run before reached Lambda's limit of memory",
        ),
        ({}, {"peak_memory_mb": 2000}, "lambda", 3008, "lambda: 1 kB of data, at most 15 minutes"),
        # What was held, of less data than there are now.
        (
            {},
            {"peak_memory_mb": 200, "peak_data_bytes": 10**6, "data_bytes": 200 * 10**6},
            "lambda",
            3008,
            "lambda: 200 MB of data, at most 15 minutes",
        ),
        (
            {},
            {"peak_memory_mb": 2000, "peak_data_bytes": 10**9, "data_bytes": 10**6},
            "lambda",
            3008,
            "lambda: 1 MB of data, at most 15 minutes",
        ),
        # What the stack has, where that is not Lambda's most.
        (
            {"memory_mb": 5000},
            {"largest_mb": 6144},
            "lambda",
            6144,
            "lambda: 1 kB of data, at most 15 minutes",
        ),
        (
            {"backend": "lambda"},
            {"data_bytes": 10**12, "largest_mb": 6144},
            "lambda",
            6144,
            "lambda: pipeline.yaml says so",
        ),
        (
            {"memory_mb": 6000},
            {"largest_mb": 3008},
            "sagemaker",
            0,
            "sagemaker: memory_mb is 6000, the stack's LargeJobMemoryMB is 3008",
        ),
        (
            {},
            {"peak_memory_mb": 2400, "largest_mb": 3008},
            "sagemaker",
            0,
            "sagemaker: a run before held 2,400 MB, so with 1 kB of data it may need 3,120 MB, the stack's "
            "LargeJobMemoryMB is 3008",
        ),
        (
            {},
            {"data_bytes": 500 * 10**6, "largest_mb": 3008},
            "sagemaker",
            0,
            "sagemaker: 500 MB of data may need 4,415 MB of memory, the stack's LargeJobMemoryMB is 3008",
        ),
    ],
)
def test_the_choice(
    declared: dict[str, Any], facts: dict[str, Any], backend: str, memory_mb: int, reason: str
) -> None:
    choice = choose(compute(**declared), Facts(**facts))
    assert (choice.backend, choice.memory_mb, choice.reason) == (backend, memory_mb, reason)


@given(
    st.sampled_from(["auto", "lambda", "sagemaker"]),
    st.one_of(st.none(), st.integers(128, 50_000)),
    st.integers(0, 10**11),
    st.one_of(st.none(), st.integers(1, 20_000)),
)
def test_a_function_has_what_is_declared_or_measured_and_more_data_never_get_less(
    backend: str, declared_mb: int | None, data_bytes: int, peak_mb: int | None
) -> None:
    asked = compute(backend=backend, memory_mb=declared_mb)
    choice = choose(asked, Facts(data_bytes=data_bytes, peak_memory_mb=peak_mb))
    more = choose(asked, Facts(data_bytes=data_bytes * 2, peak_memory_mb=peak_mb))
    assert choice.reason.startswith(f"{choice.backend}: ")
    assert (choice.memory_mb in (*SIZES_MB, MEMORY_MAX_MB)) == (choice.backend == "lambda")
    if choice.backend == "lambda" and backend == "auto":
        assert choice.memory_mb >= (declared_mb or peak_mb or 0)
    if choice.backend == "lambda" == more.backend:
        assert more.memory_mb >= choice.memory_mb
    if choice.backend == "sagemaker":
        assert more.backend == "sagemaker"
