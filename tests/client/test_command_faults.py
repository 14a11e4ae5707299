"""What the command does where something goes wrong after the service has said yes: nothing of what runs is lost."""

import json
import shlex
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.client.hostile import JSON, RUNNING, SUCCEEDED, Hostile, answer, silence
from tests.client.lro_command import environment, lro
from tests.client.lro_process import LINE, Running, lro_process

pytestmark = pytest.mark.timeout(60)

SUCCEEDS, FAILS, USAGE, _, STOPPED, UNREACHABLE, UNWRITTEN = range(7)
DENIED = answer("401 Unauthorized", JSON, '{"error": {"code": "Unauthorized", "message": "Which key?"}}')
BATCH = '{"requests": [{"id": "1", "method": "GET", "url": "Books"}]}'


@contextmanager
def serving(**answers: bytes) -> Generator[Hostile]:
    """A server with an answer for the end of each path; `start` is accepted, `query` becomes part of its monitor's URL.
    What it has no answer for it never answers."""

    def respond(connection: socket.socket, head: str) -> None:
        name = head.split(" ")[1].partition("?")[0].rpartition("/")[2].replace("$", "").replace(":", "_")
        if name == "start":
            location = f"Operation-Location: {server.url}/monitor{answers.get('query', b'').decode()}"
            connection.sendall(answer("202 Accepted", location))
        elif name in answers:
            connection.sendall(answers[name].replace(b"$HOME", server.url.encode()))
        else:
            silence(connection, head)

    server = Hostile(respond)
    try:
        yield server
    finally:
        server.close()


def ended(result: str) -> bytes:
    return answer("200 OK", JSON, f'{{"id": "1", "status": "Succeeded", "result": {result}}}')


def seen(server: Hostile, requests: int) -> None:
    """Wait until the server has so many requests."""
    deadline = time.monotonic() + 20
    while len(server.heads) < requests:
        assert time.monotonic() < deadline, server.heads
        time.sleep(0.02)


@pytest.mark.parametrize("line", ["start POST {}/start", "wait {}/monitor", "odata batch {} -d @-"], ids=str.split)
@pytest.mark.parametrize("name", ["no/such/folder", ""])
def test_token_file_that_cannot_be(tmp_path: Path, line: str, name: str) -> None:
    """A path that cannot be written is a usage error before anything is sent."""
    with serving(monitor=RUNNING) as server:
        words = line.format(server.url).split()
        done = lro(*words, "--save-token", tmp_path / name, "-o", "json", input=BATCH)
        assert (done.code, done.out, server.heads) == (USAGE, "", [])
    assert "--save-token" in done.err


def test_token_file_of_a_refused_start(tmp_path: Path) -> None:
    """Trying the path leaves nothing behind, and an older token as it was."""
    (tmp_path / "old").write_text("older")
    with serving(refused=DENIED) as server:
        for name in ("old", "new"):
            line = ["start", "POST", f"{server.url}/refused", "--save-token", tmp_path / name, "-o", "json"]
            done = lro(*line)
            assert (done.code, done.json["status"]) == (FAILS, "Failed")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "older"


@pytest.mark.parametrize("fault", ["key", "full"])
def test_start_whose_token_is_not_saved(tmp_path: Path, fault: str) -> None:
    """A start is told, waited for and resumed by its URL where no token can be made or written."""
    file = "/dev/full" if fault == "full" else str(tmp_path / "token")
    query = b"?sig=abc" if fault == "key" else b""
    with serving(monitor=SUCCEEDED, query=query) as server:
        monitor = f"{server.url}/monitor{query.decode()}"
        line = ["start", "POST", f"{server.url}/start", "--save-token", file]
        done = lro(*line, "-o", "json")
        assert (done.code, done.json["monitorUrl"]) == (SUCCEEDS, monitor)
        assert "no token was saved" in done.err
        assert monitor in done.err
        waited = lro(*line, "--wait")
        assert (waited.code, waited.out) == (SUCCEEDS, "7\n")
    with serving(monitor=RUNNING, query=query) as server:
        stopped = lro("start", "POST", f"{server.url}/start", "--save-token", file, "--wait", "--timeout", "1")
    assert stopped.code == STOPPED
    assert "To go on: lro wait " in stopped.err


def test_wait_whose_token_is_not_saved() -> None:
    """A wait goes on to its result without a token."""
    with serving(monitor=RUNNING) as server:
        done = lro("wait", f"{server.url}/monitor", "--save-token", "/dev/full", "--timeout", "1", "-o", "json")
    assert (done.code, done.json["status"]) == (STOPPED, "Running")
    assert "no token was saved" in done.err


def test_wait_saves_a_token(tmp_path: Path) -> None:
    """A monitor's URL becomes a token once it was looked at."""
    with serving(monitor=RUNNING) as server:
        done = lro("wait", f"{server.url}/monitor", "--save-token", tmp_path / "token", "--timeout", "1")
        assert f"To go on: lro resume {tmp_path}/token" in done.err
        assert json.loads((tmp_path / "token").read_text())["poll_url"] == f"{server.url}/monitor"


def test_batch_whose_token_is_not_saved() -> None:
    """A batch that goes on asynchronously prints its results without a token."""
    accepted = answer("202 Accepted", "Location: $HOME/later\nRetry-After: 0")
    results = answer("200 OK", f"{JSON}\nAsyncResult: 200", '{"responses": [{"id": "1", "status": 204}]}')
    with serving(batch=accepted, later=results) as server:
        done = lro("odata", "batch", server.url, "-d", BATCH, "--save-token", "/dev/full", "-o", "json")
    assert (done.code, done.json["result"]["responses"][0]["status"]) == (SUCCEEDS, 204), done.err
    assert "no token was saved" in done.err


@contextmanager
def endless_batch() -> Generator[Hostile]:
    """A service whose batch has always one more part, each after a while."""

    def respond(connection: socket.socket, head: str) -> None:
        time.sleep(0.2)
        link = f'"@nextLink": "{server.url}/more?at={len(server.heads)}"'
        body = f'{{"responses": [{{"id": "1", "status": 200}}], {link}}}'
        connection.sendall(answer("200 OK", JSON, body))

    server = Hostile(respond)
    try:
        yield server
    finally:
        server.close()


def test_timeout_of_a_batch_in_parts() -> None:
    """The time-out is for all parts together."""
    with endless_batch() as server:
        began = time.monotonic()
        done = lro("odata", "batch", server.url, "-d", BATCH, "--timeout", "1", "-o", "json")
    assert (done.code, done.json["error"]["code"]) == (STOPPED, "StoppedWaiting")
    assert time.monotonic() - began < 20


def test_interrupt_of_a_batch_in_parts() -> None:
    """Ctrl-C stops between its parts, too."""
    with endless_batch() as server:
        command = Running("odata", "batch", server.url, "-d", BATCH, "-o", "json")
        seen(server, 4)
        command.interrupt()
        done = command.done(within=20)
    assert (done.code, done.json["error"]["code"]) == (STOPPED, "WaitCanceled")


@pytest.mark.parametrize("command", ["status", "wait", "cancel"])
def test_status_that_nobody_knows(command: str) -> None:
    """An operation that could not be seen has no status, and least of all Failed; its monitor is told."""
    with serving(monitor=DENIED) as server:
        refused = lro(command, f"{server.url}/monitor", "-o", "json")
        assert (refused.code, refused.json["status"]) == (FAILS, None)
        assert refused.json["monitorUrl"] == f"{server.url}/monitor"
        late = lro(command, f"{server.url}/silent", "--timeout", "0.3", "-o", "json")
        assert (late.json["status"], late.json["monitorUrl"]) == (None, f"{server.url}/silent")
        assert late.code in (STOPPED, UNREACHABLE)


def test_status_as_it_was_last() -> None:
    """What runs stays Running where it cannot be canceled."""
    refusal = answer("409 Conflict", JSON, '{"error": {"code": "TooLate", "message": "No."}}')
    with serving(monitor=RUNNING, monitor_cancel=refusal) as server:
        done = lro("cancel", f"{server.url}/monitor", "-o", "json")
    assert (done.code, done.json["status"], done.json["error"]["code"]) == (FAILS, "Running", "TooLate")


@pytest.mark.parametrize(
    ("result", "shown"),
    [('{"a": "\\ud800"}', {"a": "\ud800"}), ('{"a": "€"}', {"a": "€"}), ("[NaN, -Infinity, 1e999]", [None] * 3)],
)
def test_odd_results(result: str, shown: object) -> None:
    """Lone surrogates, letters beyond ASCII and numbers that JSON has not are printed as JSON in ASCII."""
    with serving(monitor=ended(result)) as server:
        for options in ((), ("-o", "json")):
            done = lro("wait", f"{server.url}/monitor", *options, env={"PYTHONIOENCODING": "ascii"})
            assert done.code == SUCCEEDS, done.err
            found = json.loads(done.out, parse_constant=pytest.fail)
            assert (found["result"] if options else found) == shown


def test_text_beyond_the_terminal() -> None:
    """A text that the output's encoding has not is shown as far as it has."""
    with serving(monitor=ended('"5 € \\ud800"')) as server:
        for encoding, shown in (("ascii", "5 \\u20ac \\ud800\n"), ("utf-8", "5 € \\ud800\n")):
            done = lro_process("wait", f"{server.url}/monitor", env={"PYTHONIOENCODING": encoding})
            assert (done.code, done.out) == (SUCCEEDS, shown)


@pytest.mark.parametrize("result", ["[]", "0", "false", '""', "{}"])
def test_empty_results(result: str) -> None:
    """A result that is empty is a result, for status as for wait."""
    with serving(monitor=ended(result)) as server:
        for command in ("status", "wait"):
            shown = lro(command, f"{server.url}/monitor", "-o", "json").json["result"]
            assert json.dumps(shown) == result


def test_status_cannot_move_the_cursor() -> None:
    """What a monitor says is text: its escape sequences are not passed on."""
    body = {"id": "1", "status": "Run\x1b[31mning", "percentComplete": 5, "message": "\x1b[2J\x9bhello"}
    with serving(monitor=answer("200 OK", JSON, json.dumps(body))) as server:
        done = lro("status", f"{server.url}/monitor")
    assert (done.code, done.out) == (SUCCEEDS, "Run [31mning 5%  [2J hello\n")


def test_details_of_an_error() -> None:
    """In text, too, each part of the service's error has its line on stderr: code, target, message, and then its own
    parts; with nothing that a terminal would obey."""
    inner = {"code": "Deep", "message": "two\nlines\x1b[2J"}
    details = [
        {"code": "InvalidValue", "target": "upTo", "message": "Input should be a valid integer", "details": [inner]},
        {"target": "title", "message": "Field required"},
        {"code": "Alone"},
        {"code": None},
    ]
    error = {"error": {"code": "Bad", "message": "It does not fit: upTo.", "details": details}}
    refused = answer("400 Bad Request", JSON, json.dumps(error))
    failed = answer("200 OK", JSON, json.dumps({"id": "1", "status": "Failed", **error}))
    with serving(refused=refused, monitor=failed) as server:
        for line in (["start", "POST", f"{server.url}/refused"], ["wait", f"{server.url}/monitor"]):
            done = lro(*line)
            assert (done.code, done.out) == (FAILS, "")
            lines = done.err.splitlines()
            at = next(number for number, text in enumerate(lines) if "It does not fit: upTo." in text)
            assert lines[at + 1 : at + 6] == [
                "lro:   InvalidValue at upTo: Input should be a valid integer",
                "lro:     Deep: two lines [2J",
                "lro:   title: Field required",
                "lro:   Alone",
                "lro:   no reason was given",
            ]
            assert lro(*line, "-o", "json").json["error"]["details"] == details


@pytest.mark.parametrize("command", ["start POST {}/silent", "odata call {} silent", "list {}/silent"], ids=str.split)
def test_interrupt_before_the_answer(command: str) -> None:
    """Ctrl-C before an answer exits 4 with the one object; a start says that it may have been taken."""
    with serving() as server:
        running = Running(*command.format(server.url).split(), "-o", "json")
        seen(server, 1)
        running.interrupt()
        done = running.done(within=20)
    assert (done.code, done.json["error"]["code"]) == (STOPPED, "WaitCanceled")
    assert (done.json["id"], done.json["status"], done.json["monitorUrl"]) == (None, None, None)
    for text in (done.err, done.json["error"]["message"]):
        assert ("may have taken" in text) is not command.startswith("list")


@pytest.mark.parametrize("command", ["status", "cancel"])
def test_interrupt_of_a_look(command: str) -> None:
    """Ctrl-C during status or cancel exits 4 and says how to go on; nothing is canceled by it."""
    with serving(**({} if command == "status" else {"monitor": RUNNING})) as server:
        running = Running(command, f"{server.url}/monitor", "-o", "json")
        seen(server, 1 if command == "status" else 2)
        running.interrupt()
        done = running.done(within=20)
        assert (done.code, done.json["error"]["code"]) == (STOPPED, "WaitCanceled")
        assert done.json["status"] == (None if command == "status" else "Running")
        assert f"To go on: lro wait {server.url}/monitor" in done.err
        assert ("may have been asked to cancel it" in done.err) == (command == "cancel")
        assert len(server.heads) == (1 if command == "status" else 2)


def test_interrupt_that_comes_after_the_answer() -> None:
    """A start that was answered is told, whenever Ctrl-C comes."""
    with serving(monitor=RUNNING) as server:
        running = Running("start", "POST", f"{server.url}/start", "--wait", "-o", "json")
        running.until("Started")
        running.interrupt()
        done = running.done(within=20)
    assert (done.code, done.json["monitorUrl"]) == (STOPPED, f"{server.url}/monitor")


def test_third_interrupt() -> None:
    """Three of them end the command at once, also where the service does not answer the cancel."""
    with serving(monitor=RUNNING) as server:
        running = Running("wait", f"{server.url}/monitor")
        running.until("Running")
        running.interrupt()
        running.until("once more")
        running.interrupt()
        running.until("Canceling")
        running.interrupt()
        assert running.done(within=8).code == 130


def test_argument_that_is_no_text() -> None:
    """Bytes that are not UTF-8 are a usage error."""
    done = lro("start", "POST", "http://127.0.0.1/x", "-d", b'"\xff"')
    assert (done.code, "-d" in done.err, "Traceback" in done.err) == (USAGE, True, False)


@pytest.mark.parametrize("words", [["GE T", "/x"], ["POST", "/x", "-H", "X: €"], ["POST", "/x#y"]], ids=" ".join)
def test_request_that_cannot_be_sent(words: list[str]) -> None:
    """A method, a header or a URL that no request can have is a usage error, and nothing is sent."""
    with serving() as server:
        method, path, *options = words
        done = lro("start", method, server.url + path, *options, "-o", "json")
        assert (done.code, done.json["error"]["code"]) == (USAGE, "InvalidRequest")
        assert server.heads == []


def test_output_that_cannot_be_written() -> None:
    """A full disk exits 6, and says where the operation is; a pipe that nobody reads exits 6 without a word."""
    with serving(monitor=SUCCEEDED) as server, open("/dev/full", "w") as full:
        for line in (["start", "POST", f"{server.url}/start"], ["wait", f"{server.url}/monitor"]):
            for options in ((), ("-o", "json")):
                done = lro_process(*line, *options, stdout=full)
                assert (done.code, "could not be written" in done.err) == (UNWRITTEN, True)
                assert f"{server.url}/monitor" in done.err
        command = Running("start", "POST", f"{server.url}/start")
        assert command.process.stdout is not None
        command.process.stdout.close()
        assert command.process.stderr is not None
        assert (command.process.wait(20), command.process.stderr.read()) == (UNWRITTEN, "")
        command.process.stderr.close()


@pytest.mark.parametrize("where", ["2> /dev/full", "2>&-"])
def test_nobody_reads_stderr(where: str) -> None:
    """A stderr that cannot be written to does not end the wait, and what is said there does not get into the result."""
    with serving(monitor=SUCCEEDED) as server:
        line = f"exec {shlex.join([*LINE, 'wait', f'{server.url}/monitor'])} {where}"
        done = subprocess.run(["/bin/sh", "-c", line], env=environment(), stdout=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (SUCCEEDS, b"7\n")
