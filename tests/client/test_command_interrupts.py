"""Ctrl-C, and what a terminal shows, with real signals and a real pseudo-terminal."""

import json
import re
import time
from collections.abc import Iterator

import pytest

from lro_client import LroClient, OperationCanceled, Status
from tests.client.lro_command import lro
from tests.client.lro_process import Running, Terminal

pytestmark = [pytest.mark.timeout(60), pytest.mark.xdist_group("client-command")]

CANCELED, TIMED_OUT = 3, 4


@pytest.fixture
def monitor(app_url: str) -> Iterator[str]:
    """An operation that takes a minute."""
    with LroClient(app_url) as client:
        operation = client.start("POST", "trial/i1:progress", json={"seconds": 60})
        assert operation.monitor_url is not None
        yield operation.monitor_url
        operation.try_cancel()


def status_of(monitor: str) -> Status:
    with LroClient() as client:
        return client.open(monitor).update_status().status


def waiting(monitor: str, *options: str) -> Running:
    command = Running("wait", monitor, *options)
    command.until("Running")
    return command


def test_first_ctrl_c_stops_waiting(monitor: str) -> None:
    """It exits 4, says how to go on, and the operation goes on; JSON still has its one object. What is said can be
    pasted: it goes on with the same operation."""
    command = waiting(monitor, "-o", "json")
    command.interrupt()
    done = command.done()
    assert (done.code, done.json["status"], done.json["error"]["code"]) == (TIMED_OUT, "Running", "WaitCanceled")
    assert status_of(monitor) is Status.RUNNING
    line = re.search(r"To go on: lro (wait|resume) '?([^'\n]+)'?", done.err)
    assert line is not None
    assert line[2] == monitor
    assert lro(line[1], line[2], "--timeout", "0.5").code == TIMED_OUT


def test_second_ctrl_c_cancels(monitor: str) -> None:
    """Two of them cancel the operation, and exit 3."""
    command = waiting(monitor, "-o", "json")
    command.interrupt()
    command.until("Ctrl-C once more cancels")
    command.interrupt()
    done = command.done()
    assert (done.code, done.json["status"] in ("Canceling", "Canceled")) == (CANCELED, True)
    assert "was asked to stop" in done.err
    with LroClient() as client, pytest.raises(OperationCanceled):
        client.open(monitor).wait(timeout=20)


def test_two_at_once_cancel(monitor: str) -> None:
    """An impatient pair, faster than the first answer, is two."""
    command = waiting(monitor)
    command.interrupt()
    time.sleep(0.05)
    command.interrupt()
    assert command.done().code == CANCELED


def test_cancel_on_interrupt(monitor: str) -> None:
    """With --cancel-on-interrupt the first one cancels."""
    command = waiting(monitor, "--cancel-on-interrupt")
    command.interrupt()
    done = command.done()
    assert (done.code, done.out) == (CANCELED, "")
    assert status_of(monitor) in (Status.CANCELING, Status.CANCELED)


def test_interrupt_of_what_cannot_be_canceled(app_url: str) -> None:
    """Two of them on an OData action that is not undoable: it goes on, and the exit code says so."""
    monitor = lro("odata", "call", f"{app_url}/odata", "TrialDone", "-d", '{"seconds": 8}').out.strip()
    command = Running("wait", monitor, "--profile", "odata")
    command.until("Running")
    command.interrupt()
    command.until("Ctrl-C once more")
    command.interrupt()
    done = command.done()
    assert done.code == TIMED_OUT
    assert "could not be canceled" in done.err
    assert f"lro wait '{monitor}' --profile odata" in done.err


def test_bar_on_a_terminal(app_url: str) -> None:
    """A terminal shows a bar with percent, message and elapsed time, and the result after it."""
    body = '{"seconds": 2.5}'
    terminal = Terminal("start", "POST", f"{app_url}/trial/i2:progress", "-d", body, "--wait")
    assert terminal.done() == 0
    for shown in ("Running", "75%", "step 3", "100%", "0:00:0"):
        assert shown in terminal.shown, terminal.shown
    assert "\x1b[" in terminal.shown
    assert '"attempt": 1' in terminal.shown.rpartition("100%")[2]


def test_ctrl_c_on_a_terminal(monitor: str) -> None:
    """The key does what the signal does: once stops, twice cancels; the cursor is back."""
    terminal = Terminal("wait", monitor)
    terminal.until("75%")
    terminal.press_ctrl_c()
    assert terminal.done() == TIMED_OUT
    assert "To go on: lro wait" in terminal.shown
    assert terminal.shown.rfind("\x1b[?25h") > terminal.shown.rfind("\x1b[?25l")
    again = Terminal("wait", monitor)
    again.until("75%")
    again.press_ctrl_c()
    again.until("once more")
    again.press_ctrl_c()
    assert again.done() == CANCELED


def test_messages_cannot_move_the_cursor(app_url: str) -> None:
    """What a service says is text: escape sequences in an error are not obeyed."""
    url = f"{app_url}/trial/i%1b%5b2J:no-such"
    done = lro("start", "POST", url, "-o", "json")
    assert "\x1b" not in done.err
    assert json.loads(done.out)["error"]


def test_completion() -> None:
    """The shell can complete commands."""
    import os
    import subprocess
    import sys

    from tests.client.lro_command import environment

    words = {"_LRO_COMPLETE": "complete_bash", "COMP_WORDS": "lro st", "COMP_CWORD": "1"}
    line = "import sys; sys.argv = ['lro']; from lro_client.command.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", line],
        env=os.environ | environment(words),
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == {"start", "status"}
