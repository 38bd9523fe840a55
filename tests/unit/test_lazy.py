"""A lazy dataclass does what one of the standard library does, and compiles nothing before its first use."""

import builtins
import copy
import dataclasses
import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, field, replace
from typing import Any, ClassVar

import pytest
from pydantic import TypeAdapter

from sluice import lazy


@lazy.dataclass(frozen=True, slots=True)
class Point:
    """A point with a name."""

    x: int
    y: int = 0
    names: list[str] = field(default_factory=list)

    @property
    def sum(self) -> int:
        return self.x + self.y


def made() -> Any:
    @lazy.dataclass(frozen=True, slots=True)
    class Fresh:
        """Not made yet."""

        x: int
        y: tuple[int, ...] = ()
        names: list[str] = field(default_factory=list)

    return Fresh


def test_it_has_the_values_that_it_is_given_and_its_defaults() -> None:
    assert (Point(1).x, Point(1).y, Point(1, y=2).sum) == (1, 0, 3)
    assert Point(1).names is not Point(1).names
    assert repr(Point(1, 2)) == "Point(x=1, y=2, names=[])"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        Point(1, z=1)  # type: ignore[call-arg]


def test_equal_ones_are_equal_and_hash_alike_before_anything_was_compiled() -> None:
    for fresh in (made(), made()):
        assert fresh(1, (2,)) == fresh(1, (2,)) != fresh(1)
        assert fresh(1) != (1, (), [])
    fresh = made()
    one, other = fresh(1, names=()), fresh(1, names=())
    assert len({one, other}) == 1
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        hash(fresh(1))


def test_it_cannot_be_changed() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x
    with pytest.raises((FrozenInstanceError, AttributeError)):
        point.z = 2  # type: ignore[attr-defined]
    assert not hasattr(point, "__dict__")
    assert point == Point(1)


def test_what_takes_dataclasses_takes_it() -> None:
    point = Point(1, 2, ["a"])
    assert replace(point, y=3) == Point(1, 3, ["a"])
    assert dataclasses.asdict(point) == {"x": 1, "y": 2, "names": ["a"]}
    assert [each.name for each in dataclasses.fields(Point)] == ["x", "y", "names"]
    assert dataclasses.fields(Point)[1].default == 0
    match point:
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_it_is_a_dataclass_also_before_the_first_is_made() -> None:
    assert [each.name for each in dataclasses.fields(made())] == ["x", "y", "names"]
    assert dataclasses.is_dataclass(made())
    fresh = made()
    assert (fresh.__match_args__, fresh.__dataclass_params__.frozen) == (("x", "y", "names"), True)
    parsed = TypeAdapter(made()).validate_python({"x": "1", "names": ["a"]})
    assert (parsed.x, parsed.y, parsed.names) == (1, (), ["a"])


def test_what_inherits_from_it_has_its_methods() -> None:
    class Named(made()):  # type: ignore[misc]
        def __init__(self, x: int) -> None:
            super().__init__(x, names=["a"])

    assert Named(1).names == ["a"]
    assert Named(1) == Named(1) != Named(2)


def test_it_is_copied_and_sent_to_other_processes() -> None:
    point = Point(1, 2, ["a"])
    assert pickle.loads(pickle.dumps(point)) == point == copy.deepcopy(point)  # noqa: S301


def test_what_is_restored_where_none_was_made_is_compared_all_the_same() -> None:
    fresh = made()
    one, other = fresh.__new__(fresh), fresh.__new__(fresh)
    for each in (one, other):
        each.__setstate__((None, {"x": 1, "y": (), "names": ()}))
    assert one == other
    assert repr(made()(1)).endswith("Fresh(x=1, y=(), names=[])")


def test_it_compiles_nothing_while_it_is_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    execute = builtins.exec

    def counted(text: str, *rest: Any) -> None:
        # From 3.13 on it compiles a function without methods too.
        if "\n def " in text:
            compiled.append(text)
        execute(text, *rest)

    monkeypatch.setattr(builtins, "exec", counted)
    fresh = made()
    assert compiled == []
    fresh(1)
    assert compiled
    before = len(compiled)
    assert fresh(2) == fresh(2)
    assert len(compiled) == before


def test_one_without_a_docstring_spells_no_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    spelled: list[type] = []
    monkeypatch.setattr(inspect, "signature", spelled.append)

    @lazy.dataclass(frozen=True, slots=True)
    class Plain:
        x: int

    assert (spelled, Plain.__doc__, Plain(1).x) == ([], "Plain", 1)


def test_threads_may_make_the_first_ones_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            fresh = made()
            assert len({each.x for each in pool.map(fresh, range(16))}) == 16


def test_all_of_a_package_are_compiled_before_a_fork_that_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, other = made(), made()
    fresh.__module__, other.__module__ = "shop.goods", "shopping"
    lazy.compile_all("shop")
    monkeypatch.setattr(dataclasses, "dataclass", None)
    assert fresh(1).x == 1
    with pytest.raises(TypeError):
        other(1)


def test_one_that_it_cannot_stand_for_is_refused() -> None:
    options: Any = {"frozen": False, "slots": True}
    with pytest.raises(TypeError, match="frozen and has slots"):
        lazy.dataclass(**options)
    with pytest.raises(TypeError, match="inherits from a dataclass"):

        @lazy.dataclass(frozen=True, slots=True)
        class Space(Point):
            z: int = 0

    class Counted:
        kind: ClassVar[str] = "counted"
        x: int

    counted: Any = lazy.dataclass(frozen=True, slots=True)(Counted)
    with pytest.raises(TypeError, match="annotates what is no field"):
        counted(1)
