"""A person reads the report: the verdict first, and nothing of the data but what breaks a check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.quality.report import html as report_html
from sluice.quality.report.html import COLUMNS_SHOWN, render
from sluice.quality.statistics.bias import BiasMetric, BiasResult, FacetBias
from sluice.quality.statistics.drift import ColumnDrift, Distance, DriftResult
from sluice.quality.statistics.profiles import Categories, ColumnProfile, Distribution, Profile
from sluice.quality.validation import Report, RowRef, Violation

VOID = {"meta", "br", "rect", "path", "circle"}
TAGS = VOID | {
    *("html", "head", "title", "style", "body", "a", "main", "footer", "section", "article", "header"),
    *("h1", "h2", "h3", "p", "span", "strong", "code", "abbr", "dl", "div", "dt", "dd", "ul", "li"),
    *("table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "svg", "g"),
}
SECRET = "sentinel"


class Page(HTMLParser):
    """The page as a browser takes it; fails on a tag that is not closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, Mapping[str, str | None]]] = []
        self.words: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append((self._open[-1] if self._open else "", data))

    def text(self, *tags: str) -> str:
        """What is written in the tags, in all but the styles if none is named."""
        return " ".join(word for tag, word in self.words if (tag in tags if tags else tag != "style"))


def numbers(mean: float = 2.0) -> ColumnProfile:
    spread = Distribution(0.0, 10.0, mean, 1.0, (1.0, 2.0, 5.0), (10, 20, 30, 40), is_discrete=False)
    return ColumnProfile("number", 100, 0, 0, 90, distinct_is_exact=False, distribution=spread)


def categories(**counts: int) -> ColumnProfile:
    total = sum(counts.values())
    return ColumnProfile("string", total, 0, 0, len(counts), True, categories=Categories(counts, 0))


def profile(**columns: ColumnProfile) -> Profile:
    return Profile(100, columns)


def violation(column: str | None = "price", severity: str = "fail", value: str | None = "12") -> Violation:
    return Violation(column, "max", "1 row above 10", 1, (RowRef("p/a.csv", 7, value),), severity)  # type: ignore[arg-type]


def drift_of(column: str, **fields: object) -> DriftResult:
    found = ColumnDrift(
        column, "number", {"psi": Distance(0.9, 0.0, 0.01)}, (), 0.0, 0.0, None, reasons=("far",)
    )
    return DriftResult("v1", "psi", 0.2, "warn", 100, 100, (replace(found, **fields),))  # type: ignore[arg-type]


def bias_of(*metrics: BiasMetric, column: str = "category", values: str = "toys") -> BiasResult:
    return BiasResult("label", "yes", "fail", (FacetBias(column, values, 60, 40, {}, {}, metrics),))


@pytest.mark.parametrize(
    ("violations", "verdict"),
    [
        ((), "Valid"),
        ((violation(severity="warn"),), "Valid, with warnings"),
        ((violation(severity="warn"), violation()), "Rejected"),
    ],
)
def test_the_verdict_comes_first(violations: tuple[Violation, ...], verdict: str) -> None:
    page = Page(render(Report(100, violations), profile(price=numbers())))
    headings = [(tag, word) for tag, word in page.words if tag in ("h1", "h2", "h3") and word.strip()]
    assert headings[0] == ("h1", verdict)
    assert page.text("title").startswith(verdict)


def test_a_violation_is_shown_with_its_object_its_row_and_its_value() -> None:
    text = Page(render(Report(100, (violation(),)), profile(price=numbers()))).text()
    for expected in ("price : 1 row above 10", "p/a.csv", "7", "12", "1.0% of the rows"):
        assert expected in text


def test_a_violation_of_many_objects_says_how_many() -> None:
    many = replace(violation(), objects=("p/a.csv", "p/b.csv"))
    assert "1.0% of the rows, in 2 objects" in Page(render(Report(100, (many,)))).text("span")


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.text(st.characters(exclude_categories=["Cs"]))
)
def test_no_text_of_the_data_becomes_markup(name: str, value: str) -> None:
    hostile = f"{name}</title></style><script>alert(1)</script><img src=x onerror=alert(1)>'\""
    data = Profile(3, {hostile: categories(**{hostile: 2, value: 1}), value: numbers()})
    drift = drift_of(hostile, new_categories=(hostile,), note=value)
    bias = bias_of(BiasMetric("CI", None, 0.1, error=hostile), column=hostile, values=value)
    broken = replace(violation(hostile, value=value), message=hostile)
    page = Page(render(Report(3, (broken,)), data, data, drift, bias, title=hostile))
    assert {tag for tag, _ in page.tags} <= TAGS
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_nothing_is_loaded_from_elsewhere() -> None:
    html = render(Report(100, (violation(),)), profile(price=numbers()), None, drift_of("price"))
    assert not re.search(r"https?:|url\(|@import|<script|<link|<img|<iframe|\bsrc=", html)
    assert all(str(a.get("href", "#")).startswith("#") for tag, a in Page(html).tags if tag == "a")


def test_a_redacted_column_shows_none_of_its_values() -> None:
    html = render(
        Report(100, (violation("name", value=SECRET),)),
        profile(name=categories(**{SECRET: 60, SECRET + "2": 40})),
        profile(name=categories(**{SECRET: 100})),
        drift_of(
            "name", new_categories=(SECRET,), vanished_categories=(SECRET,), reasons=(f"{SECRET} is new",)
        ),
        replace(bias_of(column="name", values=SECRET), label="name", favorable=SECRET),
        redact=["name"],
    )
    assert SECRET not in html
    assert "values hidden" in html
    assert "1 new category (values hidden)" in html


def test_a_redacted_column_of_numbers_shows_neither_their_range_nor_their_shape() -> None:
    html = render(Report(100, ()), profile(salary=numbers(mean=7.7777)), redact=["salary"])
    assert "7.778" not in html
    assert 'class="plot' not in html
    assert "missing" in html


def test_a_long_value_is_shortened() -> None:
    html = render(Report(100, (violation(value="x" * 5000),)), profile(price=numbers()))
    assert "x" * 79 + "\u2026" in html
    assert "x" * 80 not in html


def test_of_ten_thousand_columns_those_with_findings_are_drawn() -> None:
    many = profile(**{f"c{index}": numbers() for index in range(10_000)})
    page = Page(render(Report(100, (violation("c9999"),)), many, None, drift_of("c9998")))
    drawn = [word for tag, word in page.words if tag == "h3" and re.fullmatch(r"c\d+", word)]
    # One of them drifted, and is drawn with its baseline above.
    assert drawn[:2] == ["c9998", "c9999"]
    assert len(drawn) == COLUMNS_SHOWN
    assert f"{10_000 - COLUMNS_SHOWN:,} more columns" in page.text()


def test_a_violation_leads_to_its_column_which_comes_first() -> None:
    data = profile(**{name: numbers() for name in ("a", "<b>", "c", "d")})
    page = Page(render(Report(100, (violation("d"), violation("<b>", severity="warn"))), data))
    assert [word for tag, word in page.words if tag == "h3"] == ["<b>", "d", "a", "c"]
    targets = [attributes["id"] for tag, attributes in page.tags if tag == "article"]
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links[-2:] == [f"#{targets[1]}", f"#{targets[0]}"]


def test_a_violation_of_a_column_that_is_not_there_leads_nowhere() -> None:
    page = Page(render(Report(100, (violation("gone"),)), profile(price=numbers())))
    assert "gone" in page.text("strong")
    assert {str(a["href"]) for tag, a in page.tags if tag == "a"} == {"#columns", "#violations"}


def test_a_missing_column_is_missing_in_objects_and_not_in_a_row() -> None:
    missing = Violation("price", "column", "the column is missing", 1, (RowRef("p/a.csv", 1),))
    page = Page(render(Report(100, (missing,)), None))
    assert "p/a.csv" in page.text("td")
    assert "row" not in page.text("th")


def test_drift_and_bias_are_one_violation_each_that_leads_to_its_section() -> None:
    drifts = [Violation(name, "drift", "psi 1 from the baseline", 0) for name in ("a", "b", "a")]
    biases = [Violation(None, "bias", f"sex = f: {metric} is 1", 0) for metric in ("CI", "DPL")]
    data = profile(a=numbers(), b=numbers())
    html = render(Report(100, (*drifts, *biases)), data, data, drift_of("a"), bias_of())
    items = Page(html).text("a")
    assert "2 columns drifted: a, b" in items
    assert "2 metrics are beyond their limits" in items
    assert "psi 1 from the baseline" not in html
    assert html.count('href="#drift"') == 2
    assert ">5</a>" in html


def test_a_problem_of_bias_that_has_no_section_is_said_in_full() -> None:
    problem = Violation(None, "bias", "the group has too many values", 0)
    assert "the group has too many values" in Page(render(Report(100, (problem,)))).text("strong")


def test_data_that_cannot_be_read_are_not_said_to_be_checked() -> None:
    unreadable = Violation(None, "format", "p/a.csv is empty", 0)
    text = Page(render(Report(0, (unreadable,), checks=2))).text()
    assert "The data cannot be read, so nothing is trained on them." in text
    assert "checks made" not in text


def test_the_end_of_an_axis_of_one_value_is_written_once() -> None:
    one = Distribution(7, 7, 7, 0, (7,), (5, 0), is_discrete=True)
    html = render(Report(5, ()), profile(x=ColumnProfile("integer", 5, 0, 0, 1, True, one)))
    assert '<p class="axis small quiet"><span></span><span>7</span></p>' in html


def test_drift_is_drawn_beside_the_baseline_on_one_scale() -> None:
    before, now = numbers(), numbers()
    assert now.distribution is not None
    now = replace(now, distribution=replace(now.distribution, min=20.0, max=30.0, edges=(21.0, 22.0, 25.0)))
    html = render(Report(100, ()), profile(price=now), profile(price=before), drift_of("price"))
    captions = Page(html).text("figcaption")
    assert captions.index("baseline, 100 values") < captions.index("now, 100 values")
    axes = re.findall(r'class="axis small quiet"><span>(.*?)</span><span>(.*?)</span>', html)
    assert axes == [("0", "30")] * 3


def test_of_too_few_rows_the_page_says_so_and_not_that_nothing_drifted() -> None:
    data = profile(price=numbers())
    note = "too few rows to tell: 3 with a value, 5 in the baseline"
    drift = drift_of("price", note=note, reasons=())
    html = render(Report(3, ()), data, data, drift)
    assert "columns with too few rows to tell drift" in html
    assert note in html
    assert '<span class="tag warn">too few rows</span>' in html


def test_why_a_column_drifted_stands_with_its_drawing() -> None:
    data = profile(price=numbers())
    drift = drift_of("price", missing_rate=0.06, baseline_missing_rate=0.005)
    page = Page(render(Report(100, ()), data, data, drift))
    assert "missing 0.5% before, 6.0% now" in page.text("p")
    assert page.text().count("missing 0.5% before") == 1


def test_categories_are_drawn_rather_than_the_lengths_of_their_names() -> None:
    both = replace(categories(north=60, south=40), distribution=numbers().distribution)
    page = Page(render(Report(100, ()), profile(region=both)))
    assert {"north", "south", "60.0%", "40.0%"} <= {word for tag, word in page.words if tag == "span"}
    assert "characters" not in page.text()


def test_a_metric_beyond_its_limit_is_marked_and_others_are_not() -> None:
    bias = bias_of(
        BiasMetric("DPL", -0.4, 0.3), BiasMetric("CI", 0.2, 0.9), BiasMetric("KL", float("inf"), 1.0)
    )
    page = Page(render(Report(100, ()), None, None, None, bias))
    assert page.text("span").count("beyond") == 3  # DPL, KL and the facet
    assert "\u22120.4" in page.text("td")
    assert "\u221e" in page.text("td")


def test_a_metric_that_is_not_defined_says_why() -> None:
    page = Page(
        render(Report(100, ()), None, None, None, bias_of(BiasMetric("CDDL", None, None, "no groups")))
    )
    assert "not defined" in page.text("td")
    assert "no groups" in page.text("span")


@pytest.mark.parametrize(
    "column",
    [
        ColumnProfile("string", 0, 100, 0, 0, True),
        ColumnProfile("number", 0, 100, 0, 0, True, Distribution(0, 0, 0, 0, (), (0,), is_discrete=True)),
        ColumnProfile("integer", 5, 0, 0, 1, True, Distribution(7, 7, 7, 0, (7,), (5, 0), is_discrete=True)),
        ColumnProfile("number", 4, 0, 0, 3, True, Distribution(3, 3, 3, 0, (3,), (4, 0), is_discrete=False)),
        ColumnProfile(
            "timestamp", 2, 0, 0, 2, True, Distribution(0, 1e300, 0, 0, (0, 1e300), (1, 1, 0), True)
        ),
        ColumnProfile("number", 2, 0, 0, 2, True, Distribution(-1e308, 1e308, 0, 0, (0,), (1, 1), False)),
        ColumnProfile("boolean", 3, 0, 0, 1, True, categories=Categories({"true": 3}, 0)),
        ColumnProfile("string", 3, 0, 0, 9, True, categories=Categories({"": 1}, 2)),
    ],
)
def test_a_column_of_nothing_or_of_one_value_or_of_extremes_is_drawn(column: ColumnProfile) -> None:
    html = render(Report(100, ()), profile(odd=column), profile(odd=column), drift_of("odd"))
    assert "odd" in Page(html).text("h3")
    assert not re.search(r"\bnan\b|\binf\b|not a number", html)


def test_every_drawing_has_words_or_words_beside_it() -> None:
    page = Page(render(Report(100, ()), profile(a=numbers(), b=categories(x=1)), None, None, bias_of()))
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert drawings
    assert all(
        d.get("aria-hidden") == "true" or (d.get("role") == "img" and d["aria-label"]) for d in drawings
    )


def test_headings_are_nested_without_gaps() -> None:
    data = profile(price=numbers())
    page = Page(render(Report(100, (violation(),)), data, data, drift_of("price"), bias_of()))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def schemes() -> dict[str, dict[str, str]]:
    """The colors of the light, dark and printed page."""
    css = (resources.files("sluice.quality.report") / "templates/report.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    return {
        name: dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", block))
        for name, block in zip(("light", "dark", "print"), blocks, strict=True)
    }


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2."""

    def luminance(color: str) -> float:
        digits = color[1:] if len(color) == 7 else "".join(digit * 2 for digit in color[1:])
        parts = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_and_drawings_have_contrast(scheme: str) -> None:
    colors = schemes()[scheme]
    texts = [(ink, ground) for ink in ("ink", "quiet") for ground in ("page", "card", "track")]
    texts += [(tone, ground) for tone in ("good", "warn", "bad") for ground in ("card", f"{tone}-tint")]
    for ink, ground in texts:
        assert contrast(colors[ink], colors[ground]) >= 4.5, (ink, ground)
    for shape in ("bar", "baseline"):
        assert contrast(colors[shape], colors["card"]) >= 3, shape


def test_the_same_input_is_the_same_page() -> None:
    report = Report(100, (violation(),))
    first = render(report, profile(price=numbers()))
    report_html.template.cache_clear()
    assert render(report, profile(price=numbers())) == first
