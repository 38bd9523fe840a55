"""Rules between the fields of a pipeline.yaml."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator

from sluice.domain.config import images
from sluice.domain.config.candidate_rules import (
    bounded_candidates,
    priced_candidates,
    sound_halving,
    sound_hyperparameters,
    sound_metrics,
)
from sluice.domain.config.compute_rules import sound_compute
from sluice.domain.config.gate_rules import sound_gates
from sluice.domain.config.models import PipelineConfig
from sluice.domain.config.monitor_rules import sound_monitor, unreserved_name
from sluice.domain.config.problems import Breach
from sluice.domain.config.quality_rules import (
    distinct_columns,
    known_columns,
    sound_columns,
    sound_csv,
    sound_quality,
)
from sluice.domain.config.release_rules import reachable_alarms, sound_stages
from sluice.domain.config.statistics_rules import sound_bias, sound_drift
from sluice.domain.nearest import nearest

ARGUMENT_MAX = 256
# Has every image that is listed.
_ANY_REGION = "us-east-1"


def breaches(config: PipelineConfig) -> Iterator[Breach]:
    """Yield every rule that fields break together, though each is valid alone."""
    for rule in _RULES if config.build else (*_RULES, *_RULES_OF_SCRIPTS):
        yield from rule(config)


def _one_image(config: PipelineConfig) -> Iterator[Breach]:
    if config.framework is None and config.image is None:
        yield Breach((), "names no image", "framework (name and version) or image (a URI)")
    if config.framework is not None and config.image is not None:
        yield Breach(("image",), "is given beside framework", "one of the two")


def _known_framework(config: PipelineConfig) -> Iterator[Breach]:
    """Refuse a version that SageMaker has no image of; the region is checked where it is known."""
    framework = config.framework
    if framework is None:
        return
    uses: tuple[tuple[str, str, images.Use], ...] = (
        ("version", framework.version, "training"),
        ("inference_version", framework.inference_version or framework.version, "inference"),
    )
    unknown = False
    for name, version, use in uses:
        known = images.versions(framework.name, use)
        if images.full_version(framework.name, version, use) is None and not unknown:
            unknown = True
            given = name == "version" or framework.inference_version is not None
            message = f"is {version!r}" if given else f"is missing, and nothing serves version {version!r}"
            yield Breach(("framework", name), message, f"one of {', '.join(known)}", nearest(version, known))
    if not unknown:
        yield from _instances_of_the_framework(config)


def _instances_of_the_framework(config: PipelineConfig) -> Iterator[Breach]:
    images_of: dict[str, Callable[[], str]] = {
        "prepare": lambda: config.processing_image_uri(_ANY_REGION, config.prepare.compute),
        "train": lambda: config.training_image_uri(_ANY_REGION),
        "evaluate": lambda: config.processing_image_uri(_ANY_REGION, config.evaluate.compute),
    }
    images_of = {
        **({} if config.build else images_of),
        "serve": lambda: config.serving_image_uri(_ANY_REGION),
    }
    for step, image_of in images_of.items():
        instance_type = getattr(config, step).compute.instance_type
        try:
            image_of()
        except images.UnknownImageError:
            has_gpu = images.processor_of(instance_type) != "cpu"
            expected = (
                "another instance type" if has_gpu else "one with a GPU, such as ml.g4dn.xlarge"
            ) + ", or an image of your own"
            message = f"is {instance_type!r}, for which the framework has no image"
            yield Breach((step, "compute", "instance_type"), message, expected)


def _one_source_dir(config: PipelineConfig) -> Iterator[Breach]:
    folders = Counter(script.rpartition("/")[0] for script in config.scripts.values())
    folder = folders.most_common(1)[0][0]
    for field, script in config.scripts.items():
        if any(part in {".", ".."} for part in script.split("/")):
            yield Breach((field, "script"), f"is {script!r}", "a path inside the project")
        elif script.rpartition("/")[0] != folder:
            folder = folder or "the project's root"
            yield Breach(
                (field, "script"), f"is {script!r}", f"a file in {folder}, as all scripts share a folder"
            )


def _one_completion(config: PipelineConfig) -> Iterator[Breach]:
    complete_when = config.data.complete_when
    given = sorted(complete_when.model_fields_set)
    if len(given) > 1:
        yield Breach(("data", "complete_when"), f"has {' and '.join(given)}", "one of them")
    if complete_when.control_name in {".", ".."}:
        yield Breach(("data", "complete_when", given[0]), "names a folder", "the name of an object")


def _window_of_its_mode(config: PipelineConfig) -> Iterator[Breach]:
    if config.data.mode == "window" and config.data.window is None:
        yield Breach(
            ("data",), "has no window", "window: {last: 30d} or {last: 12 batches} with mode: window"
        )
    if config.data.mode != "window" and config.data.window is not None:
        yield Breach(("data", "window"), f"is given with mode {config.data.mode}", "mode: window with it")


def _short_arguments(config: PipelineConfig) -> Iterator[Breach]:
    for name, value in config.prepare.parameters.items():
        text = value if isinstance(value, str) else json.dumps(value)
        if len(text) > ARGUMENT_MAX:
            expected = f"at most {ARGUMENT_MAX}, SageMaker's limit: put it into a file of the project"
            yield Breach(("prepare", "parameters", name), f"has {len(text)} characters", expected)


def _approved_by_people(config: PipelineConfig) -> Iterator[Breach]:
    if config.register_.approval == "automatic" and config.release.approval.counts_people:
        expected = "manual, or neither release.approval.approvals above 1 nor separation"
        yield Breach(("register", "approval"), "is automatic where people must approve", expected)


_RULES: tuple[Callable[[PipelineConfig], Iterator[Breach]], ...] = (
    _one_image,
    _known_framework,
    _one_source_dir,
    known_columns,
    distinct_columns,
    sound_columns,
    sound_csv,
    sound_quality,
    sound_bias,
    sound_drift,
    _one_completion,
    _window_of_its_mode,
    sound_compute,
    sound_stages,
    reachable_alarms,
    _approved_by_people,
    sound_gates,
    unreserved_name,
    sound_monitor,
)
# Of projects whose build runs scripts.
_RULES_OF_SCRIPTS: tuple[Callable[[PipelineConfig], Iterator[Breach]], ...] = (
    sound_metrics,
    bounded_candidates,
    priced_candidates,
    sound_halving,
    _short_arguments,
    sound_hyperparameters,
)
