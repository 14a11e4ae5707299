"""The router answers as the router of the Functions host answered (tests/data/host-routing.json)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from local_host.errors import RouteError
from local_host.request_path import BadPathError
from local_host.routing import HttpRoute, Router
from tests.support.host_for_tests import exchange, raw_request, running

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data" / "host-routing.json").read_text(encoding="utf-8")
)["cases"]


def router_of(case: dict[str, Any]) -> Router:
    routes = (
        HttpRoute(each["name"], each["route"], frozenset(each.get("methods") or ())) for each in case["functions"]
    )
    return Router(routes, case["routePrefix"])


ROUTERS = {case["name"]: router_of(case) for case in CASES}


def requests() -> Iterator[Any]:
    for case in CASES:
        for request in case["requests"]:
            yield pytest.param(case["name"], request, id=f"{case['name']}: {request['method']} {request['target']}")


@pytest.mark.parametrize(("case", "request_"), list(requests()))
def test_router_agrees_with_recording(case: str, request_: dict[str, Any]) -> None:
    """Function and decoded route values are those recorded; what the server refused is refused."""
    path = request_["target"].partition("?")[0]
    if request_["status"] == 400:
        with pytest.raises(BadPathError):
            ROUTERS[case].match(request_["method"], path)
        return
    match = ROUTERS[case].match(request_["method"], path)
    assert (match.function if match else None) == request_["function"]
    if match and request_["params"] is not None:
        assert match.values == request_["params"]


def app_of(case: dict[str, Any]) -> func.FunctionApp:
    """Functions that answer with their own name and what they were given."""
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    def add(name: str, route: str, methods: list[str] | None) -> None:
        async def body(req: func.HttpRequest) -> func.HttpResponse:
            seen = {"function": name, "params": dict(req.route_params)}
            return func.HttpResponse(json.dumps(seen), headers={"x-function": name})

        app.function_name(name)(app.route(route=route, methods=methods)(body))

    for each in case["functions"]:
        add(each["name"], each["route"], each.get("methods"))
    return app


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_server_agrees_with_recording(case: dict[str, Any]) -> None:
    """Over HTTP, with targets sent as they are: the same functions, statuses, values and empty bodies."""
    async with running(app_of(case), prefix=case["routePrefix"]) as host:
        for request in case["requests"]:
            status, headers, body = await exchange(host.port, raw_request(request["method"], request["target"]))
            where = f"{request['method']} {request['target']}"
            assert (status, headers.get("x-function", [None])[0]) == (request["status"], request["function"]), where
            if request["function"] is None:
                assert body == b"", where
            elif request["params"] is not None:
                # A null value is not handed to Python.
                wanted = {name: value for name, value in request["params"].items() if value is not None}
                assert json.loads(body)["params"] == wanted, where


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ("{*path}/more", "must be the last segment"),
        ("a/{b", "without its"),
        ("a}/b", "unexpected"),
        ("a//b", "twice in a row"),
        ("{a}/{A}", "more than once"),
        ("{a}{b}", "need text between"),
        ("{a?}-x", "must follow a final"),
        ("{a=1?}", "cannot have a default"),
        ("{a:nosuch}", "is unknown"),
        ("{a:length(x)}", "whole numbers"),
        ("{a:regex([)}", "not valid"),
        ("{}", "not a valid parameter"),
        ("administrators/x", "built in routes"),
        ("runtime", "built in routes"),
    ],
)
def test_refused_templates(route: str, reason: str) -> None:
    """A template the real host refuses is refused with the function's name and the reason."""
    with pytest.raises(RouteError, match=f"function 'f'.*{reason}"):
        Router([HttpRoute("f", route)], "")


def test_same_template_and_method_is_refused() -> None:
    """One template with overlapping methods in two functions is refused; without overlap it is not."""
    with pytest.raises(RouteError, match="conflicts with the route of function 'a'"):
        Router([HttpRoute("a", "x/{id}", frozenset({"GET"})), HttpRoute("b", "X/{id}")])
    Router([HttpRoute("a", "x/{id}", frozenset({"GET"})), HttpRoute("b", "x/{id}", frozenset({"PUT"}))])


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("x/{id=5}", "/x", {"id": "5"}),
        ("x/{id:int=7}", "/x/8", {"id": "8"}),
        ("{a}.{b?}", "/file", {"a": "file"}),
        ("{a}.{b?}", "/file.", None),
        ("{a}.{b?}", "/file.txt", {"a": "file", "b": "txt"}),
        ("{**rest}", "/a/b/", {"rest": "a/b/"}),
        ("x/{v:bool}", "/x/True", {"v": "True"}),
        ("x/{v:alpha}", "/x/ab1", None),
        ("x/{v:min(3)}", "/x/2", None),
        ("x/{v:max(3)}", "/x/3", {"v": "3"}),
        ("x/{v:minlength(2)}", "/x/a", None),
        ("x/{v:maxlength(2)}", "/x/abc", None),
        ("x/{v:length(2)}", "/x/ab", {"v": "ab"}),
        ("x/{v:long}", "/x/9223372036854775808", None),
        ("x/{v:decimal}", "/x/1,000.5", {"v": "1,000.5"}),
        ("x/{v:datetime}", "/x/2026-02-30", None),
        ("x/{v:file}", "/x/a.txt", {"v": "a.txt"}),
        ("x/{v:nonfile}", "/x/a.txt", None),
        ("x", "/a/../x", {}),
        ("x", "/./x", {}),
        ("x/{v:regex(^(?<y>\\d{{4}})$)}", "/x/2026", {"v": "2026"}),
    ],
)
def test_templates_and_constraints(template: str, path: str, values: dict[str, str] | None) -> None:
    """Defaults, optional parts, catch-alls, constraints and dot segments, as ASP.NET Core documents them."""
    match = Router([HttpRoute("f", template)], "").match("GET", path)
    assert (match.values if match else None) == values


def test_leading_slash_behind_a_prefix_is_reported() -> None:
    """A route with a leading slash answers nowhere once there is a prefix, and the router can tell."""
    router = Router([HttpRoute("f", "/lead/{x}")], "api")
    assert router.unreachable == ["f"]
    assert router.match("GET", "/api/lead/1") is None


def test_function_without_route_answers_under_its_name() -> None:
    """No route, or a blank one: the function's name is the route."""
    router = Router([HttpRoute("Ping", None), HttpRoute("pong", " ")])
    assert [template for _, template in router.routes] == ["api/Ping", "api/pong"]
