"""`Operation-Labels`: what is a label, and starts of every profile that take them."""

from pathlib import Path

import pytest

from shared.actions import ActionContext, action
from shared.contracts.labels import LABEL_PATTERN, labels
from shared.errors import RequestError
from shared.model.ids import Locator
from shared.operations.lists import OperationLists
from shared.resources.model import owner_of
from tests.support.arm_parts import SUB, arm_api, code, path_of
from tests.support.arm_things import both_things
from tests.support.parts import Input, World, sqlite


@action("test:work", post="thing/{id}:work")
async def work(context: ActionContext, request: Input) -> None: ...


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", ()),
        ("team-a", ("team-a",)),
        ("team-a, batch:42,,x", ("team-a", "batch:42", "x")),
        ("a,b,a", ("a", "b")),
        ("a,b,c,d,e", ("a", "b", "c", "d", "e")),
        ("a,a,a,a,a,a", ("a",)),
        ("A1._:/=@+-", ("A1._:/=@+-",)),
        ("x" * 64, ("x" * 64,)),
    ],
)
def test_labels(header: str, found: tuple[str, ...]) -> None:
    """Commas separate them; each is kept once, in its order."""
    assert labels({"operation-labels": header}) == found


@pytest.mark.parametrize("header", ["a b", "-a", "a,b,c,d,e,f", "x" * 65, "é", "a'b", "a;b"])
def test_what_is_no_label(header: str) -> None:
    """400 that names the header and says what a label is."""
    with pytest.raises(RequestError) as caught:
        labels({"operation-labels": header})
    assert (caught.value.status, caught.value.code, caught.value.target) == (400, "InvalidLabels", "Operation-Labels")
    assert LABEL_PATTERN in caught.value.message


async def test_an_arm_write(tmp_path: Path) -> None:
    """The operation of an ARM write has them; one that does not fit is refused before anything is held."""
    async with arm_api(tmp_path, both_things) as api:
        path = path_of("bothThings", "one")
        refused = await api("PUT", path, {"location": "westeurope"}, operation_labels="a b")
        assert code(refused) == (400, "InvalidLabels")
        await api.put(path, operation_labels="team-a,x")
        (row,) = (
            await OperationLists(api.storage).page(Locator.of(owner_of(SUB), "x").owner_hash, position=None, limit=5)
        ).rows
        assert row.labels == ("team-a", "x")


async def test_a_replay_finds_the_first_labels(tmp_path: Path) -> None:
    """Labels are no part of what makes two starts the same."""
    async with sqlite(tmp_path) as storage:
        world = World(storage, work)
        first = await world.start(operation_id="mine", labels=("one",))
        again = await world.start(operation_id="mine", labels=("other",))
        assert (first.run_id, again.labels) == (again.run_id, ("one",))
