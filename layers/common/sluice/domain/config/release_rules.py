"""Rules between stages, how traffic moves to them, and the alarms that watch it."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.domain.cloudwatch import FIRES_WITHIN_S
from sluice.domain.config.models import PipelineConfig, Stage, Traffic
from sluice.domain.config.problems import Breach

LINEAR_PERCENT_MIN = 10
# An endpoint that does not answer for a minute has failed.
LATENCY_MAX_MS = 60_000

Loc = tuple[str | int, ...]


def sound_stages(config: PipelineConfig) -> Iterator[Breach]:
    """Require stages that SageMaker can deploy to, with bakes in which their alarms can fire."""
    stages = [stage.name for stage in config.release.stages]
    for index, stage in enumerate(config.release.stages):
        loc = ("release", "stages", index)
        if stage.name in stages[:index]:
            yield Breach((*loc, "name"), f"is {stage.name!r} again", "each stage once")
        if stage.alarms and config.serve.compute.serverless:
            expected = "none: SageMaker watches no alarm while a serverless endpoint changes"
            yield Breach((*loc, "alarms"), "are given for a serverless endpoint", expected)
        if config.serve.compute.batch:
            yield from _sound_batch(stage, loc)
            continue
        yield from _sound_shadow(config, stage, (*loc, "shadow"))
        yield from _sound_traffic(config, stage.traffic, (*loc, "traffic"))
        yield from _watched(config, stage, loc)


def _sound_batch(stage: Stage, loc: Loc) -> Iterator[Breach]:
    """Refuse what guards traffic: a stage without an endpoint has none."""
    if stage.alarms:
        expected = "none: they would guard an endpoint"
        yield Breach((*loc, "alarms"), "are given beside serve.compute.batch", expected)
    if stage.shadow:
        yield Breach((*loc, "shadow"), "is given beside serve.compute.batch", "none: there are no requests")
    if stage.traffic.type != "all_at_once":
        expected = "all_at_once, or nothing: the next transform uses the model that is live"
        yield Breach(
            (*loc, "traffic", "type"), f"is {stage.traffic.type} beside serve.compute.batch", expected
        )


def _sound_shadow(config: PipelineConfig, stage: Stage, loc: Loc) -> Iterator[Breach]:
    """Refuse a shadow where SageMaker has none, and one whose answers nobody could compare."""
    if stage.shadow is None:
        return
    if config.serve.compute.serverless:
        expected = "none, as SageMaker mirrors no requests of serverless endpoints"
        yield Breach(loc, "is given for a serverless endpoint", expected)
    elif config.monitor is None or config.monitor.capture != "endpoint":
        expected = "monitor with capture: endpoint beside it, which tells how answers look and captures them"
        yield Breach(loc, "has nothing to compare answers by", expected)


def _sound_traffic(config: PipelineConfig, traffic: Traffic, loc: Loc) -> Iterator[Breach]:
    gradual = traffic.type != "all_at_once"
    if gradual != (traffic.percent is not None):
        expected = "a percent" if gradual else "none, as all traffic moves"
        yield Breach((*loc, "percent"), f"does not suit {traffic.type}", expected)
    if gradual and config.serve.compute.serverless:
        expected = "all_at_once, as SageMaker shifts no traffic of serverless endpoints in steps"
        yield Breach((*loc, "type"), f"is {traffic.type} of a serverless endpoint", expected)
    elif gradual and (few := _fewest(config)):
        expected = f"serve.compute.{few} of at least 2, as a share of one instance is the whole"
        yield Breach((*loc, "type"), f"is {traffic.type} over one instance", expected)
    yield from _deployable(traffic, loc)


def _fewest(config: PipelineConfig) -> str | None:
    """Return the field that lets an endpoint have one instance only; None if it always has more."""
    compute = config.serve.compute
    if compute.autoscaling and compute.autoscaling.min < 2:
        return "autoscaling.min"
    return "instance_count" if compute.instance_count < 2 else None


def _deployable(traffic: Traffic, loc: Loc) -> Iterator[Breach]:
    """Refuse now what SageMaker would refuse at the release, long after the approval."""
    if traffic.type == "linear" and traffic.percent is not None and traffic.percent < LINEAR_PERCENT_MIN:
        expected = f"{LINEAR_PERCENT_MIN} to 50, SageMaker's limits of a linear step"
        yield Breach((*loc, "percent"), f"is {traffic.percent} of a linear step", expected)
    elif traffic.bake_s > (longest := traffic.longest_bake_s):
        times = traffic.bakes
        expected = (
            f"at most {longest}: SageMaker ends a deployment after 8 hours, of which instances may take one"
        )
        yield Breach((*loc, "bake_s"), f"is {traffic.bake_s} s, {times} times", expected)


def _watched(config: PipelineConfig, stage: Stage, loc: Loc) -> Iterator[Breach]:
    """Refuse a bake that no alarm can see, unless the project says that it knows."""
    traffic, alarms = stage.traffic, config.release.alarms
    if 0 < traffic.bake_s < FIRES_WITHIN_S and not traffic.unwatched:
        expected = (
            f"at least {FIRES_WITHIN_S}, as an alarm counts whole minutes and CloudWatch knows them a minute "
            "late; or 0; or traffic.unwatched: true, if nothing need guard this release"
        )
        yield Breach((*loc, "traffic", "bake_s"), f"is {traffic.bake_s} s, too short for an alarm", expected)
    if traffic.type == "canary" and traffic.percent and alarms.error_rate >= traffic.percent / 100:
        message = (
            f"is {alarms.error_rate}, but a canary that fails wholly is {traffic.percent / 100:g} of all"
        )
        expected = f"less than {traffic.percent / 100:g}, or a larger canary: else no alarm sees it fail"
        yield Breach(("release", "alarms", "error_rate"), message, expected)


def reachable_alarms(config: PipelineConfig) -> Iterator[Breach]:
    """Refuse a limit that no answer can exceed."""
    limit = config.release.alarms.p99_latency_ms
    if limit is not None and limit >= LATENCY_MAX_MS:
        expected = f"less than {LATENCY_MAX_MS}: an endpoint that does not answer in a minute has failed"
        yield Breach(
            ("release", "alarms", "p99_latency_ms"), f"is {limit}, which no latency exceeds", expected
        )
