"""Who asks: made once per request, for every profile. Pure."""

from dataclasses import dataclass

from shared.actions.context import RequestContext, Services
from shared.contracts import headers, versions
from shared.contracts.http import Request
from shared.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf a request is served."""

    owner: str
    """The signed-in principal, which owns what it starts; empty where callers share platform keys."""
    base_url: str
    """The public address of the app, without a slash at its end."""
    api_version: str
    """Of the profile's route; empty where the profile has none."""

    def context(self, services: Services) -> RequestContext:
        """What the code of actions is given inside the request."""
        return RequestContext(owner=self.owner, base_url=self.base_url, api_version=self.api_version, services=services)


def caller_of(request: Request, settings: Settings, *, api_version: str = "") -> Caller:
    """Raises RequestError 401 for who has to sign in first, 400 InvalidHost where the request names no usable host."""
    owner = headers.owner(request, settings)
    return Caller(owner=owner, base_url=headers.base_url(request, settings), api_version=api_version)


def dataplane_caller(request: Request, settings: Settings) -> Caller:
    """As `caller_of`, with the data plane's api-version; raises RequestError 400 for one that is not served."""
    version = versions.api_version(request, required=settings.api_version_required)
    return caller_of(request, settings, api_version=version)
