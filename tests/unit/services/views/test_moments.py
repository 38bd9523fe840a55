"""A page reads each part of the catalog once, and never sees what it changed itself."""

from __future__ import annotations

import fakes
from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline
from sluice.services.views.moments import moment


class Counting(fakes.FakeCatalog):
    reads = 0

    def get(self, key):  # type: ignore[no-untyped-def]
        self.reads += 1
        return super().get(key)

    def query(self, *given, **named):  # type: ignore[no-untyped-def]
        self.reads += 1
        return super().query(*given, **named)


def test_what_is_read_twice_is_read_once_and_the_next_page_sees_what_is_new() -> None:
    catalog = Counting()
    cloud = fakes.Cloud(catalog=catalog)
    key = keys.pipeline_key("m")
    now = moment(cloud)
    for _ in range(3):
        assert now.catalog.get(key) is None
        assert now.catalog.query(key["pk"], "", limit=3) == []
    assert catalog.reads == 2
    catalog.create(Pipeline("m", "v1").item())
    assert now.catalog.get(key) is None
    later = moment(cloud).catalog.get(key)
    assert later is not None
    assert later["project_version"] == "v1"


def test_the_beginning_of_a_range_that_is_known_is_not_read_again() -> None:
    catalog = Counting()
    for number in range(4):
        catalog.create({"pk": "p", "sk": f"A#{number}"})
    now = moment(fakes.Cloud(catalog=catalog)).catalog
    three = now.query("p", "A#", limit=3)
    assert (now.query("p", "A#", after=None, limit=2), catalog.reads) == (three[:2], 1)
    assert len(now.query("p", "A#", limit=4)) == 4, "more than is known is read"
    assert len(now.query("p", "A#")) == 4, "a range that was cut may go on"
    assert len(now.query("p", "A#", newest_first=True, limit=9)) == 4
    assert (len(now.query("p", "A#", newest_first=True)), catalog.reads) == (4, 4), "nothing is behind it"


def test_what_was_read_ahead_is_not_read_one_by_one() -> None:
    catalog = Counting()
    catalog.create({"pk": "p", "sk": "a"})
    now = moment(fakes.Cloud(catalog=catalog)).catalog
    wanted = [{"pk": "p", "sk": "a"}, {"pk": "p", "sk": "b"}]
    assert now.get_all(wanted) == [{"pk": "p", "sk": "a"}, None]
    catalog.create({"pk": "p", "sk": "b"})
    assert [now.get(key) for key in wanted] == [{"pk": "p", "sk": "a"}, None]


def test_a_reader_may_change_what_it_got() -> None:
    cloud = fakes.Cloud()
    cloud.catalog.create(Pipeline("m", "v1", groups=["a"]).item())
    now, key = moment(cloud), keys.pipeline_key("m")
    first = now.catalog.get(key) or {}
    first["groups"].append("b")
    assert (now.catalog.get(key) or {})["groups"] == ["a"]
    assert now.stack_name == cloud.stack_name
