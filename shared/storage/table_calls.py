"""Point reads and transactions of Azure Tables on azure-core's own pipeline: its transport, and its credentials.

azure-data-tables spends three quarters of an operation's CPU on building and reading these two, by way of generated
code and the `email` package. docs/decisions/0025-hot-table-calls.md has the figures; `OPERATIONS_TABLES_CLIENT=sdk`
goes back to the SDK for everything.
"""

from collections.abc import Sequence
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from shared.storage import table_wire as wire
from shared.storage.azure_calls import CLIENT_OPTIONS
from shared.storage.ports import Change, Row

if TYPE_CHECKING:
    from azure.core.rest import AsyncHttpResponse, HttpRequest

_SCOPE = "https://storage.azure.com/.default"
_TIMES = {name: CLIENT_OPTIONS[name] for name in ("connection_timeout", "read_timeout")}


class TableCalls:
    """One storage account's tables, over connections of its own. Used from one event loop."""

    def __init__(self, endpoint: str, credential: Any, *, transport: Any = None) -> None:
        """`endpoint` without a query; `credential` as the SDK's client takes it. Tests give a `transport`."""
        from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential  # noqa: PLC0415 - as the SDK
        from azure.core.pipeline import AsyncPipeline  # noqa: PLC0415
        from azure.core.pipeline.policies import (  # noqa: PLC0415
            AsyncBearerTokenCredentialPolicy,
            AzureSasCredentialPolicy,
        )
        from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415
        from yarl import URL  # noqa: PLC0415

        self._parse = URL
        self._endpoint = endpoint.rstrip("/")
        self._key: AzureNamedKeyCredential | None = None
        policies: list[Any] = []
        if isinstance(credential, AzureNamedKeyCredential):
            self._key = credential
        elif isinstance(credential, AzureSasCredential):
            policies.append(AzureSasCredentialPolicy(credential))
        else:
            policies.append(AsyncBearerTokenCredentialPolicy(credential, _SCOPE))
        self._options = {**_TIMES, "proxies": proxies_for(endpoint)}
        self._pipeline: AsyncPipeline[HttpRequest, AsyncHttpResponse] = AsyncPipeline(
            transport or AioHttpTransport(use_env_settings=False), policies
        )

    async def read(self, table: str, partition: str, key: str, columns: Sequence[str] | None) -> Row:
        """Raises HttpResponseError with the answer's status."""
        response = await self._send("GET", wire.read_target(table, partition, key, columns), wire.READ_HEADERS)
        if response.status_code != 200:
            raise _refused(response)
        return wire.read_row(partition, key, response.content, str(response.headers["ETag"]))

    async def write(self, table: str, partition: str, changes: Sequence[Change]) -> tuple[str | None, ...]:
        """An entity-group transaction; raises TransactionRefused where nothing was done."""
        content_type, body = wire.transaction(self._endpoint, table, partition, changes, boundary=uuid4().hex)
        headers = {"Content-Type": content_type, "Accept": "application/json", "DataServiceVersion": "3.0"}
        response = await self._send("POST", "$batch", headers, body)
        if response.status_code != 202:
            raise _refused(response)
        answer = wire.read_transaction(response.headers.get("Content-Type", ""), response.content, len(changes))
        return tuple(answer)

    async def aclose(self) -> None:
        await self._pipeline.__aexit__()

    async def _send(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None = None
    ) -> "AsyncHttpResponse":
        from azure.core.rest import HttpRequest  # noqa: PLC0415 - loaded with the pipeline by now

        # As aiohttp sends it: a signature is over the path on the wire.
        url = self._parse(f"{self._endpoint}/{target}")
        date = formatdate(usegmt=True)
        sent = {**headers, "x-ms-version": wire.VERSION, "x-ms-date": date}
        if self._key is not None:
            account, key = self._key.named_key
            sent["Authorization"] = wire.authorization(
                account, key, method=method, content_type=headers.get("Content-Type", ""), date=date, path=url.raw_path
            )
        request = HttpRequest(method, str(url), headers=sent, content=body)
        response = (await self._pipeline.run(request, **self._options)).http_response
        await response.read()
        return response


def proxies_for(endpoint: str) -> dict[str, str]:
    """The proxy that the environment names for `endpoint`, by the scheme, as azure-core's transport takes it.

    It is looked up once. Where aiohttp is to do that, it goes to a thread at each request, and to another one to read
    `.netrc`, which has nothing for a storage account.
    """
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - loaded with aiohttp by now

    at = urlsplit(endpoint)
    proxy = getproxies().get(at.scheme)
    return {at.scheme: proxy} if proxy and at.hostname and not proxy_bypass(at.hostname) else {}


def _refused(response: "AsyncHttpResponse") -> Exception:
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415

    return HttpResponseError(response=response)
