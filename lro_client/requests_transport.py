"""The blocking transport: `requests`, without memory, and with exchanges that can be broken off."""

from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

from azure.core.pipeline.transport import RequestsTransport
from requests import Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager, ProxyManager

from lro_client.sync_sender import line


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


class Connection(HTTPConnection):
    def request(self, *arguments: Any, **options: Any) -> None:
        with line.get().taken(self):
            super().request(*arguments, **options)


class SecureConnection(HTTPSConnection):
    def request(self, *arguments: Any, **options: Any) -> None:
        with line.get().taken(self):
            super().request(*arguments, **options)


class Pool(HTTPConnectionPool):
    ConnectionCls = cast("Any", Connection)


class SecurePool(HTTPSConnectionPool):
    ConnectionCls = cast("Any", SecureConnection)


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        _remembering(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        if isinstance(manager, ProxyManager):  # SOCKS has connections of its own
            _remembering(manager)
        return manager


def _remembering(manager: PoolManager) -> None:
    """Connections are told to the exchange that goes out by them."""
    pools: dict[str, Any] = {"http": Pool, "https": SecurePool}
    manager.pool_classes_by_scheme = pools
