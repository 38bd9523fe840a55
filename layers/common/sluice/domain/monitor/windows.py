"""Divide time into windows: of requests, judged as they end, and of labels, judged when these came."""

from __future__ import annotations

from datetime import datetime, timedelta

from sluice.domain.config.monitor import Monitor, span
from sluice.lazy import dataclass

# A captured file that S3 dates within a window is listed by then.
_SETTLES = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Span:
    """A time from its start to before its end; `is_whole` unless it was cut short."""

    start: datetime
    end: datetime
    is_whole: bool = True


def next_window(
    start: datetime,
    now: datetime,
    monitor: Monitor,
    *,
    cut_at: datetime | None = None,
    is_forced: bool = False,
) -> Span | None:
    """Return the window of requests that has ended since, if any.

    S3 dates captured files in whole seconds, and so windows. Another release cuts a window: the requests
    before are of the model before. A person may want the window under way now.
    """
    end = start + timedelta(seconds=monitor.every_s)
    last = (now - _SETTLES).replace(microsecond=0)
    cut = cut_at.replace(microsecond=0) if cut_at else None
    if cut is not None and start < cut <= min(end, last):
        return Span(start, cut, is_whole=cut == end)
    if end <= last:
        return Span(start, end)
    return Span(start, last, is_whole=False) if is_forced and start < last else None


def label_window(start: datetime, monitor: Monitor) -> tuple[datetime, datetime]:
    """Return when a window of labels ends that starts then, and when its labels are complete."""
    end = start + span(monitor.quality.window)
    return end, end + span(monitor.label_delay)


def hours(window: Span) -> list[str]:
    """Return the hours, as folders of captured data, whose files may have been written in a window.

    A file may be delivered up to an hour after its requests.
    """
    at = window.start.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    found = []
    while at < window.end:
        found.append(at.strftime("%Y/%m/%d/%H"))
        at += timedelta(hours=1)
    return found


def folder(start: datetime) -> str:
    """Return the name of the folder of a window's documents."""
    return start.strftime("%Y%m%dT%H%M%SZ")
