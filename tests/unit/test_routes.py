"""Route templates: what is refused, what overlaps, and what a path means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.actions import routes
from shared.actions.routes import Endpoint, check_distinct, overlap
from shared.contracts.functions import BUILT_IN
from shared.errors import DeclarationError


@pytest.mark.parametrize(
    "route",
    [
        "", "/book", "book/", "a//b", "~/book", "admin/x", "Runtime/x", "{id:int}", "{*path}", "{id}{name}", "{id?}",
        "{id", "id}", "a?b", "a#b", "{id}/{ID}", "{1d}",
    ],
)  # fmt: skip
def test_refused_templates(route: str) -> None:
    """What the host would refuse, or means more than a plain parameter, is refused, naming the declaration."""
    with pytest.raises(DeclarationError, match=r"actions\.x\.y"):
        routes.parameters(route, "actions.x.y")


def test_parameters() -> None:
    """A template's parameters come in their order."""
    assert routes.parameters("shelf/{shelf_id}/book/{id}:move", "w") == ("shelf_id", "id")


@pytest.mark.parametrize(
    ("one", "other", "overlapping"),
    [
        ("book/{id}", "book/{name}", True),
        ("book/{id}", "BOOK/{id}", True),
        ("book/{id}", "book/list", True),
        ("book/{id}", "book", False),
        ("book/{id}", "shelf/{id}", False),
        ("book/{id}:start", "book/{id}:finish", False),
        ("book/{id}:start", "book/{id}", True),
        ("book/{id}:start", "book/x:start", True),
        ("book/{id}:start", "book/x:stop", False),
        ("{a}/list", "book/{b}", True),
        ("a-{x}", "b-{x}", False),
        ("a{x}", "ab{x}", True),
        ("book", "book", True),
    ],
)
def test_overlap(one: str, other: str, overlapping: bool) -> None:
    """Two templates overlap where one URL can match both, in either order and without case."""
    assert overlap(one, other) is overlap(other, one) is overlapping


@given(st.from_regex(r"[a-z]{1,4}(:[a-z]{1,3})?", fullmatch=True), st.from_regex(r"[a-z]{1,4}", fullmatch=True))
def test_overlap_is_what_both_match(literal: str, id: str) -> None:
    """If a path matches two templates, they overlap."""
    templates = ["book/{id}", "book/{id}:go", f"book/{literal}", "book/{id}:" + id]
    path = f"book/{literal}"
    matching = [template for template in templates if routes.matches(template, path)]
    assert all(overlap(one, other) for one in matching for other in matching)


def endpoint(name: str, route: str, where: str, *methods: str) -> Endpoint:
    return Endpoint(name, methods or ("POST",), route, where)


def test_same_function_name_is_refused() -> None:
    """Two declarations that become one function name both parties, without case as the host compares."""
    pair = [endpoint("a_b", "x", "actions.one"), endpoint("A_B", "y", "actions.two")]
    with pytest.raises(DeclarationError, match=r"actions\.one and actions\.two both become") as caught:
        check_distinct(pair, fallback="zz")
    assert "A_B" in str(caught.value)


def test_overlapping_routes_are_refused() -> None:
    """Overlapping routes name both parties and both routes, built-in functions included."""
    mine = endpoint("mine", "status/{id}", "actions.mine", "GET")
    with pytest.raises(DeclarationError) as caught:
        check_distinct([*BUILT_IN, mine], fallback="zz")
    for part in ("blueprints.status", "actions.mine", "status/{operation_id}", "status/{id}"):
        assert part in str(caught.value)
    check_distinct([*BUILT_IN, endpoint("mine", "status/{id}", "actions.mine", "PUT")], fallback="zz")


@pytest.mark.parametrize("name", ["zz_unknown_route", "zzz", "ZZ_Z"])
def test_names_after_the_fallback_are_refused(name: str) -> None:
    """The fallback stays the last function; a later name is refused, naming both."""
    with pytest.raises(DeclarationError, match=r"actions\.late.*sorts after 'zz_unknown_route'"):
        check_distinct([endpoint(name, "x", "actions.late")], fallback="zz_unknown_route")


def test_paths() -> None:
    """A path means a template where its parameters are valid ids; the methods and verbs known there are named."""
    some = [
        endpoint("a", "book/{id}:start", "w"),
        endpoint("b", "book/{id}:finish", "w"),
        endpoint("c", "book/{id}", "w", "GET"),
        endpoint("d", "book/{id}", "w", "PUT"),
        endpoint("e", "shelf/{id}:sort", "w"),
    ]
    assert routes.allowed_methods(some, "book/x") == ("GET", "PUT")
    assert routes.allowed_methods(some, "book/x:start") == ("POST",)
    assert routes.allowed_methods(some, "book/x y") == ()
    assert routes.known_verbs(some, "book/x:stop") == ("finish", "start")
    assert routes.known_verbs(some, "nothing/x:stop") == ()
    assert routes.decode_path("/book/a%3Ab/") == "book/a:b"
    assert routes.expand("book/{id}:start", {"id": "7"}) == "book/7:start"
