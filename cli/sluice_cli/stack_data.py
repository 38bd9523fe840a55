"""Fetch what a stack compares new files with: its data set, by the pipeline's mode, and its baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.domain import wording
from sluice.domain.config import PipelineConfig
from sluice.domain.config.checks.row_count import RowCountCheck
from sluice.domain.config.models import Data
from sluice.domain.failures import MissingError
from sluice.quality.validation import DataFile
from sluice.services import building
from sluice.services.data import datasets
from sluice_cli.errors import CommandError
from sluice_cli.output import short
from sluice_cli.target import Target

if TYPE_CHECKING:
    from sluice.quality.judging import Baseline

# Do not fetch more than this to check a file.
FETCHED_MAX_BYTES = 1 << 30
_DOWNLOADS = 8


@dataclass(frozen=True)
class Beside:
    """What files are judged with: the data set's other objects and its baseline; `said` tells it in words.

    `is_whole` tells whether that is all which a stack judges with, `is_known` whether it has the pipeline.
    """

    files: tuple[DataFile, ...]
    baseline: Baseline
    said: str | None
    is_whole: bool = True
    is_known: bool = True


def beside(
    target: Target | None,
    contract: PipelineConfig,
    names: Iterable[str],
    folder: Path,
    given: Baseline | None = None,
) -> Beside:
    """Fetch what files of these names are judged with to a folder; without a stack that is nothing.

    A `given` baseline replaces the stack's. Raises CommandError if that is pinned and has no profile.
    """
    from sluice.quality.judging import Baseline

    if target is None:
        return Beside((), Baseline(), None, is_whole=False)
    state = building.find_pipeline(target.cloud, contract.name)
    if state is None:
        said = f"stack {target.stack} has no pipeline {contract.name}"
        return Beside((), Baseline(), said, is_whole=False, is_known=False)
    version = state.dataset_version
    if version is None:
        return Beside((), Baseline(), f"{contract.name} has no data set yet in stack {target.stack}")
    baseline = given or _baseline(target, contract, version)
    said = f"judged with data set {short(version)} of stack {target.stack}"
    if contract.data.mode == "replace":
        return Beside((), baseline, f"{said}, which the files replace")
    manifest = datasets.find_manifest(target.cloud, contract.name, version)
    replaced = {f"{contract.name}/{name}" for name in names}
    others = [obj for obj in manifest.objects if obj.key not in replaced]
    if sum(obj.size_bytes for obj in others) > FETCHED_MAX_BYTES:
        return Beside((), baseline, f"{said}, of which only the baseline was fetched", is_whole=False)
    bucket, store = target.cloud.data_bucket, target.cloud.objects
    files = [DataFile(obj.key, folder / str(index)) for index, obj in enumerate(others)]
    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        versions = [obj.version_id for obj in others]
        list(pool.map(lambda file, v: store.download(bucket, file.key, v, file.path), files, versions))
    return Beside(tuple(files), baseline, f"{said}, with its {wording.count(len(files), 'other object')}")


def _baseline(target: Target, contract: PipelineConfig, version: str) -> Baseline:
    from sluice.services.data import baselines

    try:
        return baselines.find(target.cloud, contract.name, contract.data, version)
    except MissingError as error:
        told = "--baseline takes the profile.json of an earlier validation in its place."
        raise CommandError(f"{error}: a run of the stack would fail", hint=told) from None


def unjudged(data: Data, baseline: Baseline, *, is_whole: bool) -> Iterator[str]:
    """Yield a sentence for each check that differs from how a stack makes it."""
    if not is_whole and data.mode != "replace":
        yield (
            f"what is about all rows, as the files were judged alone: in mode {data.mode} a stack "
            "adds its other objects, and unique, keys, drift, bias and quality may turn out otherwise"
        )
    counts = [check for check in data.quality if isinstance(check, RowCountCheck)]
    if baseline.previous_rows is None and any(check.max_change is not None for check in counts):
        yield "max_change of row_count: there is no earlier data set to compare with"
    if baseline.profile is None and data.drift is not None:
        yield "drift: there is no baseline (--baseline takes the profile.json of an earlier validation)"
    if is_whole and data.mode == "window":
        yield "data.window: what it leaves out depends on when the files arrive"
