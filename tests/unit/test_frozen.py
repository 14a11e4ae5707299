"""A value is what `dataclass(frozen=True, slots=True)` makes of the same class."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields
from functools import cached_property
from threading import Thread
from typing import Any

import pytest

from shared.frozen import frozen, replace


@frozen
class Point:
    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list[str], compare=False)
    secret: str = field(default="hidden", repr=False)


@frozen(kw_only=True)
class Named:
    name: str
    point: Point | None = None


@frozen(slots=False)
class Shape:
    points: tuple[Point, ...] = ()

    @cached_property
    def size(self) -> int:
        return len(self.points)


@frozen(slots=False)
class Closed(Shape):
    closed: bool = True


def test_constructor_takes_positions_names_and_defaults() -> None:
    assert (Point(1).y, Point(1, 2).y, Point(1, y=3).y) == (0, 2, 3)
    assert Point(1).tags is not Point(1).tags
    assert Closed((Point(1),), closed=False).size == 1


@pytest.mark.parametrize("make", [Point, lambda: Point(1, z=1), lambda: Named("n")])  # type: ignore[call-arg]
def test_wrong_arguments_are_refused_before_and_after_the_first_value(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"__init__\(\)"):
        make()
    Named(name="n", point=Point(1))
    with pytest.raises(TypeError, match=r"__init__\(\)"):
        make()


@pytest.mark.parametrize("of", [Point(1), Shape(), Closed()])
def test_nothing_is_assigned_or_deleted(of: Any) -> None:
    name = fields(of)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(of, name, 2)
    with pytest.raises(FrozenInstanceError):
        delattr(of, name)
    with pytest.raises(FrozenInstanceError):
        of.new = 1


def test_equal_by_the_compared_fields_of_one_class() -> None:
    assert Point(1, tags=["a"]) == Point(1, tags=["b"])
    assert hash(Point(1, tags=["a"])) == hash(Point(1, tags=["b"]))
    assert Point(1) != Point(2)
    assert Shape() != Closed()
    assert len({Point(1), Point(1), Point(2)}) == 2


def test_identity_where_equality_is_left_out() -> None:
    @frozen(eq=False)
    class Handle:
        number: int

    one = Handle(1)
    assert one == one  # noqa: PLR0124
    assert one != Handle(1)


def test_shown_as_a_dataclass_is() -> None:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 0
        tags: list[str] = field(default_factory=list[str], compare=False)
        secret: str = field(default="hidden", repr=False)

    shown = repr(Named(name="n", point=globals()["Point"](1)))
    assert shown == f"Named(name='n', point={repr(Point(1)).rpartition('.')[2]})"


def test_a_class_keeps_what_it_declares_itself() -> None:
    @frozen
    class Loud:
        word: str

        def __repr__(self) -> str:
            return self.word.upper()

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    assert repr(Loud("a")) == "A"
    assert Loud("a") == Loud("b")


def test_replaced_copied_and_pickled() -> None:
    point = Point(1, 2, ["a"], "s")
    assert replace(point, x=3) == Point(3, 2, secret="s")
    for same in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert (same, same.tags) == (point, ["a"])
    assert (fields(Closed)[-1].name, Closed.__match_args__) == ("closed", ("points", "closed"))


def test_a_field_that_no_caller_gives() -> None:
    """Each value has its own."""

    @frozen
    class Noting:
        name: str
        _seen: list[str] = field(default_factory=list[str], init=False, compare=False)

        def note(self) -> list[str]:
            self._seen.append(self.name)
            return self._seen

    first = Noting("a")
    assert (first.note(), replace(first, name="b").note(), first.note()) == (["a", "a"], ["b"], ["a", "a"])


def test_a_field_that_follows_from_others() -> None:
    """`__post_init__` sets it, and checks the value, also of one that another was replaced by."""

    @frozen
    class Square:
        side: int
        corners: int = field(default=4, init=False)
        area: int = field(init=False)

        def __post_init__(self) -> None:
            if self.side < 0:
                raise ValueError(self.side)
            object.__setattr__(self, "area", self.side**2)

    assert [(each.corners, each.area) for each in (Square(2), replace(Square(2), side=3))] == [(4, 4), (4, 9)]
    with pytest.raises(ValueError, match="-1"):
        replace(Square(2), side=-1)

    @frozen
    class Plain:
        side: int
        corners: int = field(default=4, init=False)

    assert replace(Plain(1), side=2).corners == 4


def test_replaced_as_by_dataclasses() -> None:
    """Fields are checked, what was cached is left behind, and other classes are the standard library's."""
    shape = Closed((Point(1),))
    assert shape.size == 1
    more = replace(shape, points=())
    assert (type(more), more.size, more.closed) == (Closed, 0, True)
    for of in (shape, Point(1)):
        with pytest.raises(TypeError):
            replace(of, none=1)

    @dataclass
    class Checked:
        number: int

        def __post_init__(self) -> None:
            assert self.number > 0

    with pytest.raises(AssertionError):
        replace(Checked(1), number=0)


def test_first_values_made_in_several_threads() -> None:
    @frozen
    class Fresh:
        number: int

    made: list[int] = []
    threads = [Thread(target=lambda each=each: made.append(Fresh(each).number)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == list(range(8))
