"""The app behind a route prefix: everything that it hands out can be followed, and nothing lies anywhere else."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lro_client import DataPlaneClient
from tests.support.arm_things import NAMESPACE, VERSION
from tests.support.host import TEST_APP, LocalHost
from tests.support.lro import PATIENCE, TERMINAL, ask

GROUP = f"subscriptions/{uuid4()}/resourceGroups/rg/providers/{NAMESPACE}"
OVERRIDE = "AzureFunctionsJobHost__extensions__http__routePrefix"
PUBLIC = "https://api.example.com/library"


@pytest.fixture(scope="module")
def app_without_prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tests' own app, with a host.json that says nothing of a prefix: the platform's default, `api`."""
    folder = tmp_path_factory.mktemp("prefixed-app")
    for name in ("function_app.py", "actions"):
        (folder / name).symlink_to(TEST_APP / name)
    settings = json.loads((TEST_APP / "host.json").read_text())
    del settings["extensions"]["http"]["routePrefix"]
    (folder / "host.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def host(app_without_prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    with LocalHost(tmp_path_factory.mktemp("prefixed"), app_root=app_without_prefix) as running:
        yield running


@pytest.fixture(scope="module")
def public_host(app_without_prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    """Behind another prefix, of two segments and from an app setting, and behind a gateway."""
    environment = {OVERRIDE: "V1/api", "PUBLIC_BASE_URL": PUBLIC}
    folder = tmp_path_factory.mktemp("public")
    with LocalHost(folder, app_root=app_without_prefix, environment=environment) as running:
        yield running


def followed(host: LocalHost, url: str) -> httpx.Response:
    """The answer to a URL that the app has handed out."""
    assert url.startswith(f"{host.url}/api/"), url
    return ask("GET", url)


def ended(host: LocalHost, url: str) -> httpx.Response:
    """The last answer of a monitor, which says that it has ended by its status code or in its body."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = followed(host, url)
        if answer.status_code != 202 and answer.json().get("status", "Succeeded") in TERMINAL:
            return answer
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)


def test_ready_line(host: LocalHost, public_host: LocalHost) -> None:
    """The host says where the routes begin, and where the page is; the listed URLs have the prefix as well."""
    assert f"Ready on {host.url}/api after" in host.log
    assert f"Try it on {host.url}/api/docs\n" in host.log
    assert f"status: [GET,HEAD] {host.url}/api/status/{{operation_id}}\n" in host.log
    assert (host.base, public_host.base) == (f"{host.url}/api", f"{public_host.url}/V1/api")
    assert f"Try it on {public_host.url}/V1/api/docs\n" in public_host.log


def test_data_plane(host: LocalHost) -> None:
    """Monitors, also that of an operation at its own URL, and the list's next page are below the prefix."""
    started = ask("POST", f"{host.base}/trial/t1:nothing", json={})
    assert started.status_code == 202
    assert ended(host, started.headers["operation-location"]).json()["status"] == "Succeeded"
    put = ask("PUT", f"{host.base}/trial-jobs/j1", json={})
    assert put.status_code == 201
    assert put.headers["operation-location"].startswith(f"{host.base}/trial-jobs/j1?")
    assert ended(host, put.headers["operation-location"]).json()["kind"] == "trial:job"
    page = ask("GET", f"{host.base}/status?top=1").json()
    assert followed(host, page["nextLink"]).json()["value"]


def test_the_client(host: LocalHost) -> None:
    """The client takes the base as its endpoint, and the URLs as they are."""
    with DataPlaneClient(host.base) as client:
        assert client.run("POST", "trial/t1:wait", json={"seconds": 0}, timeout=PATIENCE) is not None


def test_paths(host: LocalHost) -> None:
    """Known and unknown paths are told apart below the prefix, in any case; beside it there is nothing of the app."""
    assert ask("GET", f"{host.url}/API/status").status_code == 200
    refused = ask("PUT", f"{host.base}/status/x1")
    assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, GET, HEAD")
    for method in ("GET", "POST"):
        assert "nothing" in ask(method, f"{host.base}/trial/t1:burn").json()["error"]["message"]
    assert ask("GET", f"{host.base}/odata/Nowhere").headers["odata-version"]
    assert "x-ms-correlation-request-id" in ask("PUT", f"{host.base}/subscriptions/x").headers
    for path in ("/status", "/health", "/docs", "/apistatus", "/robots933456.txt"):
        answer = ask("GET", f"{host.url}{path}")
        assert (answer.status_code, answer.content) == (404, b"")


def test_root(host: LocalHost) -> None:
    """Beside the prefix the root is the host's own page."""
    answer = ask("GET", host.url)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert "up and running" in answer.text


def test_arm(host: LocalHost) -> None:
    """ARM's URLs have the prefix; its ids, which are no URLs, have none."""
    version = {"api-version": VERSION}
    for name in ("a", "b"):
        made = ask("PUT", f"{host.base}/{GROUP}/bothThings/{name}", params=version, json={"location": "westeurope"})
        assert made.json()["id"] == f"/{GROUP}/bothThings/{name}"
        status = ended(host, made.headers["azure-asyncoperation"]).json()
        assert status["id"].startswith(f"/{GROUP.partition('/resourceGroups')[0]}/providers/")
        assert status["resourceId"] == f"/{GROUP}/bothThings/{name}"
    changed = ask("PATCH", f"{host.base}/{GROUP}/bothThings/a", params=version, json={"tags": {"c": "d"}})
    assert ended(host, changed.headers["location"]).json()["tags"] == {"c": "d"}
    page = ask("GET", f"{host.base}/{GROUP}/bothThings", params={**version, "$top": "1"}).json()
    rest = followed(host, page["nextLink"]).json()
    assert [each["name"] for each in (*page["value"], *rest["value"])] == ["a", "b"]


def batch(root: str, *, path: str) -> dict[str, Any]:
    """A note made and read by every form of a URL: relative, by reference, absolute, and by its path."""
    name = uuid4().hex
    body = {"id": name, "text": "x"}
    requests: list[dict[str, Any]] = [
        {"id": "1", "method": "POST", "url": "Notes", "body": body, "headers": {"Content-Type": "application/json"}},
        {"id": "2", "method": "GET", "url": "$1", "dependsOn": ["1"]},
        {"id": "3", "method": "GET", "url": f"{root}/Notes('{name}')", "dependsOn": ["1"]},
        {"id": "4", "method": "GET", "url": f"{path}/Notes('{name}')", "dependsOn": ["1"]},
        {"id": "5", "atomicityGroup": "g", "dependsOn": ["1"], "method": "PATCH", "url": f"Notes('{name}')",
         "body": {"text": "y"}, "headers": {"Content-Type": "application/json"}},
    ]  # fmt: skip
    return {"requests": requests}


def statuses(answer: httpx.Response) -> list[int]:
    return [each["status"] for each in answer.json()["responses"]]


def test_odata(host: LocalHost) -> None:
    """Contexts, entities, monitors and batches, synchronous and asynchronous, are below the prefix."""
    root = f"{host.base}/odata"
    assert followed(host, ask("GET", root).json()["@odata.context"]).status_code == 200
    sent = batch(root, path="/api/odata")
    done = ask("POST", f"{root}/$batch", json=sent)
    assert statuses(done) == [201, 200, 200, 200, 204], done.text
    made = done.json()["responses"][0]
    assert followed(host, {name.lower(): value for name, value in made["headers"].items()}["location"]).is_success
    later = ask("POST", f"{root}/$batch", json=batch(root, path="/api/odata"), headers={"Prefer": "respond-async"})
    assert later.status_code == 202
    assert statuses(ended(host, later.headers["location"])) == [201, 200, 200, 200, 204]


def test_description(host: LocalHost) -> None:
    """The description's server is where the routes begin, and the page finds its files and the description."""
    described = ask("GET", f"{host.base}/openapi.json").json()
    assert described["servers"] == [{"url": host.base}]
    assert "/status/{operation_id}" in described["paths"]
    for address in (f"{host.base}/docs", f"{host.base}/docs/"):
        page = ask("GET", address)
        links = re.findall(r'(?:href|src|data-description)="([^"]+)"', page.text)
        assert len(links) > 5
        for link in links:
            assert ask("GET", str(page.url.join(link))).status_code == 200, (address, link)


def test_public_base_url_is_the_whole_base(public_host: LocalHost) -> None:
    """Nothing is added to PUBLIC_BASE_URL, not even where requests come in behind a prefix."""
    started = ask("POST", f"{public_host.base}/trial/t1:nothing", json={})
    operation_id = started.json()["id"]
    assert started.headers["operation-location"].startswith(f"{PUBLIC}/status/{operation_id}?")
    assert ask("GET", f"{public_host.base}/status/{operation_id}").status_code == 200
    assert ask("GET", f"{public_host.base}/openapi.json").json()["servers"] == [{"url": PUBLIC}]
    assert ask("GET", f"{public_host.base}/odata").json()["@odata.context"] == f"{PUBLIC}/odata/$metadata"
    for root, path in ((f"{PUBLIC}/odata", "/library/odata"), (f"{public_host.base}/odata", "/V1/api/odata")):
        done = ask("POST", f"{public_host.base}/odata/$batch", json=batch(root, path=path))
        assert statuses(done) == [201, 200, 200, 200, 204], done.text
    thing = ask(
        "PUT", f"{public_host.base}/{GROUP}/bothThings/a", params={"api-version": VERSION}, json={"location": "w"}
    )
    assert thing.headers["azure-asyncoperation"].startswith(f"{PUBLIC}/subscriptions/")


def test_an_odd_prefix_is_refused(app_without_prefix: Path, tmp_path: Path) -> None:
    """What cannot be in a URL stops the local host with one line that names the setting."""
    host = LocalHost(tmp_path, app_root=app_without_prefix, environment={OVERRIDE: "a b"})
    with pytest.raises(AssertionError, match=f"ended with 1(?s:.*){OVERRIDE}"):
        host.start()
