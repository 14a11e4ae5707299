"""The ARM profile in process: requests as a host would hand them over, and an engine that runs on demand."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from shared.actions import ArmResource
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.endpoints.arm.boundary import answer
from shared.model.timing import Timing
from shared.storage.ports import Storage
from tests.support.arm_things import NAMESPACE, VERSION
from tests.support.clock import ManualClock
from tests.support.parts import Faults, FaultyStorage, RecordingEngine, settings, sqlite

SUB = "11111111-2222-3333-4444-555555555555"
OTHER_SUB = "99999999-2222-3333-4444-555555555555"
BASE = "http://h:1"
JSON = {"content-type": "application/json"}


def path_of(type: str, name: str = "", *, sub: str = SUB, group: str = "rg", namespace: str = NAMESPACE) -> str:
    path = f"/subscriptions/{sub}/resourceGroups/{group}/providers/{namespace}/{type}"
    return f"{path}/{name}" if name else path


class ArmApi:
    """Every ARM route of an application, found by its template as the host finds it."""

    def __init__(self, registry: Registry, storage: Storage, folder: Path, **environment: str) -> None:
        self.faults = storage.faults if isinstance(storage, FaultyStorage) else Faults()
        self.storage = storage
        self.clock = ManualClock()
        self.application = Application(
            registry,
            settings=settings(folder, **environment),
            storage=storage,
            clock=self.clock,
            timing=Timing(young_wait=0),
        )
        self.engine = RecordingEngine()
        arm = self.application.arm
        self.routes: list[tuple[str, re.Pattern[str], Any]] = []
        for resource in registry.resources:
            for verb in resource.verbs:
                serve = lambda r, resource=resource, verb=verb: arm.start(r, resource, verb, self.engine)  # noqa: E731
                self._add(verb.action.method, verb.action.route, serve)
            get, *lists = resource.read_endpoints
            self._add("GET", get.route, lambda r, resource=resource: arm.get(r, resource))
            for each in lists:
                self._add("GET", each.route, lambda r, resource=resource: arm.list(r, resource))
        for resources in registry.namespaces().values():
            monitors = self.application.arm_monitors(resources)
            base = f"subscriptions/{{subscriptionId}}/providers/{resources[0].namespace}/locations/{{location}}"
            self._add(
                "GET", f"{base}/operationStatuses/{{operationId}}", lambda r, m=monitors: m.status(r, self.engine)
            )
            self._add("POST", f"{base}/operationStatuses/{{operationId}}/cancel", monitors.cancel)
            self._add(
                "GET", f"{base}/operationResults/{{operationId}}", lambda r, m=monitors: m.results(r, self.engine)
            )

    def _add(self, method: str, route: str, serve: Any) -> None:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", re.escape(route).replace(r"\{", "{").replace(r"\}", "}"))
        self.routes.append((method, re.compile(pattern, re.IGNORECASE), serve))

    async def __call__(
        self, method: str, url: str, body: Any = None, *, version: str | None = VERSION, **headers: str
    ) -> Response:
        """One request; a path gets BASE and the version. Header names are written with underscores."""
        self.clock.pass_by(microseconds=1)
        if url.startswith("/"):
            url = BASE + url
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        if version is not None and "api-version" not in query:
            query["api-version"] = version
        for known, pattern, serve in self.routes:
            found = pattern.fullmatch(parts.path.strip("/"))
            if known == method and found:
                request = Request(
                    method=method,
                    url=url,
                    headers={**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}},
                    route={name: unquote(value) for name, value in found.groupdict().items()},
                    query=query,
                    body=b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode(),
                )
                return await answer(request, serve)
        raise AssertionError(f"nothing takes {method} {url}")

    async def drain(self) -> None:
        """Run all that was started, until nothing is left to do now."""
        while self.engine.started:
            _, work = self.engine.started.pop(0)
            await self.application.runner.run(work)

    async def put(self, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> Response:
        """A PUT that is carried out."""
        response = await self("PUT", path, {"location": "westeurope", **(body or {})}, **headers)
        assert response.status in (200, 201), response.body
        await self.drain()
        return response

    async def shown(self, path: str) -> dict[str, Any]:
        response = await self("GET", path)
        assert response.status == 200, response.body
        return body_of(response)


def body_of(response: Response) -> dict[str, Any]:
    return json.loads(response.body) if response.body else {}


def headers_by_verb(resource: ArmResource) -> dict[str, tuple[bool, bool, int | None]]:
    """Of each verb: whether it has Azure-AsyncOperation, whether it has Location, and the seconds of Retry-After."""
    headers = {verb.action.name.split("/", 2)[2]: verb.headers for verb in resource.verbs}
    return {name: (each.async_operation, each.location, each.shortest_wait) for name, each in headers.items()}


def code(response: Response) -> tuple[int, str]:
    """Status and error code; the header says the same code as the body."""
    error = body_of(response).get("error", {}).get("code", "")
    assert response.headers.get("x-ms-error-code", "") == error
    return response.status, error


@asynccontextmanager
async def arm_api(folder: Path, *resources: Any, faulty: bool = False, **environment: str) -> AsyncIterator[ArmApi]:
    async with sqlite(folder) as storage:
        used: Storage = FaultyStorage(storage) if faulty else storage
        yield ArmApi(Registry(resources=resources), used, folder, **environment)
