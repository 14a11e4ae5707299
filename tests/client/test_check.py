"""`lro check` against the app: as it is, behind prefixes and gateways, and where something is wrong with it."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from lro_client.check import findings
from lro_client.check.asking import Asker
from lro_client.check.findings import Finding, Remedy, public_base, remedy_of
from lro_client.check.trial import Trial, try_out
from lro_client.exchange import Settings
from lro_client.messages import Answer, Headers
from lro_client.steps import drive
from tests.client.clocks import QuickClock
from tests.client.hostile import hostile
from tests.client.lro_command import Done, lro
from tests.client.scripted import HOME, SUCCEEDED, Reply, Service, ServiceClock
from tests.docs.transcript import anchors
from tests.support.host import ROOT, LocalHost
from tests.support.reverse_proxy import Rules, reverse_proxy

pytestmark = [pytest.mark.timeout(90), pytest.mark.xdist_group("client-check")]

RIGHT, PROBLEMS, USAGE, STOPPED = 0, 1, 2, 4
KEY = "host-key"
WAIT = ["--action", "trial/check:wait", "--input", '{"seconds": 0.3}']
EVERYTHING = [
    "health", "clock", "authentication", "list", "version", "base URL", "routes", "start", "Retry-After",
    "monitor URL", "monitor", "caching", "end", "result", "cancel", "delete",
]  # fmt: skip


def check(url: str, *more: str, key: str | None = None, clock: Any = None) -> Done:
    return lro("check", url, *more, "-o", "json", env={"LRO_KEY": key} if key else {}, clock=clock)


def found(done: Done, outcome: str) -> dict[str, str]:
    """The checks with this outcome, and what was said of each."""
    return {each["check"]: each["message"] for each in done.json["findings"] if each["outcome"] == outcome}


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory: pytest.TempPathFactory, app_root: Path) -> Iterator[LocalHost]:
    """The app behind a route prefix of two segments."""
    environment = {"AzureFunctionsJobHost__extensions__http__routePrefix": "v1/api"}
    with LocalHost(tmp_path_factory.mktemp("check"), app_root=app_root, environment=environment) as running:
        yield running


def left_over(url: str) -> list[str]:
    items = httpx.get(f"{url}/status", params={"filter": "kind eq 'trial:wait'", "top": 100}, timeout=30).json()
    return [item["id"] for item in items["value"]]


def test_what_is_right(prefixed: LocalHost) -> None:
    """Below its prefix all is right but what a local host has not; the operations that were started are gone, and a
    second one is canceled while it runs."""
    done = check(prefixed.base, "--action", "trial/check:wait", "--input", '{"seconds": 1}')
    assert (done.code, done.err, done.json["right"]) == (RIGHT, "", True)
    assert set(found(done, "skipped")) == {"authentication"}
    assert [each["check"] for each in done.json["findings"]] == EVERYTHING
    assert found(done, "ok")["cancel"] == "Ended as Canceled"
    assert left_over(prefixed.base) == []


def test_as_text(prefixed: LocalHost) -> None:
    """A line for each finding, and under a problem what mends it; the last line counts."""
    done = lro("check", f"{prefixed.base}/")
    assert done.code == RIGHT
    assert re.search(r"^ok +list +Operations are listed$", done.out, re.MULTILINE)
    assert done.out.splitlines()[-1].startswith("no problems; lro ")
    done = lro("check", prefixed.url)
    assert done.code == PROBLEMS
    assert re.search(r"^PROBLEM  health .*\n +mend: .*\(docs/.*\)$", done.out, re.MULTILINE)
    assert "problem; lro " in done.out.splitlines()[-1]


def test_without_the_prefix(prefixed: LocalHost) -> None:
    """Nothing is at the address without the prefix, and the document about it is named."""
    done = check(prefixed.url, *WAIT)
    assert done.code == PROBLEMS
    assert "404" in found(done, "problem")["health"]
    health = next(each for each in done.json["findings"] if each["check"] == "health")
    assert health["document"] == findings.PREFIX
    assert set(EVERYTHING[7:]) - {"caching"} <= set(found(done, "skipped"))


@pytest.fixture(scope="module")
def gateway(prefixed: LocalHost) -> Iterator[str]:
    """Host, port and path are another's, and the app does not know."""
    with reverse_proxy(prefixed.url, Rules(prefix="/library", upstream="/v1/api", key=KEY)) as address:
        yield address


def test_gateway_that_the_app_does_not_know(gateway: str, prefixed: LocalHost) -> None:
    """Its URLs lead past the gateway, which is all that is wrong: the rest is looked at all the same. The setting is
    named with its value."""
    done = check(gateway, *WAIT, key=KEY)
    problems = found(done, "problem")
    assert (done.code, set(problems)) == (PROBLEMS, {"base URL", "monitor URL"})
    assert problems["monitor URL"].endswith(f"is not below {gateway}: another port and path")
    assert f"begin with {prefixed.base}" in problems["base URL"]
    for each in done.json["findings"]:
        if each["outcome"] == "problem":
            assert f"PUBLIC_BASE_URL={gateway};" in each["remedy"]
    assert set(EVERYTHING) - set(problems) == set(found(done, "ok"))


def test_gateway_that_the_app_knows(tmp_path: Path, app_root: Path) -> None:
    """With PUBLIC_BASE_URL all is right, by a key that is asked for; without the key nothing can be looked at."""
    environment: dict[str, str] = {}
    with hostile(poll=b"") as free:
        port = free.port
    environment["PUBLIC_BASE_URL"] = f"http://127.0.0.1:{port}/library"
    with (
        LocalHost(tmp_path, app_root=app_root, environment=environment) as app,
        reverse_proxy(app.url, Rules(prefix="/library", key=KEY), port=port) as address,
    ):
        done = check(address, *WAIT, key=KEY)
        assert (done.code, set(found(done, "ok"))) == (RIGHT, set(EVERYTHING)), done.out
        refused = check(address, *WAIT)
        assert (refused.code, set(found(refused, "problem"))) == (PROBLEMS, {"list"})
        assert "LRO_KEY" in found(refused, "skipped")["authentication"]
        wrong = check(address, key="another")
        assert (wrong.code, set(found(wrong, "problem"))) == (PROBLEMS, {"list"})
        assert "host-level key" in wrong.out


def test_forwarded_headers(tmp_path: Path, app_root: Path) -> None:
    """A proxy that leaves paths alone and sets X-Forwarded-Host needs TRUST_FORWARDED_HEADERS, and no more."""
    environment = {"TRUST_FORWARDED_HEADERS": "true"}
    with LocalHost(tmp_path, app_root=app_root, environment=environment) as app:
        with reverse_proxy(app.url, Rules(forwards=True)) as address:
            assert check(address, *WAIT).code == RIGHT
        with reverse_proxy(app.url, Rules()) as address:
            assert set(found(check(address, *WAIT), "problem")) == {"base URL", "monitor URL"}


def refusing(*methods: str, colon: bool = False) -> Rules:
    """A gateway that lets some requests not pass, with a page of its own."""

    def instead(request: web.Request) -> web.Response | None:
        is_refused = request.method in methods or (colon and ":cancel" in request.path)
        return web.Response(status=403, text="<h1>Blocked</h1>", content_type="text/html") if is_refused else None

    return Rules(keeps_host=True, instead=instead)


def signing_in(request: web.Request) -> web.Response | None:
    if request.path == "/health" or "x-functions-key" in request.headers:
        return None
    return web.Response(status=302, headers={"Location": "https://login.example/authorize?client_id=1"})


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (refusing("DELETE"), {"routes": "DELETE", "delete": "403"}),
        (refusing(colon=True), {"routes": ":cancel", "cancel": "403"}),
        (Rules(keeps_host=True, drops_query=True), {"version": "query does not arrive"}),
        (Rules(keeps_host=True, takes_away=frozenset({"operation-location"})), {"start": "without Operation-Location"}),
        (Rules(keeps_host=True, takes_away=frozenset({"retry-after"})), {"Retry-After": "''"}),
        (Rules(keeps_host=True, adds={"Age": "17"}), {"caching": "17 s old"}),
        (Rules(keeps_host=True, adds={"Cache-Control": "max-age=60"}), {"caching": "max-age=60"}),
        (Rules(keeps_host=True, instead=signing_in), {"authentication": "leads to https://login.example/authorize"}),
    ],
    ids=["DELETE", "colon", "query", "Operation-Location", "Retry-After", "age", "kept", "sign-in page"],
)  # fmt: skip
def test_gateways_that_do_more(app_url: str, rules: Rules, expected: dict[str, str]) -> None:
    """Each thing that a gateway must not do is named, by itself."""
    with reverse_proxy(app_url, rules) as address:
        done = check(address, *WAIT, key=KEY)
    problems = found(done, "problem")
    assert (done.code, set(problems)) == (PROBLEMS, set(expected)), done.out
    for name, text in expected.items():
        assert text in problems[name]
    documents = {each.get("document") for each in done.json["findings"] if each["outcome"] == "problem"}
    assert documents <= {findings.GATEWAYS, findings.SIGN_IN}


def test_open_to_everybody(app_url: str) -> None:
    """--anonymous says that it is meant; where a key is asked for all the same, that is a problem."""
    assert found(check(app_url, "--anonymous"), "ok")["authentication"].startswith("Everybody may call")
    with reverse_proxy(app_url, Rules(keeps_host=True, key=KEY)) as address:
        assert "authentication" in found(check(address, "--anonymous", key=KEY), "problem")


def scripted(*script: Any, base: str = HOME) -> dict[str, str]:
    """What the trial of an action finds at a service that answers so, by check; problems end with their remedy."""
    service = Service(*script)
    said: dict[str, str] = {}

    def report(finding: Finding) -> None:
        said[finding.check] = f"{finding.message} {finding.remedy.text if finding.remedy else ''}".strip()

    settings = Settings(clock=ServiceClock(service))
    drive(try_out(Asker(base, settings, None, 600.0, report), Trial("things/1:go")), service)
    return said


def test_http_behind_https() -> None:
    """An app that does not know of the TLS in front of it hands out http: a problem with the setting that mends it."""
    monitor = f"{HOME}/status/1".replace("https", "http")
    accepted = Reply(202, {"status": "NotStarted"}, {"Operation-Location": monitor, "Retry-After": "1"})
    said = scripted(accepted, SUCCEEDED)
    assert "is http" in said["monitor URL"]
    assert f"Set PUBLIC_BASE_URL={HOME};" in said["monitor URL"]
    assert said["monitor"] == "Read by its URL"


def test_pace_of_the_service() -> None:
    """Polls keep to Retry-After, and end with the time that there is."""
    headers = {"Operation-Location": f"{HOME}/status/1", "Retry-After": "7"}
    service_says = Reply(202, {"status": "NotStarted"}, headers)
    running = Reply(200, {"status": "Running"}, {"Retry-After": "7"})
    said = scripted(service_says, running)
    assert said["Retry-After"] == "7 s"
    assert said["end"].startswith("The operation is Running when the time is up")


class Shifted(QuickClock):
    """A machine whose clock is wrong by so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._seconds)


@pytest.mark.parametrize(("seconds", "word"), [(600, "ahead"), (-600, "behind")])
def test_clocks_that_differ(app_url: str, seconds: float, word: str) -> None:
    """A machine that is minutes ahead or behind is told so."""
    done = check(app_url, clock=Shifted(seconds))
    assert set(found(done, "problem")) == {"clock"}
    assert word in found(done, "problem")["clock"]


def test_versions(app_url: str) -> None:
    """An api-version that the app has not is a problem; its own is named."""
    assert found(check(app_url, "--api-version", "2026-01-01", *WAIT), "problem") == {}
    problems = found(check(app_url, "--api-version", "2001-01-01"), "problem")
    assert "UnsupportedApiVersionValue" in problems["list"]


@pytest.mark.parametrize(
    ("line", "problem", "text"),
    [
        (["--action", "trial/check:nowhere"], "start", "404 ActionNotFound: There is no such action"),
        (["--action", "trial/check:wait", "--input", '{"seconds": "long"}'], "start", "(seconds: "),
        (["--action", "trial/check:echo"], "start", "without Operation-Location"),
        (["--action", "trial/check:fail"], "end", "TrialFailed"),
        (["--action", "trial/check:wait", "--timeout", "2"], "end", "when the time is up"),
    ],
    ids=["nowhere", "input", "no operation", "failing", "too long"],
)
def test_actions_that_do_not_fit(app_url: str, line: list[str], problem: str, text: str) -> None:
    """What the action itself does wrong is told from what the deployment does; what cannot be seen then is skipped."""
    done = check(app_url, *line)
    problems = found(done, "problem")
    assert (done.code, set(problems)) == (PROBLEMS, {problem}), done.out
    assert text in problems[problem]
    assert "., " not in problems[problem]
    assert {"start", "monitor", "end", "result", "cancel", "delete"} <= {e["check"] for e in done.json["findings"]}


def test_other_starts(app_url: str) -> None:
    """A PUT of a resource is tried out as a POST is."""
    done = check(app_url, "--method", "put", "--action", "trial/check-put", "--input", '{"note": "n"}')
    assert (done.code, found(done, "problem")) == (RIGHT, {})


def test_nobody_there() -> None:
    """An address where nobody is is a problem, told once; so is http to another machine, which gets no credential."""
    with hostile(poll=b"") as server:
        url = server.url
    done = check(url, *WAIT)
    assert (done.code, set(found(done, "problem"))) == (PROBLEMS, {"health"})
    assert "refused" in found(done, "problem")["health"]
    done = check("http://192.0.2.1:9", "--timeout", "0.2", key="secret")
    assert (done.code, set(found(done, "problem"))) == (PROBLEMS, {"https", "health"})
    assert "secret" not in done.out + done.err


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["ftp://x"],
        ["/path"],
        ["http://127.0.0.1", "--input", "{}"],
        ["http://127.0.0.1", "--action", "x", "-d", "{"],
        ["http://127.0.0.1", "--action", "x", "--method", "PSOT"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_usage(line: list[str]) -> None:
    """What makes no sense exits 2 before anything is sent."""
    done = lro("check", *line)
    assert (done.code, done.out) == (USAGE, ""), done.err


def test_every_remedy_is_written() -> None:
    """Each document that a remedy names is there, and so is its heading; each setting is in the configuration."""
    named = [each for each in vars(findings).values() if isinstance(each, Remedy)]
    named += [public_base("https://contoso.example")]
    for code in ("StorageUnavailable", "NamespaceTaken", "InvalidConfiguration", "InvalidHost", "Unauthenticated"):
        named.append(remedy_of(Answer("GET", "", 500, Headers({"x-ms-error-code": code}))))
    known = (ROOT / "docs" / "configuration.md").read_text()
    for remedy in named:
        path, _, heading = remedy.document.partition("#")
        assert not heading or heading in anchors(ROOT / path), remedy
        assert (ROOT / path).is_file(), remedy
        for setting in re.findall(r"\b[A-Z]+_[A-Z_]+\b", remedy.text):
            assert setting in known or setting.startswith("LRO_"), setting
