"""Find alarms of the stack itself that people were not told of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.records.notices import Trouble, alarm_of, trouble_of_alarm
from sluice.domain import lost_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluice.domain.lost_events import LostEvent
    from sluice.ports import Cloud

# So many names DescribeAlarms takes.
_ALARMS_MAX = 100


def find_alarms(cloud: Cloud) -> Iterator[LostEvent]:
    """Yield lost events of the stack's own alarms: of those that fire, or are over, and nobody was told."""
    firing = {alarm["AlarmName"]: alarm for alarm in cloud.alarms.firing(f"{cloud.stack_name}_")}
    known = {Trouble.of(item).name for item in cloud.catalog.listing(keys.TROUBLES)}
    for name, alarm in firing.items():
        if trouble_of_alarm(name) not in known:
            yield lost_events.alarm_changed(alarm)
    quiet = [name for trouble in known if (name := alarm_of(trouble)) and name not in firing]
    for alarm in cloud.alarms.describe(sorted(quiet)[:_ALARMS_MAX]).values():
        if alarm["StateValue"] == "OK":
            yield lost_events.alarm_changed(alarm)
