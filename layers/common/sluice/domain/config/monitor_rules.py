"""Rules of `monitor`: what it names exists, and what it asks for can be judged."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sluice.domain.config.models import PipelineConfig
from sluice.domain.config.monitor import Monitor, span
from sluice.domain.config.problems import Breach
from sluice.domain.locations import BATCH, GROUND_TRUTH
from sluice.domain.nearest import nearest

_Loc = tuple[str | int, ...]
_LOC: _Loc = ("monitor",)
_LABELS_AFTER_MAX_DAYS = 90


def unreserved_name(config: PipelineConfig) -> Iterator[Breach]:
    """Refuse the names of the folders of labels and of batches: their uploads would be no data."""
    for name, what in ((GROUND_TRUTH, "labels"), (BATCH, "batches to be scored")):
        if config.name == name:
            expected = f"another name: {what} are uploaded below this one"
            yield Breach(("name",), f"is {config.name!r}", expected)


def sound_monitor(config: PipelineConfig) -> Iterator[Breach]:
    """Require columns of the schema, known metrics, and what each concern needs."""
    monitor = config.monitor
    if monitor is None:
        return
    columns = [name for name in config.data.columns if name != config.data.label]
    yield from _known((*_LOC, "request", "columns"), monitor.request.columns, columns)
    asked = monitor.request.columns or columns
    yield from _known((*_LOC, "drift", "columns"), monitor.drift.columns or (), asked)
    yield from _known((*_LOC, "quality", "slices"), monitor.quality.slices, asked)
    yield from _sound_quality(monitor)
    yield from _sound_bias(config, monitor, asked)
    yield from _sound_retrain(monitor)


def _known(loc: _Loc, names: Collection[str], known: Collection[str]) -> Iterator[Breach]:
    for index, name in enumerate(names):
        if name not in known:
            expected = f"one of {', '.join(known)}" if known else "none, as requests have no columns"
            yield Breach((*loc, index), f"is {name!r}", expected, nearest(name, known))


def _sound_quality(monitor: Monitor) -> Iterator[Breach]:
    quality, loc = monitor.quality, (*_LOC, "quality")
    if span(quality.window).total_seconds() < 1:
        yield Breach((*loc, "window"), f"is {quality.window!r}", "at least a second")
    if span(monitor.label_delay).days > _LABELS_AFTER_MAX_DAYS:
        expected = f"at most {_LABELS_AFTER_MAX_DAYS} days, as long as predictions wait for labels"
        yield Breach((*_LOC, "label_delay"), f"is {monitor.label_delay!r}", expected)


def _sound_bias(config: PipelineConfig, monitor: Monitor, asked: Collection[str]) -> Iterator[Breach]:
    if not monitor.bias:
        return
    if config.data.bias is None:
        yield Breach((*_LOC, "bias"), "has no facets", "data.bias, whose facets are compared")
        return
    for facet in config.data.bias.facet_models:
        if facet.column not in asked:
            expected = "facets of data.bias that are columns of a request"
            yield Breach((*_LOC, "bias"), f"needs {facet.column!r}, which no request has", expected)


def _sound_retrain(monitor: Monitor) -> Iterator[Breach]:
    on_schedule = "schedule" in monitor.retrain_on
    if on_schedule != (monitor.retrain_every is not None):
        expected = "retrain_every, such as 30d" if on_schedule else "retrain_on: [schedule] with it"
        loc = (*_LOC, "retrain_on" if on_schedule else "retrain_every")
        yield Breach(loc, "has no interval" if on_schedule else "is given without schedule", expected)
    volume = monitor.volume
    if volume and volume.min and volume.max and volume.min > volume.max:
        yield Breach((*_LOC, "volume", "min"), f"is {volume.min}", f"at most max, {volume.max}")
