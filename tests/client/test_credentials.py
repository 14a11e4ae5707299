"""Where credentials go, and where they never go: through the real pipelines, without sockets."""

from typing import Any

import pytest
from azure.core.credentials import AccessToken, AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError

from lro_client import CredentialUnavailable, ForeignToken, Pace, Retries, UnsafeUrl
from tests.client.scripted import HOME, MONITOR, Reply
from tests.client.transports import Answering, AsyncScriptedTransport, ScriptedTransport, Sent
from tests.client.twins import Twins

SECRET = "the-secret"
KEY = AzureKeyCredential(SECRET)
ELSEWHERE = "https://elsewhere.example"
QUICK: dict[str, Any] = {
    "pace": Pace(first=0.001, longest=0.001),
    "retries": Retries(attempts=2, starts=2, first=0.001, longest=0.001),
}


class Token:
    """A credential of Microsoft Entra ID."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.scopes += scopes
        if self.error is not None:
            raise self.error
        return AccessToken(SECRET, 2**31)


class AsyncToken(Token):
    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # type: ignore[override]
        return Token.get_token(self, *scopes, **options)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *arguments: Any) -> None:
        """Nothing is open."""


def service(twins: Twins, answering: Answering, endpoint: str | None = HOME, **options: Any) -> tuple[Any, list[Sent]]:
    """A client whose requests `answering` answers, and the requests."""
    transport = (AsyncScriptedTransport if twins.is_async else ScriptedTransport)(answering)
    credential = options.pop("credential", KEY)
    return twins.client("LroClient", endpoint, credential, transport=transport, **QUICK, **options), transport.seen


def leading_to(url: str, *, header: str = "Operation-Location") -> Answering:
    """A start that leads to a URL, and operations that have succeeded."""

    def answer(sent: Sent) -> Reply:
        if sent.method == "POST" and sent.url.endswith("/start"):
            return Reply(202, headers={header: url})
        return Reply(200, {"id": "1", "status": "Succeeded", "result": 1})

    return answer


def carries_secret(sent: Sent) -> bool:
    """Whether a request carries the secret, anywhere."""
    return SECRET in str(sent)


def test_key_goes_with_every_request_home(twins: Twins) -> None:
    """A key credential is sent with the start and the polls, in the header that was named."""
    client, seen = service(twins, leading_to(MONITOR), key_header="api-key")
    assert client.run("POST", "start") == 1
    assert [sent.headers["api-key"] for sent in seen] == [SECRET, SECRET]


def test_token_credential(twins: Twins) -> None:
    """A token credential is asked for the scope, and sent as a bearer token with starts and polls."""
    credential = AsyncToken() if twins.is_async else Token()
    client, seen = service(twins, leading_to(MONITOR), credential=credential, scopes=["scope/.default"])
    assert client.run("POST", "start") == 1
    assert [sent.headers["authorization"] for sent in seen] == [f"Bearer {SECRET}"] * 2
    assert credential.scopes == ["scope/.default"]


def test_token_credential_needs_a_scope(twins: Twins) -> None:
    """Without a scope there is nothing to ask a token for."""
    with pytest.raises(ValueError, match="scopes"):
        service(twins, leading_to(MONITOR), credential=Token())


@pytest.mark.parametrize(
    "url",
    [
        f"{ELSEWHERE}/operations/1",
        "https://contoso.example:8443/operations/1",
        "https://sub.contoso.example/operations/1",
        "https://contoso.example.elsewhere.example/operations/1",
        "//elsewhere.example/operations/1",
    ],
)
@pytest.mark.parametrize("header", ["Operation-Location", "Azure-AsyncOperation", "Location"])
def test_other_origins_are_asked_anonymously(twins: Twins, url: str, header: str) -> None:
    """A monitor at another origin is polled without the credential, the client's headers, and the policies' work."""
    client, seen = service(twins, leading_to(url, header=header), headers={"x-extra": SECRET})
    client.run("POST", "start")
    assert [carries_secret(sent) for sent in seen] == [True, False]
    assert "x-ms-client-request-id" not in seen[1].headers


def test_the_starts_own_headers_stay_with_the_start(twins: Twins) -> None:
    """What is given to one start, a key perhaps, is sent with nothing else."""
    client, seen = service(twins, leading_to(MONITOR), credential=None)
    client.run("POST", "start", headers={"x-key": SECRET})
    assert [carries_secret(sent) for sent in seen] == [True, False]


def test_results_elsewhere(twins: Twins) -> None:
    """The result may lie in a store that has a signature of its own: it is fetched without our credential."""

    def answer(sent: Sent) -> Reply:
        if sent.method == "POST":
            return Reply(202, headers={"Operation-Location": MONITOR, "Location": f"{ELSEWHERE}/blob?sig=x"})
        return Reply(200, [1]) if "blob" in sent.url else Reply(200, {"status": "Succeeded"})

    client, seen = service(twins, answer)
    assert client.run("POST", "start") == [1]
    assert [carries_secret(sent) for sent in seen] == [True, True, False]


def test_cancel_and_delete_elsewhere(twins: Twins) -> None:
    """Neither gives the credential away."""

    def answer(sent: Sent) -> Reply:
        running = Reply(200, {"status": "Running"})
        return Reply(202, headers={"Operation-Location": f"{ELSEWHERE}/1"}) if sent.url.endswith("start") else running

    client, seen = service(twins, answer)
    operation = client.start("POST", "start")
    operation.cancel()
    operation.delete()
    assert [carries_secret(sent) for sent in seen] == [True, False, False]


def test_monitor_that_moves_away(twins: Twins) -> None:
    """A poll that leads elsewhere takes nothing along, and back home the credential is sent again."""
    steps = iter([f"{ELSEWHERE}/2", f"{HOME}/3"])

    def answer(sent: Sent) -> Reply:
        if sent.method == "POST":
            return Reply(202, headers={"Location": MONITOR})
        following = next(steps, None)
        return Reply(202, headers={"Location": following}) if following else Reply(200, 1)

    client, seen = service(twins, answer)
    assert client.run("POST", "start") == 1
    assert [carries_secret(sent) for sent in seen] == [True, True, False, True]


def test_allowed_origins(twins: Twins) -> None:
    """An origin that the caller allows gets the credential too."""
    client, seen = service(twins, leading_to(f"{ELSEWHERE}/1"), allowed_origins=[ELSEWHERE])
    client.run("POST", "start")
    assert [carries_secret(sent) for sent in seen] == [True, True]


def test_no_downgrade(twins: Twins) -> None:
    """From https nothing leads to http, whoever is there and even where it is allowed."""
    for url in ("http://contoso.example/operations/1", "http://127.0.0.1/operations/1"):
        client, seen = service(twins, leading_to(url), allowed_origins=["http://contoso.example"])
        with pytest.raises(UnsafeUrl, match="started over https"):
            client.start("POST", "start")
        assert len(seen) == 1


@pytest.mark.parametrize("endpoint", ["http://contoso.example", "http://10.0.0.1"])
def test_no_credential_over_http(twins: Twins, endpoint: str) -> None:
    """A credential is not sent over http at all, but to this machine; without one http is the caller's choice."""
    client, seen = service(twins, leading_to(f"{endpoint}/1"), endpoint)
    with pytest.raises(CredentialUnavailable, match="http"):
        client.start("POST", "start")
    assert seen == []
    client, seen = service(twins, leading_to(f"{endpoint}/1"), endpoint, credential=None)
    assert client.run("POST", "start") == 1


def test_bearer_token_to_this_machine(twins: Twins) -> None:
    """Local hosts have no certificate."""
    credential = AsyncToken() if twins.is_async else Token()
    home = "http://127.0.0.1:7071"
    client, seen = service(twins, leading_to(f"{home}/1"), home, credential=credential, scopes=["s"])
    assert client.run("POST", "start") == 1
    assert all(carries_secret(sent) for sent in seen)


def test_without_an_endpoint_each_start_has_its_own_home(twins: Twins) -> None:
    """The credential goes where the start went and nowhere else."""
    client, seen = service(twins, leading_to(f"{HOME}/1"), None)
    client.run("POST", f"{ELSEWHERE}/start")
    assert [carries_secret(sent) for sent in seen] == [True, False]


def test_a_client_of_an_endpoint_keeps_its_credential_there(twins: Twins) -> None:
    """A start, a monitor and a token of another origin get nothing of a client that has an endpoint."""
    client, seen = service(twins, leading_to(f"{ELSEWHERE}/1"))
    client.run("POST", f"{ELSEWHERE}/start")
    client.open(f"{ELSEWHERE}/1").wait()
    assert not any(carries_secret(sent) for sent in seen)
    roaming, _ = service(twins, leading_to(f"{ELSEWHERE}/1"), None)
    with pytest.raises(ForeignToken):
        client.resume(roaming.start("POST", f"{ELSEWHERE}/start").token())


def test_lists_keep_it_too(twins: Twins) -> None:
    """A list whose next page lies elsewhere is followed without the credential."""

    def answer(sent: Sent) -> Reply:
        return Reply(200, {"value": [], "nextLink": f"{ELSEWHERE}/2"} if "elsewhere" not in sent.url else {"value": []})

    client, seen = service(twins, answer)
    list(client.operations("status"))
    assert [carries_secret(sent) for sent in seen] == [True, False]


def test_redirects_take_nothing_along(twins: Twins) -> None:
    """A redirect is not followed at all."""
    from lro_client import UnexpectedAnswer

    client, seen = service(twins, lambda sent: Reply(307, headers={"Location": ELSEWHERE}))
    with pytest.raises(UnexpectedAnswer, match="redirect"):
        client.start("POST", "start")
    assert len(seen) == 1


def test_no_token_to_be_had(twins: Twins) -> None:
    """A credential that gives no token is an error of its own, at once."""
    kind = AsyncToken if twins.is_async else Token
    credential = kind(ClientAuthenticationError("sign in first"))
    client, seen = service(twins, leading_to(MONITOR), credential=credential, scopes=["s"])
    with pytest.raises(CredentialUnavailable, match="sign in first"):
        client.start("POST", "start")
    assert seen == []


def test_nothing_secret_in_errors_and_representations(twins: Twins) -> None:
    """Errors, operations and tokens can be logged."""
    client, _ = service(twins, lambda sent: Reply(400, {"error": {"code": "No"}}))
    with pytest.raises(Exception, match="No") as caught:
        client.start("POST", f"start?code={SECRET}")
    assert SECRET not in str(caught.value)
    client, _ = service(twins, leading_to(MONITOR))
    operation = client.start("POST", "start")
    assert SECRET not in operation.token() + repr(operation)


def test_nothing_secret_in_logs(twins: Twins, caplog: pytest.LogCaptureFixture) -> None:
    """azure-core logs requests with their headers and queries: ours are left out."""
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", "azure")  # An app that was composed in this process has made it quieter.
    client, seen = service(twins, leading_to(f"{MONITOR}?code={SECRET}"), key_header="api-key")
    client.run("POST", "start", json={"password": SECRET})
    assert all(carries_secret(sent) for sent in seen)
    assert "/operations/1" in caplog.text
    assert SECRET not in caplog.text
