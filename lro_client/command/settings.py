"""Where the command finds its credential: in the environment or with azure-identity, never among the arguments."""

import os
from collections.abc import Mapping
from typing import Any

import typer
from azure.core.credentials import AccessToken, AzureKeyCredential

FAR_FUTURE = 2**31 - 1


class GivenToken:
    """A bearer token that somebody else got."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """The token, whatever it is asked for."""
        return AccessToken(self._token, FAR_FUTURE)


def credential_options(
    environment: Mapping[str, str], *, identity: bool, scope: str | None, default_scope: str | None = None
) -> dict[str, Any]:
    """`credential`, `scopes` and `key_header` of a client.

    `LRO_KEY` is sent in the header `LRO_KEY_HEADER` (x-functions-key), `LRO_TOKEN` as a bearer token; `--identity` asks
    azure-identity for a token of `--scope`. Only one of them is taken.
    """
    wanted = scope or environment.get("LRO_SCOPE") or default_scope
    found = [name for name in ("LRO_KEY", "LRO_TOKEN") if environment.get(name)]
    if len(found) + identity > 1:
        raise typer.BadParameter("there is more than one credential: take one of LRO_KEY, LRO_TOKEN and --identity")
    if identity:
        if not wanted:
            raise typer.BadParameter("--identity needs --scope or LRO_SCOPE: what to ask a token for")
        try:
            from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - only where it is installed
        except ImportError:
            raise typer.BadParameter("--identity needs azure-identity: pip install 'lro-client[identity]'") from None
        return {"credential": DefaultAzureCredential(), "scopes": (wanted,)}
    if found == ["LRO_TOKEN"]:
        return {"credential": GivenToken(environment["LRO_TOKEN"]), "scopes": (wanted or "given",)}
    if found == ["LRO_KEY"]:
        header = environment.get("LRO_KEY_HEADER") or "x-functions-key"
        return {"credential": AzureKeyCredential(environment["LRO_KEY"]), "key_header": header}
    return {}


def environment() -> Mapping[str, str]:
    return os.environ
