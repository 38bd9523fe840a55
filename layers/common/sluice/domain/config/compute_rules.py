"""Rules about where jobs run: what SageMaker would refuse at a run, and what does not go together."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.domain import lambda_limits, prices
from sluice.domain.config.models import Compute, PipelineConfig
from sluice.domain.config.problems import Breach
from sluice.domain.nearest import nearest

# SageMaker, its toolkits and AWS's SDKs set these themselves.
_RESERVED_VARIABLES = ("SM_", "SAGEMAKER_", "AWS_", "TRAINING_JOB_", "PROCESSING_JOB_")
# A longer time or more memory would end as a limit of Lambda.
_LAMBDA_HAS = {"max_runtime_s": lambda_limits.TIMEOUT_MAX_S, "memory_mb": lambda_limits.MEMORY_MAX_MB}
# MaxConcurrentTransforms times MaxPayloadInMB.
BATCH_MAX_MB = 100
_RESERVED_TAGS = ("aws:", "sluice:")


def sound_compute(config: PipelineConfig) -> Iterator[Breach]:
    """Check the `compute` of each step that is a job."""
    for step, compute in config.computes.items():
        loc = (step, "compute")
        yield from _on_its_backend(compute, loc)
        yield from _unreserved(loc, "environment", compute.environment, _RESERVED_VARIABLES)
        yield from _unreserved(loc, "tags", compute.tags, _RESERVED_TAGS)
    if config.train_ is not None:
        yield from _sound_spot(config)
    yield from _sound_serving(config)
    yield from _priced(config)


def _on_its_backend(compute: Compute, loc: tuple[str, ...]) -> Iterator[Breach]:
    if compute.backend != "lambda":
        return
    if needed := compute.needs_sagemaker:
        expected = f"sagemaker or auto, as only SageMaker has {needed}"
        yield Breach((*loc, "backend"), "is lambda", expected)
    for field, most in _LAMBDA_HAS.items():
        if (given := getattr(compute, field) or 0) > most:
            expected = f"at most {most}, Lambda's limit, or another backend"
            yield Breach((*loc, field), f"is {given} beside backend lambda", expected)


def _unreserved(
    loc: tuple[str, ...], field: str, given: dict[str, str], reserved: tuple[str, ...]
) -> Iterator[Breach]:
    for name in given:
        # IAM compares keys of tags, and Windows names of variables, without case.
        if found := next((each for each in reserved if name.casefold().startswith(each.casefold())), None):
            yield Breach((*loc, field, name), "is reserved", f"a name that does not start with {found}")


def _priced(config: PipelineConfig) -> Iterator[Breach]:
    """Refuse a budget that could not be held, as the price of an instance is unknown."""
    if config.retrain.monthly_budget_usd is None:
        return
    for step, compute in config.computes.items():
        given = compute.instance_type
        if given not in prices.INSTANCE_HOUR:
            expected = (
                f"one with a list price, so that the budget can be held: {', '.join(prices.INSTANCE_HOUR)}"
            )
            yield Breach(
                (step, "compute", "instance_type"),
                f"is {given!r} beside retrain.monthly_budget_usd",
                expected,
                nearest(given, prices.INSTANCE_HOUR),
            )


def _sound_serving(config: PipelineConfig) -> Iterator[Breach]:
    compute, loc = config.serve.compute, ("serve", "compute")
    if (scaled := compute.autoscaling) and not scaled.min <= compute.instance_count <= scaled.max:
        expected = f"{scaled.min} to {scaled.max}, as autoscaling says"
        yield Breach((*loc, "instance_count"), f"is {compute.instance_count}", expected)
    yield from _sound_batch(config)
    if compute.serverless is None:
        return
    for field in sorted(compute.model_fields_set & {"instance_type", "instance_count", "autoscaling"}):
        yield Breach((*loc, field), "is given beside serverless", "one of them: nothing has instances then")
    if config.monitor and config.monitor.capture == "endpoint":
        expected = (
            "script, with a serving script that captures as examples/reviews/src/capturing.py does: "
            "SageMaker captures nothing of a serverless endpoint"
        )
        yield Breach(("monitor", "capture"), "is endpoint beside serve.compute.serverless", expected)


def _sound_batch(config: PipelineConfig) -> Iterator[Breach]:
    """Refuse beside `batch` what only endpoints have."""
    compute, loc = config.serve.compute, ("serve", "compute")
    if compute.batch is None:
        return
    for field in sorted(compute.model_fields_set & {"serverless", "autoscaling"}):
        yield Breach((*loc, field), "is given beside batch", "one of them: no endpoint is there to scale")
    limits = compute.batch
    if limits.max_payload_mb * limits.max_concurrency > BATCH_MAX_MB:
        expected = f"at most {BATCH_MAX_MB} with max_payload_mb, SageMaker's limit of what is under way"
        yield Breach((*loc, "batch", "max_concurrency"), f"is {limits.max_concurrency}", expected)
    if config.monitor and config.monitor.capture == "script":
        expected = "endpoint, the default: what a transform reads and answers is recorded after it"
        yield Breach(("monitor", "capture"), "is script beside serve.compute.batch", expected)


def _sound_spot(config: PipelineConfig) -> Iterator[Breach]:
    compute, loc = config.train.compute, ("train", "compute")
    if compute.spot is None:
        return
    if compute.spot.max_wait_s < compute.sagemaker_runtime_s:
        expected = f"at least max_runtime_s, {compute.sagemaker_runtime_s}, as training is part of it"
        yield Breach((*loc, "spot", "max_wait_s"), f"is {compute.spot.max_wait_s}", expected)
    if compute.keep_alive_s:
        yield Breach(
            (*loc, "keep_alive_s"), "is given beside spot", "one of them: no pool keeps spot instances"
        )
