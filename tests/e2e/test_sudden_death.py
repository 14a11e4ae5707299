"""kill -9 of the host in the middle of its work. It takes a lease (30 s) until somebody else may go on."""

from pathlib import Path

import pytest

from tests.e2e.books import large_epub, real_chapters, upload
from tests.e2e.scenarios import Outcomes, Scenario, connected, on, outlasting_storage
from tests.host import STORES, LocalHost
from tests.lro import begin, ended, listing, monitor, run, until

pytestmark = pytest.mark.timeout(150)


def killed_while_books_are_read(folder: Path, store: str) -> None:
    """kill -9 in the middle of several upload-finish: after a restart on the same data every one ends Succeeded.

    Those that were running lose their attempt and no more; books, lists and results are complete.
    """
    epub = large_epub(8)
    books = [f"book-{n}" for n in range(4)]
    with outlasting_storage(store) as environment:
        host = LocalHost(folder, store=store, environment=environment)
        with host, connected(host) as client:
            starts = zip(books, [upload(client, book, epub) for book in books], strict=True)
            ids = [begin(client, f"/book/{book}:upload-finish", body)["id"] for book, body in starts]
            until(client, ids[0], lambda state: 5 < state.get("percentComplete", 0) < 90)
            at_kill = [monitor(client, each) for each in ids]
            before = listing(client)
            host.kill()
            assert sum(state["status"] == "Running" for state in at_kill) >= 2, at_kill
        with LocalHost(folder, store=store, environment=environment) as again, connected(again) as client:
            assert [item["id"] for item in listing(client)] == [item["id"] for item in before]
            states = [ended(client, each, within=80) for each in ids]
            assert [state["status"] for state in states] == ["Succeeded"] * len(ids), states
            for old, state, book in zip(at_kill, states, books, strict=True):
                # What was not running yet when it was looked at may have begun before the kill.
                assert state["attempt"] in ({2} if old["status"] == "Running" else {1, 2})
                assert state["result"]["chapters"] == 8 * len(real_chapters())
                assert client.get(f"/book/{book}").json() == state["result"]
            assert len(client.get("/book").json()["value"]) == len(books)
            assert {item["status"] for item in listing(client)} == {"Succeeded"}


def killed_with_its_own_emulator(folder: Path, store: str) -> None:
    """What the host's own Azurite has acknowledged is still there after kill -9, three times in a row."""
    ids: list[str] = []
    for _ in range(3):
        host = LocalHost(folder, store=store)
        with host, connected(host) as client:
            assert {item["id"] for item in listing(client)} == set(ids)
            ids += [run(client, f"/book/b{n}:upload-start", {"fileName": "x"})["id"] for n in range(3)]
            host.kill()
    with LocalHost(folder, store=store) as host, connected(host) as client:
        assert {item["id"] for item in listing(client)} == set(ids)


@pytest.mark.parametrize("scenario", on(killed_while_books_are_read, *STORES))
def test_sudden_death(outcomes: Outcomes, scenario: Scenario) -> None:
    """What the scenario's own docstring says."""
    outcomes[scenario].result()


@pytest.mark.parametrize("scenario", on(killed_with_its_own_emulator, "azurite"))
def test_sudden_death_of_both(outcomes: Outcomes, scenario: Scenario) -> None:
    """What the scenario's own docstring says."""
    outcomes[scenario].result()
