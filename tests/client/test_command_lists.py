"""`lro list` and `lro watch`, `lro delete` and `lro retry`, and the examples in the help of every command."""

import json
import shlex
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import typer

from lro_client.command.main import app
from tests.client.hostile import JSON, SUCCEEDED, Hostile, answer, hostile
from tests.client.lro_command import lro
from tests.client.lro_process import Terminal

pytestmark = [pytest.mark.timeout(60), pytest.mark.xdist_group("client-command")]

HEADER = "ID\tSTATUS\tKIND\tCREATED"


def started(url: str, action: str, body: str = "{}", *options: str) -> str:
    """The id of a new operation."""
    id = uuid4().hex
    done = lro("start", "POST", f"{url}/trial/c1:{action}", "-d", body, "--operation-id", id, *options)
    assert done.out or done.err
    return id


def test_list(app_url: str) -> None:
    """A header and a line for each operation; filters and limits; JSON has them as the service has."""
    id = started(app_url, "fail", "{}", "--wait")
    for _ in range(2):
        started(app_url, "nothing", "{}", "--wait")
    lines = lro("list", f"{app_url}/status", "--limit", "3").out.splitlines()
    assert (len(lines), lines[0]) == (4, HEADER)
    assert any(line.startswith(f"{id}\tFailed\ttrial:fail\t20") for line in lines[1:])
    assert lro("list", f"{app_url}/status", "--limit", "3", "--no-header").out.splitlines() == lines[1:]
    found = lro("list", f"{app_url}/status", "--filter", "status eq 'Failed'", "--top", "1", "-o", "json").json
    assert id in [item["id"] for item in found["value"]]
    assert {item["status"] for item in found["value"]} == {"Failed"}


def test_list_on_a_terminal(app_url: str) -> None:
    """On a terminal the columns are aligned under their titles."""
    id = started(app_url, "nothing", "{}", "--wait")
    terminal = Terminal("list", f"{app_url}/status", "--limit", "1")
    assert terminal.done() == 0
    header, row = terminal.shown.splitlines()[:2]
    assert header.split() == ["ID", "STATUS", "KIND", "CREATED"]
    assert row.startswith(id)
    assert row.index("Succeeded") == header.index("STATUS")
    assert row.index("trial:nothing") == header.index("KIND")


class Lists:
    """A list whose rows change from look to look; the last one stays."""

    def __init__(self, *looks: list[dict[str, object]]) -> None:
        self.looks = [answer("200 OK", JSON, json.dumps({"value": each})) for each in looks]

    def __call__(self, connection: socket.socket, head: str) -> None:
        connection.sendall(self.looks.pop(0) if len(self.looks) > 1 else self.looks[0])


def row(id: str, status: str, **more: object) -> dict[str, object]:
    return {"id": id, "status": status, "kind": "a:b", "createdDateTime": "2026-01-01T00:00:00Z", **more}


LOOKS = (
    [row("one", "NotStarted")],
    [row("two", "Running", percentComplete=40), row("one", "Running")],
    [row("two", "Running", percentComplete=40), row("one", "Succeeded")],
    [row("two", "Failed"), row("one", "Succeeded")],
)


def test_watch() -> None:
    """Without a terminal there is a line for each operation that is new or has changed, and no other; the end of all of
    them is the command's, where that is asked for."""
    with hostile(poll=Lists(*LOOKS)) as server:
        done = lro("watch", f"{server.url}/status", "--until-ended")
    assert (done.code, done.err) == (0, "")
    lines = [tuple(line.split("\t")[:2]) for line in done.out.splitlines()]
    assert lines == [
        ("ID", "STATUS"), ("one", "NotStarted"), ("one", "Running"), ("two", "Running 40%"), ("one", "Succeeded"),
        ("two", "Failed"),
    ]  # fmt: skip


def test_watch_in_json() -> None:
    """With -o json each change is one object a line, as the service has it."""
    with hostile(poll=Lists(*LOOKS)) as server:
        done = lro("watch", f"{server.url}/status", "--until-ended", "-o", "json")
    assert [(each["id"], each["status"]) for each in map(json.loads, done.out.splitlines())] == [
        ("one", "NotStarted"), ("one", "Running"), ("two", "Running"), ("one", "Succeeded"), ("two", "Failed"),
    ]  # fmt: skip


def test_watch_is_stopped() -> None:
    """--timeout stops it with 4, as it stops every wait; what is filtered and how many are asked for goes along."""
    with hostile(poll=Lists([row("one", "Running")])) as server:
        done = lro("watch", f"{server.url}/status", "--timeout", "0.3", "--filter", "a eq 1", "--limit", "5")
        assert (done.code, done.err) == (4, "")
        assert {head.partition("\r\n")[0] for head in server.heads} == {"GET /status?filter=a%20eq%201&top=5 HTTP/1.1"}


def test_watch_on_a_terminal(app_url: str) -> None:
    """On a terminal the table changes in place, and Ctrl-C ends the watch with 4."""
    id = started(app_url, "wait", '{"seconds": 60}')
    terminal = Terminal("watch", f"{app_url}/status", "--limit", "1", "--interval", "0.2")
    terminal.until("Running")
    assert "CREATED" in terminal.shown
    assert id in terminal.shown
    assert lro("cancel", f"{app_url}/status/{id}").code == 0
    terminal.until("Canceled")
    assert "\x1b[" in terminal.shown
    terminal.press_ctrl_c()
    assert terminal.done() == 4


def test_delete(app_url: str) -> None:
    """What has ended is forgotten; once more is no error. What runs is refused, with the service's reason."""
    id = started(app_url, "nothing", "{}", "--wait")
    for _ in range(2):
        done = lro("delete", f"{app_url}/status/{id}")
        assert (done.code, done.out, done.err) == (0, "", "")
    assert lro("status", f"{app_url}/status/{id}").code == 1
    id = started(app_url, "wait", '{"seconds": 60}')
    refused = lro("delete", f"{app_url}/status/{id}", "-o", "json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "OperationNotFinished")
    assert "409 OperationNotFinished" in refused.err
    assert ".." not in refused.err
    assert lro("cancel", f"{app_url}/status/{id}").code == 0


@pytest.fixture
def retrying() -> Iterator[Hostile]:
    """A service that starts an operation anew: the new one has a monitor of its own."""

    def conduct(connection: socket.socket, head: str) -> None:
        if head.startswith("POST /status/old:retry?api-version=1 "):
            connection.sendall(answer("202 Accepted", f"Operation-Location: {server.url}/status/new"))
        elif head.startswith("GET /status/new?"):
            connection.sendall(SUCCEEDED)
        else:
            error = '{"error": {"code": "RetryNotSupported", "message": "It did not fail."}}'
            connection.sendall(answer("409 Conflict", JSON, error))

    server = Hostile(conduct)
    try:
        yield server
    finally:
        server.close()


def test_retry(retrying: Hostile) -> None:
    """The new operation is printed, and with --wait followed; the query of the old one's URL goes along."""
    old = f"{retrying.url}/status/old?api-version=1"
    done = lro("retry", old)
    new = f"{retrying.url}/status/new?api-version=1"
    assert (done.code, done.out) == (0, f"{new}\n")
    waited = lro("retry", old, "--wait", "-o", "json")
    assert (waited.code, waited.json["monitorUrl"], waited.json["result"]) == (0, new, 7)


def test_retry_is_refused(retrying: Hostile) -> None:
    """What the service says is printed, and nobody is told to go on with an operation that there is not."""
    done = lro("retry", f"{retrying.url}/status/other", "-o", "json")
    assert (done.code, done.json["error"]["code"], done.json["id"]) == (1, "RetryNotSupported", None)
    assert "409: RetryNotSupported: It did not fail." in done.err
    assert "To go on" not in done.err


def test_retry_of_an_operation_of_the_app(app_url: str) -> None:
    """Our app starts a canceled operation anew with its input; one that has ended well it refuses."""
    due = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    old = started(app_url, "wait", '{"seconds": 0.25}', "--not-before", due)
    assert lro("cancel", f"{app_url}/status/{old}").code == 0
    again = lro("retry", f"{app_url}/status/{old}", "--wait", "-o", "json")
    assert (again.code, again.json["result"]) == (0, {"seconds": 0.25, "attempt": 1})
    assert again.json["id"] != old
    refused = lro("retry", again.json["monitorUrl"], "-o", "json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "OperationNotFailed")


def commands(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


EVERY = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_examples(path: tuple[str, ...]) -> None:
    """The help of each command ends with examples, which the command itself can read."""
    shown = lro(*path, "--help").out
    lines = [line.strip() for line in shown.partition("Examples:")[2].splitlines() if line.strip()]
    assert lines, shown
    for line in lines:
        words = shlex.split(line)
        assert tuple(words[: len(path) + 1]) == ("lro", *path)
        EVERY[path].make_context(path[-1], words[len(path) + 1 :])
