"""One chaos run on one store: load of every kind, disturbances, and then everything that has to be true."""

import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.chaos import remains
from tests.chaos.journeys import KINDS, Journey, all_free, take_orders
from tests.chaos.ledger import TERMINAL, Ledger
from tests.chaos.report import Figures
from tests.chaos.session import WITHIN, Disturbed, Session, Stuck
from tests.support.faulty_proxy import FaultPlan, behind_faults
from tests.support.host import LocalHost, emulator
from tests.support.witness import check_attempts, lines_of

APP = Path(__file__).with_name("app")
STORES = ("sqlite", "azurite", "faults", "engine")
EVERY = 20
"""One of so many storage requests meets a fault: five percent."""
_DAY_AHEAD = 25 * 3600
_ENGINE_WITHIN = 150.0
"""Seconds: what a lost instance had fetched from the hub's queues comes back after 60, and may be lost again."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do. `rounds`: kills, however long they take; None for as many as `seconds` of load have room for."""

    store: str
    seed: str
    seconds: float
    rounds: int | None = None


class ChaosRun:
    """The app under test on one store, and its clients."""

    def __init__(self, plan: Plan, folder: Path, connection: str = "", faults: FaultPlan | None = None) -> None:
        """`connection` is that of the app, through the faults if there are any."""
        self._plan = plan
        self._folder = folder
        self._connection = connection
        self._faults = faults
        self._random = random.Random(f"{plan.seed} kills")
        self._witness = folder / "witness"
        self._stop = threading.Event()
        self._finished = threading.Event()
        self._sessions = ExitStack()
        self.ledger = Ledger()
        self.app = Disturbed(self._host({}), _ENGINE_WITHIN if plan.store == "engine" else WITHIN)

    def run(self, look: Callable[[], remains.Remains]) -> Figures:
        """Load, kills, the end of everything, and what is left a day later."""
        began = time.monotonic()
        self.app.start()
        try:
            others = [self._thread("orders", take_orders, self._finished)]
            clients = [self._thread(kind, journey, self._stop) for kind, journey in KINDS.items()]
            self._disturb()
            self._stop.set()
            stopped = time.monotonic()
            for thread in clients:
                thread.join()
            to_end = time.monotonic() - stopped
            self._check(others)
        finally:
            self._stop.set()
            self._finished.set()
            if self.app.host.is_running:
                self.app.stop()
        with self._sessions:
            left = self._a_day_later(look)
        return self._figures(time.monotonic() - began, to_end, left)

    def _host(self, more: Mapping[str, str]) -> LocalHost:
        environment = {
            "TASK_HUB_NAME": remains.HUB,
            "CHAOS_WITNESS": str(self._witness),
            # Answers that are compared name no port, which is another one after each start.
            "PUBLIC_BASE_URL": "http://chaos.test",
            **({"AzureWebJobsStorage": self._connection} if self._connection else {}),
            **more,
        }
        return LocalHost(
            self._folder,
            store="sqlite" if self._plan.store == "sqlite" else "azurite",
            app_root=APP,
            environment=environment,
            engine="durable-host" if self._plan.store == "engine" else "",
        )

    def _session(self, kind: str) -> Session:
        session = Session(self.app, self.ledger, kind, self._plan.seed)
        self._sessions.callback(session.close)
        return session

    def _thread(self, kind: str, journey: Journey, end: threading.Event) -> threading.Thread:
        session = self._session(kind)

        def go() -> None:
            while not end.is_set() and self._guarded(partial(journey, session)):
                pass

        thread = threading.Thread(target=go, name=kind)
        thread.start()
        return thread

    def _guarded(self, work: Callable[[], object]) -> bool:
        """Whether it could be done; if not, why is a problem of the run."""
        try:
            work()
        except Stuck as error:
            self.ledger.problem(str(error))
            return False
        except Exception:
            self.ledger.problem(traceback.format_exc())
            return False
        return True

    def _disturb(self) -> None:
        """kill -9 at any moment, as often as there is time; on faulty storage only the storage disturbs."""
        end = time.monotonic() + self._plan.seconds
        pause = (5.0, 15.0) if self._plan.store == "engine" else (0.5, 4.0)
        rounds = 0 if self._plan.store == "faults" else self._plan.rounds
        while rounds is None or len(self.app.killed) < rounds:
            time.sleep(self._random.uniform(*pause))
            if rounds is None and time.monotonic() > end:
                return
            self.app.kill()
            self.app.start()
        # On a busy machine some kind may not have had its turn by then, and few of them twice.
        while time.monotonic() < end or (not self._had_enough() and time.monotonic() < end + WITHIN):
            time.sleep(0.2)

    def _had_enough(self) -> bool:
        return self.ledger.starts.keys() == KINDS.keys() and sum(self.ledger.starts.values()) > 2 * len(KINDS)

    def _check(self, others: list[threading.Thread]) -> None:
        session = self._session("check")
        self._guarded(lambda: session.until("something goes on", lambda: self._all_listed(session)))
        if self._plan.store != "faults":
            # Once more, so that what is read again comes from the store.
            self.app.kill()
            self.app.start()
        for entry in self.ledger.accepted:
            self._guarded(lambda entry=entry: self.ledger.read_end(entry, session.send("GET", entry.path)))
        self._check_witness()
        if self._faults is not None:
            self._faults.is_on = False
        self._guarded(lambda: all_free(session))
        self._guarded(lambda: session.until("something is not deleted", lambda: self._delete_all(session)))
        self._finished.set()
        for thread in others:
            thread.join()

    def _all_listed(self, session: Session) -> bool:
        """Whether everything in the list has ended; each operation that was accepted is in it, once."""
        items = session.listing()
        ids = Counter(str(item["id"]) for item in items)
        for entry in self.ledger.accepted:
            if entry.is_listed and not entry.is_deleted and ids[entry.id] != 1:
                self.ledger.problem(f"listed {ids[entry.id]} times: {entry.kind} {entry.id}")
        return all(item["status"] in TERMINAL for item in items)

    def _delete_all(self, session: Session) -> bool:
        """Whether the list is empty, after deleting what had ended."""
        items = session.listing()
        gone = [f"/status/{item['id']}" for item in items if item["status"] in TERMINAL]
        with ThreadPoolExecutor(8) as threads:
            for answer in threads.map(partial(session.send, "DELETE"), gone):
                session.expect(answer, 204, 404)
        for entry in self.ledger.accepted:
            entry.is_deleted = entry.is_deleted or entry.is_listed
        return not items

    def _check_witness(self) -> None:
        """Of each operation that has succeeded a handler returned; where kills disturb, once, and one at a time."""
        lines = lines_of(self._witness)
        began = Counter(line.id for line in lines if line.word == "began")
        returned = {line.id for line in lines if line.word == "ended"}
        for entry in self.ledger.accepted:
            if not entry.writes or entry.end is None:
                continue
            if entry.kind == "POST, at most once" and began[entry.id] > 1:
                self.ledger.problem(f"began {began[entry.id]} times: {entry.kind} {entry.id}")
            if entry.end[0] != "Succeeded":
                continue
            if entry.id not in returned:
                self.ledger.problem(f"succeeded without its handler: {entry.kind} {entry.id}")
            elif self._plan.store != "faults":
                try:
                    check_attempts(lines, [entry.id], self.app.killed)
                except AssertionError as error:
                    self.ledger.problem(f"ran twice: {entry.kind} {entry.id}: {error}")

    def _a_day_later(self, look: Callable[[], remains.Remains]) -> remains.Remains:
        """What there is after housekeeping has come by, with a clock that is more than a day ahead."""
        left: list[remains.Remains] = []
        self.app = replace(self.app, host=self._host({"CHAOS_AHEAD": str(_DAY_AHEAD)}))
        self.app.start()
        session = self._session("a day later")

        def is_empty() -> bool:
            left[:] = [look()]
            return not remains.unexpected(left[0])

        if not self._guarded(lambda: session.until("something remains", is_empty)):
            self.ledger.problem(f"remains: {remains.unexpected(left[0]) if left else 'unknown'}")
        self.app.stop()
        return left[0] if left else {}

    def _figures(self, seconds: float, to_end: float, left: remains.Remains) -> Figures:
        began = Counter((line.id, line.word) for line in lines_of(self._witness))
        return Figures(
            seconds=round(seconds),
            kills=len(self.app.killed),
            accepted=dict(self.ledger.starts),
            unanswered=self.ledger.unanswered.total(),
            repeated=self.ledger.repeated.total(),
            ended=dict(Counter(entry.end[0] for entry in self.ledger.accepted if entry.end)),
            run_again=sum(count > 1 for (_, word), count in began.items() if word == "began"),
            last_end=round(to_end, 1),
            answers={str(code): count for code, count in sorted(self.ledger.answers.items())},
            storage_requests=self._faults.requests if self._faults else 0,
            faults={str(fault): count for fault, count in self._faults.injected.items()} if self._faults else {},
            remains={table: len(keys) for table, keys in sorted(left.items()) if keys},
            problems=self.ledger.problems,
        )


def run(plan: Plan, folder: Path) -> Figures:
    """One run, with everything that it needs started and stopped. The folder keeps the host's log and the witness."""
    with _store(plan, folder) as (started, look):
        return started.run(look)


@contextmanager
def _store(plan: Plan, folder: Path) -> Generator[tuple[ChaosRun, Callable[[], remains.Remains]]]:
    if plan.store == "sqlite":
        yield ChaosRun(plan, folder), partial(remains.in_folder, folder / "data")
        return
    with emulator() as (_, connection):
        look = partial(remains.in_account, connection)
        if plan.store != "faults":
            yield ChaosRun(plan, folder, connection), look
            return
        faults = FaultPlan(seed=random.Random(plan.seed).randrange(2**32), every=EVERY)
        with behind_faults(connection, faults) as through:
            yield ChaosRun(plan, folder, through, faults), look
