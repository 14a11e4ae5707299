"""Which proxy a URL is asked through: as the environment says, but nobody between this machine and itself."""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from lro_client.urls import is_loopback

NONE = {"http": None, "https": None, "all": None}
"""What `requests` is told where there must be none, whatever the environment says."""


def proxy_for(url: str) -> str | None:
    """The proxy that `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name for the URL's scheme, as `requests`
    reads them. Never one for a loopback address: what is sent there in clear, keys too, is for this machine alone."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if is_loopback(url) or proxy_bypass(host):
        return None
    found = getproxies()
    return found.get(parts.scheme) or found.get("all")
