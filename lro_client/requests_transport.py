"""The blocking transport: `requests`, without memory, and with exchanges that can be broken off."""

from http.client import SWITCHING_PROTOCOLS, HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

from azure.core.pipeline.transport import RequestsTransport
from requests import Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.poolmanager import ProxyManager

from lro_client.connections import connections


def transport() -> RequestsTransport:
    """No cookies, which are credentials too, and no `.netrc`, which would override ours."""
    session = Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.auth = _no_netrc
    adapter = _Adapter()
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return RequestsTransport(session=session)


def _no_netrc(request: Any) -> Any:
    return request


class FinalResponse(HTTPResponse):
    """Reads past every interim answer (RFC 9110, section 15.2), where `http.client` does so for 100 alone. 101 is none:
    what follows it is no HTTP."""

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != SWITCHING_PROTOCOLS:
            self.headers = self.msg = cast("Any", None)
            super().begin()


class Connection(HTTPConnection):
    response_class = FinalResponse

    def request(self, *arguments: Any, **options: Any) -> None:
        with connections.get().sending(self):
            super().request(*arguments, **options)


class SecureConnection(HTTPSConnection, Connection):
    """`HTTPSConnection` has no `request` of its own."""

    def connect(self) -> None:
        """Raises `NewConnectionError` where TLS fails, too: nothing was sent then."""
        try:
            super().connect()
        except OSError as error:
            raise NewConnectionError(cast("Any", self), str(error)) from error


class Pool(HTTPConnectionPool):
    ConnectionCls = cast("Any", Connection)


class SecurePool(HTTPSConnectionPool):
    ConnectionCls = cast("Any", SecureConnection)


POOLS: dict[str, Any] = {"http": Pool, "https": SecurePool}
"""Their connections are told to the exchange that goes out by them."""


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        if isinstance(manager, ProxyManager):  # SOCKS has connections of its own
            manager.pool_classes_by_scheme = POOLS
        return manager
