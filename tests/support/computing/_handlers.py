"""What handlers in processes do, one thing each: the tests name it."""

import ctypes
import faulthandler
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from typing import Any

from shared.actions import (
    ActionCanceled,
    ActionFailed,
    ContinueLater,
    ErrorDetail,
    File,
    Model,
    RequestError,
    SyncActionContext,
)

HELD: list[bytes] = []
"""What a handler leaks."""


class Task(Model):
    """What the handler is to do."""

    do: str
    value: Any = None
    folder: str = ""
    """Where it writes what the test reads."""

    def note(self, text: str) -> None:
        with (Path(self.folder) / "notes").open("a", encoding="utf-8") as notes:
            notes.write(f"{text}\n")


class Done(Model):
    value: Any


Does = Callable[[SyncActionContext, Task], Any]
DOES: dict[str, Does] = {}


def does(function: Does) -> Does:
    DOES[function.__name__] = function
    return function


def do(context: SyncActionContext, task: Task) -> Any:
    return DOES[task.do](context, task)


# Ways to end


@does
def returns(context: SyncActionContext, task: Task) -> Done:
    return Done(value=task.value)


@does
def returns_much(context: SyncActionContext, task: Task) -> Done:
    return Done(value="x" * task.value)


@does
def returns_what_is_not_declared(context: SyncActionContext, task: Task) -> dict[str, str]:
    return {"no": "such model"}


@does
def fails(context: SyncActionContext, task: Task) -> None:
    details = [ErrorDetail("Detail", "More.", "there")]
    raise ActionFailed("Broken", "It broke.", target="here", details=details, status_code=422)


@does
def fails_for_now(context: SyncActionContext, task: Task) -> None:
    raise ActionFailed("Broken", "It broke.", retryable=True)


@does
def fails_as_a_request(context: SyncActionContext, task: Task) -> None:
    raise RequestError(409, "Busy", "Not now.", headers={"Retry-After": "5"})


@does
def raises(context: SyncActionContext, task: Task) -> None:
    raise ValueError("a secret")


@does
def leaves(context: SyncActionContext, task: Task) -> None:
    raise SystemExit(3)


@does
def goes_on(context: SyncActionContext, task: Task) -> Any:
    context.save({"slice": (context.saved or {"slice": 0})["slice"] + 1})
    if context.saved["slice"] < 3:
        raise ContinueLater
    return Done(value=context.saved)


@does
def exits(context: SyncActionContext, task: Task) -> None:
    os._exit(7)


@does
def segfaults(context: SyncActionContext, task: Task) -> None:
    faulthandler._sigsegv()  # type: ignore[attr-defined]


@does
def is_killed(context: SyncActionContext, task: Task) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@does
def writes_to_the_channel(context: SyncActionContext, task: Task) -> None:
    for number in range(3, 50):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                os.write(number, b"x" * 100)
        except OSError:
            continue
    time.sleep(60)


# What goes over the channel


@does
def shows_its_context(context: SyncActionContext, task: Task) -> dict[str, Any]:
    names = ("owner", "base_url", "api_version", "operation_id", "run_id", "action", "attempt")
    return {
        **{name: getattr(context, name) for name in names},
        "deadline": context.deadline.isoformat(),
        "time_left": context.time_left.total_seconds(),
        "link": context.link("a", b="c"),
        "max_wait": context.settings.max_wait_seconds,
        "storage": context.settings.storage.connection_string,
        "now": context.clock.now().isoformat(),
    }


@does
def reports(context: SyncActionContext, task: Task) -> None:
    for done in range(1, task.value + 1):
        context.report_progress(done=done, total=task.value, message="Counting", data={"at": done})


@does
def writes_lines(context: SyncActionContext, task: Task) -> None:
    context.logger.warning("from the %s", "handler", extra={"mine": 1, "taken": object()})
    logging.getLogger("tests.lines").info("from a library")
    logging.getLogger("tests.lines").debug("too low a level")
    print("to stdout")
    print("to stderr", file=sys.stderr)
    print("x" * 20_000)
    try:
        raise KeyError("k")
    except KeyError:
        context.logger.exception("with a trace")
    sys.stdout.write("no end of line")


@does
def floods(context: SyncActionContext, task: Task) -> None:
    for number in range(task.value):
        print(number)
        context.logger.info("%d", number)


@does
def charges_once(context: SyncActionContext, task: Task) -> Any:
    def charge() -> str:
        task.note("charged")
        return "receipt"

    value = context.once("charge", charge)
    if context.attempt == 1:
        os._exit(1)
    return [value, context.once("charge", charge)]


@does
def uses_a_bad_key(context: SyncActionContext, task: Task) -> None:
    context.once("", lambda: 1)


@does
def uses_a_key_twice(context: SyncActionContext, task: Task) -> None:
    context.once("a", lambda: 1)
    context.once("a", time.monotonic)


@does
def saves_and_dies(context: SyncActionContext, task: Task) -> Any:
    if context.saved is not None:
        return context.saved
    context.save(task.value, flush=True)
    task.note(json.dumps(context.saved))
    os._exit(1)


@does
def saves_too_much(context: SyncActionContext, task: Task) -> None:
    context.save("x" * (5 * 1024 * 1024))


@does
def locks(context: SyncActionContext, task: Task) -> None:
    context.lock("book/1")


@does
def uses_blobs(context: SyncActionContext, task: Task) -> list[Any]:
    before = context.read_blob("things", "a/b")
    context.write_blob("things", "a/b", b"x" * task.value, content_type="text/plain")
    after = context.read_blob("things", "a/b")
    return [before, len(after or b"")]


@does
def uses_a_table(context: SyncActionContext, task: Task) -> None:
    context.storage.table("things")


@does
def uses_external(context: SyncActionContext, task: Task) -> None:
    context.external.create(kind="k", owner="")


@does
def uses_resources(context: SyncActionContext, task: Task) -> None:
    context.attempt_state.wait_for(context.resources.get("/subscriptions/x"))  # type: ignore[arg-type]


@does
def saves_properties(context: SyncActionContext, task: Task) -> bool:
    return context.save_properties(task.value, {"a": 1})


@does
def names_its_modules(context: SyncActionContext, task: Task) -> list[str]:
    return sorted(sys.modules)


@does
def shows_its_process(context: SyncActionContext, task: Task) -> dict[str, Any]:
    death = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(death))  # PR_GET_PDEATHSIG
    return {
        "signal_of_parent_death": death.value,
        "pid": os.getpid(),
        "nice": os.nice(0),
        "oom": Path("/proc/self/oom_score_adj").read_text(encoding="ascii").strip(),
        "leads_its_session": os.getsid(0) == os.getpid(),
        "folder": os.getcwd(),
        "path": sys.path,
    }


@does
def leaves_a_thread(context: SyncActionContext, task: Task) -> int:
    """It goes on when the handler has ended, and uses the context then."""

    def later() -> None:
        while not context.cancel_requested:
            time.sleep(0.005)
        context.report_progress(message="of the one before")
        for use in (lambda: context.save("of the one before"), lambda: context.write_blob("things", "a", b"x" * 2**21)):
            try:
                use()
            except ActionCanceled as error:
                task.note(str(error))

    threading.Thread(target=later, daemon=True).start()
    return os.getpid()


@does
def leaves_a_thread_that_logs(context: SyncActionContext, task: Task) -> None:
    """Two threads write when the handler has ended and another runs: one in the run's own context."""

    def later(log: str) -> None:
        while not context.cancel_requested:
            time.sleep(0.005)
        context.logger.warning("by the context, %s", log)
        logging.getLogger(f"tests.{log}").warning("by a library, %s", log)
        task.note(log)

    threading.Thread(target=later, args=("alone",), daemon=True).start()
    threading.Thread(target=copy_context().run, args=(later, "in its context"), daemon=True).start()


@does
def logs_beside_others(context: SyncActionContext, task: Task) -> None:
    """A thread of its own writes, too, once those of the one before have."""
    waits_for_two_notes(context, task)
    thread = threading.Thread(target=lambda: logging.getLogger("tests.own").warning("by a library, its own"))
    thread.start()
    thread.join()


@does
def waits_for_two_notes(context: SyncActionContext, task: Task) -> int:
    notes = Path(task.folder) / "notes"
    while not notes.exists() or len(notes.read_text(encoding="utf-8").splitlines()) < 2:
        time.sleep(0.005)
    context.save("its own")
    return os.getpid()


@does
def leaks(context: SyncActionContext, task: Task) -> int:
    HELD.append(os.urandom(1) * task.value)
    return os.getpid()


# Work that takes long


@does
def heeds(context: SyncActionContext, task: Task) -> None:
    task.note(f"began {os.getpid()}")
    while True:
        context.raise_if_canceled()
        time.sleep(0.01)


@does
def spins(context: SyncActionContext, task: Task) -> None:
    task.note(f"began {os.getpid()}")
    while True:
        pass


@does
def finishes(context: SyncActionContext, task: Task) -> str:
    task.note(f"began {os.getpid()}")
    while not context.cancel_requested:
        time.sleep(0.01)
    return "finished"


@does
def dies_when_told(context: SyncActionContext, task: Task) -> None:
    task.note(f"began {os.getpid()}")
    while not context.cancel_requested:
        time.sleep(0.01)
    os._exit(9)


@does
def dies_on_command(context: SyncActionContext, task: Task) -> None:
    task.note(f"began {os.getpid()}")
    while not (Path(task.folder) / "go").exists():
        time.sleep(0.01)
    os._exit(9)


@does
def makes_children(context: SyncActionContext, task: Task) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
    task.note(f"began {child.pid}")
    child.wait()


@does
def computes_until(context: SyncActionContext, task: Task) -> None:
    while not (Path(task.folder) / "go").exists():
        sum(range(10_000))


@does
def spins_unless_told(context: SyncActionContext, task: Task) -> str:
    task.note(f"began {os.getpid()}")
    while not (Path(task.folder) / "go").exists():
        sum(range(10_000))
    return "done"


@does
def heeds_unless_told(context: SyncActionContext, task: Task) -> str:
    task.note(f"began {os.getpid()}")
    while not (Path(task.folder) / "go").exists():
        context.raise_if_canceled()
        time.sleep(0.01)
    return "done"


@does
def returns_a_file(context: SyncActionContext, task: Task) -> File:
    return File(b"x" * task.value, file_name="x.txt", content_type="text/plain")


@does
def returns_pieces(context: SyncActionContext, task: Task) -> File:
    return File((b"x" * 100_000 for _ in range(task.value // 100_000)), file_name="x.txt", content_type="text/plain")


@does
def writes_a_file(context: SyncActionContext, task: Task) -> File:
    with context.result_file(file_name="other.txt") as other:
        other.write(b"not this one")
    with context.result_file(file_name="x.txt", content_type="text/plain") as file:
        for _ in range(task.value // 100_000):
            file.write(b"x" * 100_000)
    return file


@does
def dies_over_a_file(context: SyncActionContext, task: Task) -> File:
    with context.result_file() as file:
        file.write(b"x" * 3_000_000)
        os._exit(3)


@does
def leaves_a_file_open(context: SyncActionContext, task: Task) -> File:
    try:
        with context.result_file() as file:
            raise ValueError("its content cannot be made")
    except ValueError:
        return file


_first_file: list[File] = []


@does
def returns_its_first_file(context: SyncActionContext, task: Task) -> File:
    if not _first_file:
        _first_file.append(writes_a_file(context, task))
    return _first_file[0]


@does
def returns_no_file(context: SyncActionContext, task: Task) -> Any:
    return "text"
