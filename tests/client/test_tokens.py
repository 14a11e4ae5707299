"""Resume tokens: what they hold, what is refused, and .NET's form."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from lro_client import FinalState, ForeignToken, Profile, TamperedToken, TokenError, UnknownTokenVersion
from lro_client.model import Source, Track
from lro_client.tokens import MAX_TOKEN, dump, dump_dotnet, load
from tests.client.scripted import ACCEPTED, HOME, MONITOR, RUNNING, SUCCEEDED, Service

TRACK = Track(
    profile=Profile.ARM,
    method="POST",
    start_url=f"{HOME}/things/1/go?api-version=1",
    source=Source.AZURE_ASYNC_OPERATION,
    poll_url=f"{HOME}/operations/2",
    location_url=f"{HOME}/results/1",
    final_state=FinalState.LOCATION,
    monitor_url=MONITOR,
    operation_id="1",
    request_id="4f2c",
    cancel_requested=True,
)
ALLOWED = {
    "version", "profile", "method", "start_url", "source", "poll_url", "location_url", "final_state", "monitor_url",
    "operation_id", "request_id", "cancel_requested", "check",
}  # fmt: skip


def signed(content: dict[str, Any]) -> str:
    """A token with a checksum that fits, as anybody can make one."""
    content = {name: value for name, value in content.items() if name != "check"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return json.dumps(content | {"check": sha256(canonical.encode()).hexdigest()[:32]})


def test_round_trip() -> None:
    """A token says all that was known, in one line of JSON, and in no other fields than the allowed ones."""
    token = dump(TRACK)
    assert load(token) == TRACK
    assert "\n" not in token
    assert set(json.loads(token)) == ALLOWED
    small = Track(Profile.AUTO, "PUT", HOME, Source.RESOURCE, HOME)
    assert load(dump(small)) == small


def test_another_process_goes_on() -> None:
    """A client that knows nothing but the token polls where the first one would have, and gets the result."""
    token = Service(ACCEPTED).client().start("POST", "things/1:go").token()
    other = Service(RUNNING, SUCCEEDED)
    operation = other.client().resume(token)
    assert (operation.has_completed, operation.id, operation.wait()) == (False, "1", {"n": 7})
    assert other.urls == [f"GET {MONITOR}"] * 2


def test_no_credential_gets_into_a_token() -> None:
    """Neither headers nor keys in the start's URL are written; a monitor's URL that holds a key makes no token."""
    service = Service(ACCEPTED)
    client = service.client(headers={"x-functions-key": "secret-1"})
    operation = client.start("POST", "things/1:go?code=secret-2&x=1", headers={"Authorization": "Bearer secret-3"})
    assert "secret" not in operation.token() + operation.dotnet_token()
    assert json.loads(operation.token())["start_url"] == f"{HOME}/things/1:go?x=1"
    with pytest.raises(TokenError, match="code"):
        dump(replace(TRACK, poll_url=f"{MONITOR}?code=secret"))


@pytest.mark.parametrize("name", sorted(ALLOWED - {"check", "version"}))
def test_every_change_is_noticed(name: str) -> None:
    """A field that was changed or taken out makes the token useless."""
    content = json.loads(dump(TRACK))
    for changed in ({**content, name: "other"}, {key: value for key, value in content.items() if key != name}):
        with pytest.raises(TamperedToken):
            load(json.dumps(changed))


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "elsewhere"},
        {"source": "none"},
        {"profile": "soap"},
        {"final_state": "nowhere"},
        {"cancel_requested": "yes"},
        {"method": 7},
        {"callback": "os.system"},
        {"poll_url": "http://contoso.example/downgrade"},
        {"poll_url": "file:///etc/passwd"},
        {"monitor_url": "/relative"},
    ],
)
def test_what_no_token_says(changes: dict[str, Any]) -> None:
    """A checksum that fits does not help: unknown fields and words, other kinds, and unsafe URLs are refused."""
    with pytest.raises(TamperedToken):
        load(signed(json.loads(dump(TRACK)) | changes))


@pytest.mark.parametrize(
    "token", ["", "{", "[]", '"x"', "null", "gASVJgAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAtlY2hvIHB3bmVk"]
)
def test_what_is_no_token(token: str) -> None:
    """Not JSON, not an object, a pickle: refused without looking further."""
    with pytest.raises(TamperedToken):
        load(token)
    with pytest.raises(TamperedToken):
        load(" " * (MAX_TOKEN + 1))
    with pytest.raises(TamperedToken):
        load("[" * 100_000)


@pytest.mark.parametrize("version", ["lro/2", "", None, 1])
def test_unknown_version(version: Any) -> None:
    """A version that is not known says so, and names the one that is."""
    with pytest.raises(UnknownTokenVersion, match="lro/1"):
        load(signed(json.loads(dump(TRACK)) | {"version": version}))


def test_foreign_origin() -> None:
    """A client with an endpoint does not resume what was started elsewhere, so its credential goes nowhere else."""
    with pytest.raises(ForeignToken, match="other"):
        load(dump(TRACK), home="https://other.example")
    assert load(dump(TRACK), home=f"{HOME}/below").method == "POST"
    forged = signed(json.loads(dump(TRACK)) | {"poll_url": "https://evil.example/"})
    service = Service(RUNNING, SUCCEEDED)
    service.client(headers={"x-functions-key": "secret"}).resume(forged).update_status()
    assert not service.requests[0].trusted
    assert "x-functions-key" not in service.requests[0].headers


def test_what_cannot_be_resumed() -> None:
    """Where the service answered at once there is nothing to poll."""
    from tests.client.scripted import Reply

    operation = Service(Reply(200, {"n": 1})).client().start("POST", "x")
    with pytest.raises(TokenError, match="nothing"):
        operation.token()
    with pytest.raises(TokenError):
        dump_dotnet(replace(TRACK, profile=Profile.ODATA, source=Source.LOCATION))
    with pytest.raises(TokenError):
        dump_dotnet(replace(TRACK, source=Source.RESULT))


@pytest.mark.parametrize("field", ["operation_id", "request_id", "start_url"])
def test_no_token_that_cannot_be_read(field: str) -> None:
    """What a service makes too long to be resumed is refused when the token is made."""
    long = replace(TRACK, **{field: f"{HOME}/{'x' * MAX_TOKEN}"})
    with pytest.raises(TokenError, match="at most"):
        dump(long)
    if field != "request_id":
        with pytest.raises(TokenError, match="at most"):
            dump_dotnet(long)


def test_dotnet_fields() -> None:
    """The names and words are those of Azure.Core's RehydrationToken."""
    assert json.loads(dump_dotnet(TRACK)) == {
        "version": "1.0.0",
        "id": "1",
        "requestMethod": "POST",
        "initialUri": f"{HOME}/things/1/go?api-version=1",
        "nextRequestUri": f"{HOME}/operations/2",
        "headerSource": "AzureAsyncOperation",
        "finalStateVia": "Location",
        "lastKnownLocation": f"{HOME}/results/1",
    }


@pytest.mark.parametrize(
    "source", [Source.OPERATION_LOCATION, Source.AZURE_ASYNC_OPERATION, Source.LOCATION, Source.RESOURCE]
)
@pytest.mark.parametrize("state", list(FinalState))
def test_dotnet_round_trip(source: Source, state: FinalState) -> None:
    """What .NET can say comes back as it was."""
    track = replace(
        TRACK, source=source, final_state=state, request_id=None, cancel_requested=False, monitor_url=TRACK.poll_url
    )
    assert load(dump_dotnet(track), profile=Profile.ARM) == track


@pytest.mark.parametrize(
    ("missing", "field", "value"),
    [
        ("id", "operation_id", None),
        ("version", "method", "PUT"),
        ("lastKnownLocation", "location_url", None),
        ("requestMethod", "method", "GET"),
        ("finalStateVia", "final_state", None),
        ("nextRequestUri", "poll_url", f"{HOME}/things/1"),
    ],
)
def test_dotnet_fields_that_may_be_missing(missing: str, field: str, value: Any) -> None:
    """Azure.Core reads tokens without these; so do we."""
    full = {
        "version": "1.0.0",
        "id": "1",
        "requestMethod": "PUT",
        "initialUri": f"{HOME}/things/1",
        "nextRequestUri": "/operations/1",
        "headerSource": "OperationLocation",
        "finalStateVia": "OriginalUri",
        "lastKnownLocation": f"{HOME}/r",
    }
    assert load(json.dumps(full)).poll_url == MONITOR
    assert load(json.dumps(full | {"lastKnownLocation": "/r"})) == load(json.dumps(full))
    del full[missing]
    assert getattr(load(json.dumps(full)), field) == value


@pytest.mark.parametrize(
    "changes",
    [
        {"headerSource": "operationlocation"},
        {"headerSource": ""},
        {"initialUri": 3},
        {"nextRequestUri": "ftp://a/"},
        {"lastKnownLocation": "ftp://a/"},
        {"lastKnownLocation": "http://contoso.example/downgrade"},
    ],
)
def test_dotnet_tokens_that_are_refused(changes: dict[str, Any]) -> None:
    """An unknown headerSource makes Azure.Core take a running monitor for success; here it is an error."""
    full = {"initialUri": HOME, "nextRequestUri": MONITOR, "headerSource": "OperationLocation"}
    with pytest.raises(TamperedToken):
        load(json.dumps(full | changes))
