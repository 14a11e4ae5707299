"""local.settings.json, host.json and the options that follow from them."""

import argparse
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_host.cli import settle
from local_host.errors import SettingsError
from local_host.host_settings import expand, parse_host_settings
from local_host.routing import HttpRoute, Router
from local_host.settings_file import Cors, LocalSettings, merged, parse_local_settings
from shared.settings import Settings


def test_values_port_and_cors_are_read() -> None:
    """Values become strings, connection strings get their prefix, the host's part is followed."""
    local = parse_local_settings(
        json.dumps(
            {
                "IsEncrypted": False,
                "Values": {"A": "1", "B": True, "C": 3},
                "ConnectionStrings": {"Db": "Server=x"},
                "Host": {
                    "LocalHttpPort": 7072,
                    "CORS": "https://a.example, https://B.example/",
                    "CORSCredentials": True,
                },
            }
        )
    )
    assert local.values == {"A": "1", "B": "true", "C": "3", "ConnectionStrings:Db": "Server=x"}
    assert local.port == 7072
    assert local.cors == Cors(("https://a.example", "https://b.example"), credentials=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"IsEncrypted": true}', "encrypted"),
        ("{", "not valid JSON"),
        ("[]", "JSON object"),
        ('{"Values": [1]}', "Values"),
        ('{"Values": {"A": {}}}', "Values.A"),
        ('{"Host": {"LocalHttpPort": "x"}}', "LocalHttpPort"),
    ],
)
def test_what_cannot_be_followed_is_refused(text: str, reason: str) -> None:
    """A file that cannot be followed is an error that says where."""
    with pytest.raises(SettingsError, match=reason):
        parse_local_settings(text)


def test_environment_wins_over_values() -> None:
    """A variable that is set stays; of two layers the earlier wins."""
    assert merged({"A": "env"}, {"A": "file", "B": "file"}, {"B": "default", "C": "default"}) == {
        "B": "file",
        "C": "default",
    }


@pytest.mark.parametrize(
    ("cors", "origin", "allowed"),
    [
        (Cors(("*",)), "https://x.example", "*"),
        (Cors(("*",), credentials=True), "https://x.example", "https://x.example"),
        (Cors(("https://a.example",)), "https://A.example", "https://A.example"),
        (Cors(("https://a.example",)), "https://x.example", None),
    ],
)
def test_cors_origins(cors: Cors, origin: str, allowed: str | None) -> None:
    """An origin is allowed by name or by the star, which credentials turn into the origin itself."""
    assert cors.allowed(origin) == allowed


def flags(**changes: Any) -> argparse.Namespace:
    given: dict[str, Any] = {
        "app_root": Path("/app"),
        "port": None,
        "store": None,
        "data_dir": None,
        "ready_file": None,
        "engine": None,
        "processes": None,
        "stop": "drain",
        "loop": "asyncio",
        "behind": None,
        "no_local_settings": False,
    }
    return argparse.Namespace(**(given | changes))


def test_flag_environment_file_default() -> None:
    """A flag wins over the environment, which wins over the file, which wins over the default."""
    local = LocalSettings({"DATA_DIR": "kept"}, port=7072)
    everything = {"PORT": "7073", "STORE": "azurite", "DATA_DIR": "/data"}
    assert settle(flags(port=0), everything, local, 0).port == 0
    assert settle(flags(), everything, local, 0).port == 7073
    assert settle(flags(), {}, local, 0).port == 7072
    assert settle(flags(), {}, LocalSettings(), 0).port == 7071
    assert settle(flags(), everything, local, 0).store == "azurite"
    assert settle(flags(store="sqlite"), everything, local, 0).store == "sqlite"
    assert settle(flags(), everything, local, 0).data_dir == Path("/data")
    assert settle(flags(), {}, local, 0).data_dir == Path("/app/kept")
    assert settle(flags(), {}, LocalSettings(), 0).data_dir == Path("/app/.data")


def test_operations_store_of_the_environment_is_followed() -> None:
    """What the app was told to use decides the host's store; only STORE and --store say otherwise."""
    assert settle(flags(), {"OPERATIONS_STORE": "tables"}, LocalSettings(), 0).store == "azurite"
    assert settle(flags(store="sqlite"), {"OPERATIONS_STORE": "tables"}, LocalSettings(), 0).store == "sqlite"


@pytest.mark.parametrize("environment", [{"PORT": "x"}, {"PORT": "70000"}, {"STORE": "s3"}])
def test_bad_environment_is_refused(environment: dict[str, str]) -> None:
    """A variable that makes no sense is an error that names it."""
    with pytest.raises(SettingsError, match=next(iter(environment))):
        settle(flags(), environment, LocalSettings(), 0)


def test_host_json_defaults() -> None:
    """Without host.json's sections the host's own defaults hold."""
    settings = parse_host_settings("{}", {}, cores=2)
    assert (settings.route_prefix, settings.task_hub) == ("api", "TestHubName")
    assert (settings.max_concurrent_activities, settings.max_concurrent_requests) == (20, None)
    assert settings.function_timeout == timedelta(minutes=30)


def test_host_json_is_followed_and_overridden() -> None:
    """Keys ignore case, `%NAME%` expands, and AzureFunctionsJobHost__ variables win."""
    document = {
        "functionTimeout": "00:10:00",
        "extensions": {
            "http": {"routePrefix": "", "maxConcurrentRequests": 5, "maxOutstandingRequests": -1},
            "durableTask": {"hubName": "%HUB%", "maxConcurrentActivityFunctions": 8},
        },
    }
    environment = {"HUB": "Mine", "AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions": "3"}
    settings = parse_host_settings(json.dumps(document), environment, cores=2)
    assert settings.route_prefix == ""
    assert (settings.max_concurrent_requests, settings.max_outstanding_requests) == (5, None)
    assert (settings.max_concurrent_activities, settings.task_hub) == (3, "Mine")
    assert settings.function_timeout == timedelta(minutes=10)
    assert parse_host_settings('{"functionTimeout": "-1"}', {}, cores=1).function_timeout is None


@pytest.mark.parametrize("prefix", ["", None, "api", "v1/api", "/api/", "absent"])
@pytest.mark.parametrize("hub", ["Mine", "%HUB%", "%hub%x", "absent"])
def test_the_app_reads_the_same(tmp_path: Path, prefix: str | None, hub: str) -> None:
    """Where the host serves, and which hub it has, is what the app makes of the same file."""
    http = {} if prefix == "absent" else {"routePrefix": prefix}
    durable = {} if hub == "absent" else {"hubName": hub}
    file = tmp_path / "host.json"
    file.write_text(json.dumps({"extensions": {"http": http, "durableTask": durable}}))
    environment = {"HUB": "FromASetting"}
    own, app = parse_host_settings(file.read_text(), environment, cores=1), Settings.read(environment, file)
    router = Router([HttpRoute("f", "x", ("GET",))], own.route_prefix)
    assert router.match("GET", f"{app.root_path}/x") is not None
    assert own.task_hub == app.task_hub


@pytest.mark.parametrize("environment", [{}, {"HUB": ""}], ids=str)
def test_a_hub_that_no_setting_names(environment: dict[str, str]) -> None:
    """The host does not make a name up: the app would have another one."""
    with pytest.raises(SettingsError, match="'%HUB%' does not resolve: the app setting 'HUB' is not set"):
        parse_host_settings('{"extensions": {"durableTask": {"hubName": "%HUB%"}}}', environment, cores=1)


@pytest.mark.parametrize(
    "text",
    ["// no comments", "[]", '{"functionTimeout": "soon"}', '{"extensions": {"http": {"maxConcurrentRequests": 0}}}'],
)
def test_bad_host_json_is_refused(text: str) -> None:
    """A host.json that cannot be followed is an error that names the file."""
    with pytest.raises(SettingsError, match=r"host\.json"):
        parse_host_settings(text, {}, cores=1)


def test_unset_setting_in_a_binding_expression() -> None:
    """`%NAME%` without the setting is an error that names it."""
    assert expand("a%X%b", {"X": "-"}) == "a-b"
    with pytest.raises(SettingsError, match="'X' is not set"):
        expand("%X%", {})
