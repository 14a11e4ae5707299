"""Tags of ARM resources: names without case, and one code and message for each reason to refuse them."""

from typing import Any

import pytest

from shared.contracts.arm.tags import merged_tags, replaced_tags
from shared.errors import RequestError

STORED = {"Env": "test", "floor": "2"}


def refusal(given: Any, stored: dict[str, str] | None = None) -> RequestError:
    with pytest.raises(RequestError) as caught:
        replaced_tags(given) if stored is None else merged_tags(stored, given)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, STORED),
        ({"env": "prod"}, {"Env": "prod", "floor": "2"}),
        ({"ENV": None}, {"floor": "2"}),
        ({"Floor": None, "Room": "7"}, {"Env": "test", "Room": "7"}),
        ({"nobody": None}, STORED),
        ({"a/b": None, "": None, "Microsoft.x": None}, STORED),
        ({"FLOOR": ""}, {"Env": "test", "floor": ""}),
        (None, {}),
    ],
)
def test_a_patch_compares_names_without_case(given: Any, expected: dict[str, str]) -> None:
    """A tag is changed and removed by any spelling of its name, and keeps its own; what is not there is not missed."""
    assert merged_tags(STORED, given) == expected
    assert list(merged_tags(STORED, given)) == list(expected)


def test_a_put_sets_names_as_they_come() -> None:
    """All tags are replaced: what is new is spelled as the request spells it, and values keep their case."""
    assert replaced_tags({"ENV": "Prod"}) == {"ENV": "Prod"}
    assert replaced_tags(None) == {}


FITTING = [
    *("a", "x" * 512, "with space", "colon:x", "a+b*c#d", "azur", "my-azure", "win", "ünï", "♡", "a.b-c_d@e"),
    *("hidden-title", "hidden-link:/subscriptions/x/resourceGroups/y?z", "Hidden-Related:/a", "link:/a/b"),
]


@pytest.mark.parametrize("name", FITTING)
def test_names_that_fit(name: str) -> None:
    """All but a few characters, and those, too, in the names by which Azure links resources."""
    assert replaced_tags({name: "v" * 256}) == {name: "v" * 256}
    assert merged_tags({}, {name: "v" * 256}) == {name: "v" * 256}


REASONS: list[tuple[Any, str, str, str]] = [
    ([], "InvalidInput", "tags", "object"),
    ("a=b", "InvalidInput", "tags", "object"),
    ({"a": 1}, "InvalidInput", "tags.a", "string"),
    ({"a": {"b": "c"}}, "InvalidInput", "tags.a", "string"),
    ({"a": False}, "InvalidInput", "tags.a", "string"),
    ({"": "x"}, "InvalidTagName", "tags.", "not empty"),
    ({"  ": "x"}, "InvalidTagName", "tags.  ", "not empty"),
    ({"x" * 513: ""}, "TagNameTooLong", f"tags.{'x' * 80}", "at most 512"),
    ({"a": "x" * 257}, "TagValueTooLong", "tags.a", "at most 256"),
    *[
        ({f"a{sign}b": "x"}, "InvalidTagNameCharacters", f"tags.a{sign}b", "none of the characters")
        for sign in r"<>%&\?/"
    ],
    ({"a\nb": "x"}, "InvalidTagNameCharacters", "tags.a\nb", "control"),
    ({"hidden-a\0": "x"}, "InvalidTagNameCharacters", "tags.hidden-a\0", "control"),
    ({"hiddena/b": "x"}, "InvalidTagNameCharacters", "tags.hiddena/b", "none of the characters"),
    ({"Azure-team": "x"}, "ReservedTagNamePrefix", "tags.Azure-team", "Azure's own"),
    ({"MICROSOFT": "x"}, "ReservedTagNamePrefix", "tags.MICROSOFT", "Azure's own"),
    ({"windows1": "x"}, "ReservedTagNamePrefix", "tags.windows1", "Azure's own"),
    ({"env": "1", "Env": "2"}, "DuplicateTagName", "tags.Env", "one tag"),
    ({"É": "1", "b": "2", "é": "2"}, "DuplicateTagName", "tags.é", "one tag"),
    ({str(n): "" for n in range(51)}, "TooManyTags", "tags", "at most 50"),
]


@pytest.mark.parametrize(("given", "code", "target", "words"), REASONS)
def test_each_reason_has_its_code_and_its_words(given: Any, code: str, target: str, words: str) -> None:
    """PUT and PATCH refuse the same things, and say which rule is broken and by which tag."""
    for error in (refusal(given), refusal(given, {})):
        assert (error.code, error.target) == (code, target)
        assert words in error.message


def test_a_null_is_for_a_patch_alone() -> None:
    """A PUT cannot store it; the message says how a tag is removed."""
    error = refusal({"a": None})
    assert (error.code, error.target) == ("InvalidInput", "tags.a")
    assert "PATCH" in error.message


def test_a_patch_that_says_two_things_of_one_tag() -> None:
    """To remove a tag and set it in another spelling is refused; which of both is meant nobody knows."""
    assert refusal({"env": None, "ENV": "x"}, STORED).code == "DuplicateTagName"


def test_the_limit_is_that_of_the_resource() -> None:
    """A PATCH may replace the fiftieth tag and not add another one."""
    full = {f"t{n}": "" for n in range(50)}
    assert len(merged_tags(full, {"T0": "x"})) == 50
    assert len(merged_tags(full, {"T0": None, "new": "x"})) == 50
    assert refusal({"new": "x"}, full).code == "TooManyTags"
