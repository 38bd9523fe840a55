"""Render pages by templates: all text is escaped, and nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import ChainableUndefined, ChoiceLoader, Environment, PackageLoader

from sluice.console import static, words
from sluice.console.plain import plain
from sluice.console.requests import Frame
from sluice.domain import wording
from sluice.lazy import dataclass

_BUSY_S = 2
# Where something may begin any time, but seldom does.
IDLE_S = 10


@dataclass(frozen=True, slots=True)
class Page:
    """A page before it is HTML: its JSON twin is `view`, `command` says the same in a terminal.

    While `is_live`, the browser asks for the page every two seconds, else every `idle_s`, if that is not 0.
    """

    title: str
    template: str
    view: Any
    values: Mapping[str, Any]
    command: str
    trail: tuple[tuple[str, str], ...] = ()
    tabs: tuple[tuple[str, str], ...] = ()
    tab: str = ""
    is_live: bool = False
    idle_s: int = 0

    @property
    def refresh_s(self) -> int:
        return _BUSY_S if self.is_live else self.idle_s


def render(page: Page, frame: Frame, path: str = "/", state: str = "") -> str:
    """Return the page as HTML. `path` and `state` are what was asked for, for links to the page itself."""
    here = quote(path) + (f"?{state}" if state else "")
    twin = f"{quote(path if path != '/' else '/index')}.json" + (f"?{state}" if state else "")
    return (
        _environment()
        .get_template(page.template)
        .render({**page.values, "page": page, "frame": frame, "here": here, "twin": twin})
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        # Gates are drawn as on the page that a report has of them.
        loader=ChoiceLoader([PackageLoader("sluice.console"), PackageLoader("sluice.quality.report")]),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=plain,
    )
    environment.filters.update(
        number=_if_known(wording.number), share=_if_known(wording.share), plural=_if_known(wording.count),
        objects=wording.objects, bytes=_if_known(wording.size), shorten=words.shorten, money=words.money,
        took=words.took, short=words.short, tone=words.tone, metric=words.metric, facts=words.facts,
        status=words.status, moment=words.moment, person=words.person, event=words.event, segment=_segment,
        query=urlencode, changes=wording.changes, recalled=wording.recalled,
    )  # fmt: skip
    environment.globals.update(asset=static.address)
    return environment


def _if_known(write: Callable[..., str]) -> Callable[..., str]:
    """Write a dash for a number that is missing: items have no attributes for what is not there."""

    def write_known(value: Any, *given: Any) -> str:
        return write(value, *given) if isinstance(value, int | float) else "\u2013"

    return write_known


def _segment(text: object) -> str:
    """Write a name as one part of a path."""
    return quote(str(text), safe="")
