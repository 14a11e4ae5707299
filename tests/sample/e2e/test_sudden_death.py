"""kill -9 of the host in the middle of its work.

On a store that processes share it takes a lease (30 s) until somebody else may go on; on the embedded one, nothing.
"""

from pathlib import Path

import httpx
import pytest

from tests.sample import SAMPLE_APP
from tests.sample.books import large_epub, real_chapters, upload
from tests.sample.odata import polled
from tests.support.host import STORES, TEST_APP, LocalHost, timed
from tests.support.lro import begin, ended, listing, monitor, run, running, until
from tests.support.scenarios import Outcomes, Scenario, connected, on, outlasting_storage

pytestmark = pytest.mark.timeout(300)


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
            states = [ended(client, each) for each in ids]
            assert [state["status"] for state in states] == ["Succeeded"] * len(ids), states
            for old, state, book in zip(at_kill, states, books, strict=True):
                # What was not running yet when it was looked at may have begun before the kill.
                assert state["attempt"] in ({2} if old["status"] == "Running" else {1, 2})
                assert state["result"]["chapters"] == 8 * len(real_chapters())
                assert client.get(f"/book/{book}").json() == state["result"]
            assert len(client.get("/book").json()["value"]) == len(books)
            assert {item["status"] for item in listing(client)} == {"Succeeded"}


def killed_with_forty_operations(folder: Path, store: str) -> None:
    """kill -9 with 40 operations, started and not: on the embedded store all go on at once, before any lease is over.

    The folder's lock says that nobody else is left who might work on them. A lease is longer here than any test.
    """
    gate = folder / "gate"
    long_leases = timed(lease=900, housekeeping_patience=900)

    def start(client: httpx.Client, number: int) -> str:
        return begin(client, f"/trial/t{number}:gated", {"marker": str(gate)})["id"]

    host = LocalHost(folder, store=store, app_root=TEST_APP, environment=long_leases)
    with host, connected(host) as client:
        ids = [start(client, number) for number in range(40)]
        running(client, ids[0])
        at_kill = [state["status"] for state in listing(client)]
        host.kill()
    # The host runs some at a time, the others wait for their turn.
    assert set(at_kill) == {"NotStarted", "Running"}
    gate.touch()
    again = LocalHost(folder, store=store, app_root=TEST_APP, environment=long_leases)
    with again, connected(again) as client:
        for each in ids:
            state = ended(client, each)
            assert state["status"] == "Succeeded", state
        assert len(listing(client)) == 40


def killed_with_the_default_declaration(folder: Path, store: str) -> None:
    """kill -9 of attempts whose action says nothing of it: each is lost, run again, and ends Succeeded."""
    with outlasting_storage(store) as environment:
        host = LocalHost(folder, store=store, app_root=SAMPLE_APP, environment=environment)
        with host, connected(host) as client:
            markers = [folder / f"marker-{number}" for number in range(4)]
            ids = [begin(client, "/trial/t:survive", {"marker": str(marker)})["id"] for marker in markers]
            polled(lambda: all(marker.exists() for marker in markers))
            host.kill()
        again = LocalHost(folder, store=store, app_root=SAMPLE_APP, environment=environment)
        with again, connected(again) as client:
            for each in ids:
                state = ended(client, each, within=80)
                assert (state["status"], state["attempt"]) == ("Succeeded", 2), state
                assert [attempt["outcome"] for attempt in state["attempts"]] == ["Lost", "Succeeded"]


def killed_by_one_of_its_handlers(folder: Path, store: str) -> None:
    """A handler that ends the process takes ten others along, and they end Succeeded; it is given up in the end.

    Lost attempts come back at different times, so it ends up alone. A lease, which each death waits for on a store that
    processes share, and the waits of losses are shorter here than a user's.
    """
    gate, ids, killer = folder / "gate", list[str](), ""
    with outlasting_storage(store) as storage:
        environment = {**storage, **timed(lease=5, heartbeat=1, loss_waits=(0, 3, 6, 9))}
        for deaths in range(4):
            host = LocalHost(folder, store=store, app_root=TEST_APP, environment=environment)
            with host, connected(host) as client:
                if not ids:
                    killer = begin(client, "/trial/k:deadly", {"marker": str(gate)})["id"]
                    ids = [begin(client, f"/trial/i{number}:wait", {"seconds": 1.5})["id"] for number in range(10)]
                    running(client, killer)
                    gate.touch()
                try:
                    states = [ended(client, each, within=120) for each in (*ids, killer)]
                except httpx.TransportError:
                    host.wait()
                    continue
                assert [state["status"] for state in states[:-1]] == ["Succeeded"] * 10
                assert (states[-1]["status"], states[-1]["error"]["code"]) == ("Failed", "AttemptLost")
                assert [attempt["outcome"] for attempt in states[-1]["attempts"]] == ["Lost"] * 3
                assert deaths == 3
                return
    raise AssertionError("it has run again after its third loss")


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


@pytest.mark.parametrize(
    "scenario",
    [
        *on(killed_while_books_are_read, *STORES),
        *on(killed_with_forty_operations, "sqlite"),
        *on(killed_with_the_default_declaration, *STORES),
        *on(killed_by_one_of_its_handlers, *STORES),
    ],
)
def test_sudden_death(outcomes: Outcomes, scenario: Scenario) -> None:
    """What the scenario's own docstring says."""
    outcomes[scenario].result()


@pytest.mark.parametrize("scenario", on(killed_with_its_own_emulator, "azurite"))
def test_sudden_death_of_both(outcomes: Outcomes, scenario: Scenario) -> None:
    """What the scenario's own docstring says."""
    outcomes[scenario].result()
