"""How tables and containers are called: no two of two namespaces alike, whatever they are called, and readable."""

from string import ascii_letters, ascii_lowercase, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import StorageRefused
from shared.storage.limits import check_store_name
from shared.storage.namespace import stored_name

_LETTERS = st.sampled_from(ascii_lowercase)
NAMESPACES = st.builds(str.__add__, _LETTERS, st.text(ascii_letters + digits, min_size=2, max_size=49))
WORDS = ("history", "instances", "partitions")
NAMES = st.text(ascii_lowercase, min_size=3, max_size=31).filter(lambda name: not name.endswith(WORDS))
ALIKE = st.sampled_from(["abc", "ABC", "abc0", "abc00", "abc0x", "abcabc", "a" * 30, "a" * 31, "a" * 32, "a" * 15])
"""Namespaces of which one begins another."""


@given(NAMESPACES | ALIKE, NAMES | st.just("abc"), NAMESPACES | ALIKE, NAMES | st.just("abcabc"))
def test_no_two_are_alike(one: str, name: str, other: str, other_name: str) -> None:
    """Tables and containers are the same where namespace and name are; the case of a namespace does not count."""
    same = (one.lower(), name) == (other.lower(), other_name)
    assert (stored_name(one, name) == stored_name(other, other_name)) == same


@given(NAMESPACES, NAMES)
def test_all_are_valid(namespace: str, name: str) -> None:
    """What any namespace and name give may be a table and a container."""
    check_store_name(stored_name(namespace, name))


def test_readable() -> None:
    """Who looks at an account sees whose a table is; of a long namespace at least how it begins."""
    assert stored_name("LongRunningActions", "operations") == "longrunningactions0operations"
    assert stored_name("A" * 30, "locks") == "a" * 30 + "0locks"
    assert stored_name("production" * 4, "operations") == "productionprodu" + "c0cfeb591b1d9249" + "0operations"


def test_a_cut_one_is_nobody_elses() -> None:
    """What a long namespace is cut to is no namespace that is kept as it is."""
    cut = stored_name("production" * 4, "operations").partition("0operations")[0]
    assert stored_name(cut, "operations") != stored_name("production" * 4, "operations")


@pytest.mark.parametrize("name", ["", "ab", "a" * 32, "Abc", "abc0", "a1b", "a-b-c", "a_b_c", "../abc", "abc\n"])
def test_names_that_are_refused(name: str) -> None:
    """A name is letters: a digit could be what parts it from the namespace."""
    with pytest.raises(StorageRefused, match="3 to 31 of a-z"):
        stored_name("mine", name)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("before", ["", "my", "order"])
def test_tables_of_a_task_hub_are_not_met(word: str, before: str) -> None:
    """Another app's hub may be called as our tables begin; its tables are that name and a word of the extension."""
    with pytest.raises(StorageRefused, match="Durable extension"):
        stored_name("App", before + word)


@given(NAMESPACES | ALIKE, NAMES, NAMESPACES | st.builds(str.__add__, ALIKE, st.just("0")), st.sampled_from(WORDS))
def test_no_table_of_any_hub(namespace: str, name: str, hub: str, word: str) -> None:
    """Whatever a hub is called, none of its tables is one of ours."""
    assert stored_name(namespace, name) != f"{hub}{word}".lower()
