"""The command `lro` against the app: what it prints where, and what it exits with."""

import json
import stat
import tomllib
from pathlib import Path
from uuid import uuid4

import pytest

from tests.client.clocks import QuickClock
from tests.client.hostile import hostile
from tests.client.lro_command import lro
from tests.support.host import ROOT

pytestmark = [pytest.mark.timeout(60), pytest.mark.xdist_group("client-command")]

SUCCEEDED, FAILED, USAGE, CANCELED, TIMED_OUT, UNREACHABLE = range(6)


def started(url: str, seconds: float = 0, *options: str | Path) -> str:
    """The monitor of an operation that takes so long."""
    done = lro("start", "POST", f"{url}/trial/c1:wait", "-d", json.dumps({"seconds": seconds}), *options)
    assert done.code == SUCCEEDED, done.err
    return done.out.strip()


def test_start(app_url: str) -> None:
    """Without --wait an accepted start prints where the operation can be watched, and exits 0."""
    monitor = started(app_url)
    assert monitor.startswith(f"{app_url}/status/")
    shown = lro("start", "POST", f"{app_url}/trial/c1:wait", "-d", "{}", "-o", "json").json
    assert list(shown) == ["id", "status", "monitorUrl"]
    assert (shown["status"], shown["id"] in shown["monitorUrl"]) == ("NotStarted", True)


def test_start_and_wait(app_url: str) -> None:
    """With --wait the result alone is on stdout; what happens meanwhile is on stderr, a line for each change."""
    done = lro("start", "POST", f"{app_url}/trial/c1:progress", "-d", '{"seconds": 1.6}', "--wait")
    assert (done.code, json.loads(done.out)) == (SUCCEEDED, {"seconds": 1.6, "attempt": 1})
    assert "Running 75% step 3" in done.err
    assert "\x1b" not in done.err


@pytest.mark.parametrize("source", ["text", "file", "stdin", "file of stdin"])
def test_body(app_url: str, tmp_path: Path, source: str) -> None:
    """The body is text, a file, or standard input; it is JSON unless a header says otherwise."""
    body = '{"seconds": 0.125}'
    (tmp_path / "body.json").write_text(body)
    given = {"text": body, "file": f"@{tmp_path}/body.json", "stdin": "-", "file of stdin": "@-"}[source]
    line = ["start", "POST", f"{app_url}/trial/c1:wait", "-d", given, "--wait", "-o", "json"]
    shown = lro(*line, input=body if "stdin" in source else "").json
    assert shown["result"]["seconds"] == 0.125


def test_put_and_delete_of_a_resource(app_url: str) -> None:
    """Any method starts; a result that is nothing prints nothing."""
    done = lro("start", "put", f"{app_url}/trial/c2", "-d", '{"note": "n"}', "--wait")
    assert (done.code, json.loads(done.out)) == (SUCCEEDED, {"id": "c2", "note": "n"})
    gone = lro("start", "DELETE", f"{app_url}/trial/c2", "--wait")
    assert (gone.code, gone.out) == (SUCCEEDED, "")


def test_wait_and_status(app_url: str) -> None:
    """A monitor's URL is enough to wait and to look; status exits 0 while it runs, and after a good end."""
    lasting = started(app_url, 60)
    assert lro("status", lasting).out.strip() in ("NotStarted", "Running")
    assert lro("cancel", lasting).code == SUCCEEDED
    monitor = started(app_url, 0.25)
    assert lro("wait", monitor, "-o", "json").json["result"] == {"seconds": 0.25, "attempt": 1}
    ended = lro("status", monitor, "-o", "json")
    assert (ended.code, ended.json["status"], ended.json["result"]["attempt"]) == (SUCCEEDED, "Succeeded", 1)


def test_interval(app_url: str) -> None:
    """--interval is the time between two looks, on the clock that the entry point is given."""
    clock = QuickClock()
    assert lro("wait", started(app_url, 0.25), "--interval", "5", clock=clock).code == SUCCEEDED
    assert clock.slept
    assert max(clock.slept) == pytest.approx(5, abs=1)


def test_failure(app_url: str) -> None:
    """A failed operation exits 1 from start, wait and status, with the service's error."""
    done = lro("start", "POST", f"{app_url}/trial/c1:fail", "-d", "{}", "--wait", "-o", "json")
    assert (done.code, done.json["status"]) == (FAILED, "Failed")
    error = done.json["error"]
    assert (error["code"], error["message"]) == ("TrialFailed", "This trial always fails.")
    assert error["details"][0]["code"] == "Cracked"
    assert "This trial always fails." in done.err
    for command in ("wait", "status"):
        again = lro(command, done.json["monitorUrl"])
        assert (again.code, again.out) == (FAILED, "")


def test_refused_start(app_url: str) -> None:
    """A start that is refused exits 1: nothing runs, so there is no monitor."""
    done = lro("start", "POST", f"{app_url}/trial/busy1:refused", "-d", "{}", "-o", "json")
    assert done.code == FAILED
    assert (done.json["id"], done.json["status"], done.json["monitorUrl"]) == (None, "Failed", None)
    assert (done.json["error"]["code"], done.json["error"]["statusCode"]) == ("TrialBusy", 409)


def test_cancel(app_url: str) -> None:
    """Cancel exits 0 when it was asked; whoever waits for a canceled operation gets 3."""
    monitor = started(app_url, 60)
    canceled = lro("cancel", monitor, "-o", "json")
    assert (canceled.code, canceled.json["status"]) == (SUCCEEDED, canceled.json["status"])
    assert canceled.json["status"] in ("Canceling", "Canceled")
    waited = lro("wait", monitor, "-o", "json")
    assert (waited.code, waited.json["status"]) == (CANCELED, "Canceled")
    assert waited.json["error"]["code"] == "OperationCanceled"
    assert lro("status", monitor).code == CANCELED
    assert lro("cancel", started(app_url, 60), "--wait").code == CANCELED


def test_time_out(app_url: str) -> None:
    """Giving up exits 4, says that the operation goes on, and how to go on with it."""
    monitor = started(app_url, 60)
    done = lro("wait", monitor, "--timeout", "0.5", "-o", "json")
    assert (done.code, done.json["error"]["code"]) == (TIMED_OUT, "StoppedWaiting")
    assert "goes on" in done.err
    assert f"To go on: lro wait '{monitor}'" in done.err
    assert lro("cancel", monitor).code == SUCCEEDED


def test_nobody_there() -> None:
    """A service that cannot be reached exits 5, from every command; it has taken nothing, then."""
    with hostile(poll=b"") as server:
        url = f"{server.url}/x"
    lines = [["start", "POST", url]]
    lines += [[name, url] for name in ("wait", "status", "list", "watch", "delete", "retry")]
    for line in lines:
        done = lro(*line, "--timeout", "3", "-o", "json")
        assert (done.code, done.json["error"]["code"]) == (UNREACHABLE, "ServiceUnreachable"), done.err
        assert "may have taken" not in done.err


@pytest.mark.parametrize(
    "line",
    [
        ["start"],
        ["start", "POST"],
        ["start", "POST", "not a url"],
        ["start", "POST", "/a/path"],
        ["start", "POST", "http://127.0.0.1/x", "-d", "{no json"],
        ["start", "POST", "http://127.0.0.1/x", "-d", "@/no/such/file"],
        ["start", "POST", "http://127.0.0.1/x", "-H", "no colon"],
        ["start", "POST", "http://127.0.0.1/x", "-H", "x-functions-key: secret"],
        ["start", "POST", "http://127.0.0.1/x", "-H", "Authorization: Bearer secret"],
        ["start", "POST", "http://127.0.0.1/x", "--timeout", "-1"],
        ["start", "POST", "http://127.0.0.1/x", "--timeout", "nan"],
        ["wait", "http://127.0.0.1/x", "--interval", "NaN"],
        ["start", "POST", "http://127.0.0.1/x", "--output", "yaml"],
        ["start", "POST", "http://127.0.0.1/x", "--identity"],
        ["wait", "ftp://127.0.0.1/x"],
        ["wait", '{"version": "lro/9"}'],
        ["resume", "/no/such/file"],
        ["list"],
        ["watch"],
        ["watch", "http://127.0.0.1/status", "--limit", "0"],
        ["delete"],
        ["retry", "not a url"],
        ["frobnicate"],
        ["arm", "put", "/subscriptions/1"],
        ["odata", "batch", "http://127.0.0.1/odata", "-d", '{"requests": "none"}'],
    ],
    ids=" ".join,
)
def test_usage(line: list[str]) -> None:
    """What makes no sense exits 2 before anything is sent; stdout stays empty."""
    done = lro(*line)
    assert (done.code, done.out) == (USAGE, ""), done.err
    assert "secret" not in done.err.replace("x-functions-key: secret", "")


def test_save_token_and_resume(app_url: str, tmp_path: Path) -> None:
    """The token's file is for its owner alone; resume goes on from it to the result, also after the end."""
    path = tmp_path / "token.json"
    started(app_url, 0.5, "--save-token", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = json.loads(path.read_text())
    assert token["version"] == "lro/1"
    for _ in range(2):
        assert lro("resume", path, "-o", "json").json["result"]["seconds"] == 0.5
    assert lro("wait", path.read_text()).code == SUCCEEDED
    stopped = lro("start", "POST", f"{app_url}/trial/c1:wait", "-d", "{}", "--wait", "--timeout", "0.3",
                  "--save-token", path)  # fmt: skip
    assert f"To go on: lro resume {path}" in stopped.err


def test_token_file_as_a_target(app_url: str, tmp_path: Path) -> None:
    """wait, status and cancel take the file that --save-token has written, as resume does, and go on from it; where
    they stop they say that resume does."""
    path = tmp_path / "token.json"
    monitor = started(app_url, 60, "--save-token", path)
    looked = lro("status", path, "-o", "json")
    assert (looked.code, looked.json["monitorUrl"]) == (SUCCEEDED, monitor)
    stopped = lro("wait", path, "--timeout", "0.5", "--save-token", tmp_path / "other")
    assert (stopped.code, f"To go on: lro resume {tmp_path}/other" in stopped.err) == (TIMED_OUT, True), stopped.err
    stopped = lro("wait", path, "--timeout", "0.5")
    assert (stopped.code, f"To go on: lro resume {path}" in stopped.err) == (TIMED_OUT, True), stopped.err
    assert lro("cancel", path, "--wait").code == CANCELED
    assert lro("status", path).code == CANCELED


@pytest.mark.parametrize("command", ["wait", "status", "cancel"])
def test_targets_that_are_refused(tmp_path: Path, command: str) -> None:
    """What is neither a URL nor a file is said to be so, also where no file can have such a name; so are a file without
    a token and a folder. A token of any other origin than LRO_ENDPOINT is not followed."""
    (tmp_path / "text").write_text("no token")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xfd")
    (tmp_path / "other").write_text('{"a": 1}')
    for target, reason in (("nothing.json", "no file"), ("x" * 5000, "no file"), (tmp_path / "text", "not JSON"),
                         (tmp_path, "directory"), (tmp_path / "bytes", "cannot be read: no text"),
                         (tmp_path / "other", "it has no version"),
                         ("7f3a-1", "of an id write the monitor's URL")):  # fmt: skip
        done = lro(command, target)
        assert (done.code, done.out, reason in done.err) == (USAGE, "", True), done.err
    with hostile(poll=b"") as server:
        path = tmp_path / "token.json"
        assert lro("start", "POST", f"{server.url}/start", "--save-token", path).code == SUCCEEDED
        for target in (path, path.read_text()):
            done = lro(command, target, env={"LRO_ENDPOINT": "https://contoso.example"})
            assert (done.code, "contoso.example" in done.err) == (USAGE, True), done.err
        assert len(server.heads) == 1


@pytest.mark.parametrize("harm", ["changed", "cut", "foreign"])
def test_tokens_that_are_refused(app_url: str, tmp_path: Path, harm: str) -> None:
    """A token that was changed or cut off, or that leads elsewhere than --endpoint, exits 2 and says why."""
    path = tmp_path / "token.json"
    started(app_url, 0, "--save-token", path)
    text = path.read_text()
    path.write_text({"changed": text.replace("/status/", "/other/"), "cut": text[:80], "foreign": text}[harm])
    done = lro("resume", path, *(["--endpoint", "https://contoso.example"] if harm == "foreign" else []))
    assert (done.code, done.out) == (USAGE, "")
    assert {"changed": "was changed", "cut": "not whole", "foreign": "contoso.example"}[harm] in done.err
    assert (f"The token is from {path}." in done.err) == (harm != "foreign")


def test_version() -> None:
    """--version prints the version of the package, and the help of the command is still its own."""
    project = tomllib.loads((ROOT / "lro_client" / "pyproject.toml").read_text())["project"]
    done = lro("--version")
    assert (done.code, done.out, done.err) == (SUCCEEDED, f"lro {project['version']}\n", "")
    shown = lro("--help").out
    assert "--version" in shown
    assert "Start, watch, cancel and fetch" in shown
    assert "Exit codes" in shown


def test_operation_that_is_not_there(app_url: str) -> None:
    """An operation that is unknown, or has expired, exits 1, and nobody is told to go on with it."""
    done = lro("wait", f"{app_url}/status/{uuid4()}", "--timeout", "20")
    assert (done.code, done.out) == (FAILED, "")
    assert "there is no such operation" in done.err
    assert "To go on" not in done.err


def test_each_answer_is_one_object(app_url: str) -> None:
    """Whatever happens, --output json prints one JSON object on stdout with id, status and monitorUrl."""
    monitor = started(app_url)
    for line in (
        ["wait", monitor],
        ["status", f"{app_url}/status/{uuid4()}", "--timeout", "5"],
        ["cancel", monitor],
        ["start", "POST", f"{app_url}/no/such/path"],
    ):
        done = lro(*line, "-o", "json")
        assert {"id", "status", "monitorUrl"} <= set(done.json) <= {"id", "status", "monitorUrl", "result", "error"}


@pytest.mark.parametrize("kind", ["inline", "linked"])
def test_large_results(app_url: str, kind: str) -> None:
    """A megabyte is printed, wherever the service has it."""
    line = ("start", "POST", f"{app_url}/result/c1:{kind}", "-d", '{"size": 1000000}')
    assert json.loads(lro(*line, "--wait").out) == {"text": "x" * 1_000_000}
    monitor = lro(*line).out.strip()
    assert lro("wait", monitor).code == SUCCEEDED
    assert json.loads(lro("result", monitor).out) == {"text": "x" * 1_000_000}
