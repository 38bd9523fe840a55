"""Render a validation report as one HTML page for people, which loads nothing and runs nothing.

It shows statistics, and only those single values that break a check, shortened. All text is escaped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from sluice.domain import wording
from sluice.quality.report import charts, views
from sluice.quality.statistics.bias import BiasResult
from sluice.quality.statistics.drift import DriftResult
from sluice.quality.statistics.profiles import Profile
from sluice.quality.validation import Report

COLUMNS_SHOWN = 200
_REPORT = "report.html.j2"
_PARTS = ("plots.html.j2", "report.css")


def render(
    report: Report,
    profile: Profile | None = None,
    baseline: Profile | None = None,
    drift: DriftResult | None = None,
    bias: BiasResult | None = None,
    *,
    redact: Collection[str] = (),
    title: str = "Data set",
) -> str:
    """Render the page without values of the columns in `redact`; `title` says what was validated.

    Columns that break something or drifted come first; a very long list is cut.
    """
    columns = profile.columns if profile else {}
    tags = _tags(report, drift)
    shown = sorted(columns, key=lambda name: name not in tags)[:COLUMNS_SHOWN]
    anchors = {name: f"column-{index}" for index, name in enumerate(shown, 1)}
    sections = {"drift" if drift else "", "bias" if bias else ""}
    before = baseline.columns if baseline else {}
    return template(_REPORT).render(
        title=title,
        report=report,
        failures=views.violation_views(report, "fail", anchors, sections),
        warnings=views.violation_views(report, "warn", anchors, sections),
        columns=[
            views.column_view(
                name,
                columns[name],
                before.get(name),
                tags.get(name, ()),
                anchor=anchor,
                hide=name in redact,
            )
            for name, anchor in anchors.items()
        ],
        columns_total=len(columns),
        drift=drift,
        table=views.drift_table(drift, profile, baseline, redact) if drift else None,
        columns_shown=COLUMNS_SHOWN,
        bias=bias,
        facets=[views.facet_view(facet, bias, redact) for facet in bias.facets] if bias else (),
        redact=frozenset(redact),
    )


def load() -> None:
    """Compile the report's templates, which `render` else does at first use."""
    environment = template(_REPORT).environment
    for name in _PARTS:
        environment.get_template(name)


def _tags(report: Report, drift: DriftResult | None) -> Mapping[str, list[tuple[str, str]]]:
    """Return what is wrong with each column, as (tone, words)."""
    tags: dict[str, list[tuple[str, str]]] = {}
    words = {"fail": ("bad", "breaks the contract"), "warn": ("warn", "warning")}
    for severity, tag in words.items():
        for violation in report.violations:
            if violation.column is not None and violation.severity == severity:
                tags.setdefault(violation.column, [tag])
    for column in drift.columns if drift else ():
        if drift and column.has_drifted:
            tags.setdefault(column.column, []).append((words[drift.severity][0], "drifted"))
    return tags


@cache
def template(name: str) -> Template:
    """Return a page's template, with the words that all pages write numbers and texts in."""
    environment = Environment(
        loader=PackageLoader("sluice.quality.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"number": wording.number, "share": wording.share, "shorten": wording.shorten}
    environment.filters.update(filters, plural=wording.count)
    environment.globals.update(outline=charts.outline, hidden=views.HIDDEN)
    return environment.get_template(name)
