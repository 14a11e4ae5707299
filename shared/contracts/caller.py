"""Who asks: made once per request, for every profile. Pure."""

from shared.actions.context import RequestContext, Services
from shared.contracts import headers, principal, versions
from shared.contracts.http import Request
from shared.frozen import frozen
from shared.settings import Settings


@frozen(kw_only=True)
class Caller:
    """On whose behalf a request is served."""

    owner: str
    """The signed-in principal, which owns what it starts; empty where callers share platform keys."""
    base_url: str
    """The public address of the app, without a slash at its end."""
    api_version: str
    """Of the profile's route; empty where the profile has none."""
    may_read_all: bool = False
    """Whether the operations of all owners may be listed and read."""
    may_change_all: bool = False
    """Whether they may be canceled, deleted and run again."""

    def context(self, services: Services) -> RequestContext:
        """What the code of actions is given inside the request."""
        return RequestContext(owner=self.owner, base_url=self.base_url, api_version=self.api_version, services=services)


def caller_of(request: Request, settings: Settings, *, api_version: str = "") -> Caller:
    """Raises RequestError 401 for who has to sign in first, 400 InvalidHost where the request names no usable host."""
    owner = headers.owner(request, settings)
    roles = principal.roles(request, settings)
    return Caller(
        owner=owner,
        base_url=headers.base_url(request, settings),
        api_version=api_version,
        may_read_all=settings.operator_read_role in roles,
        may_change_all=settings.operator_cancel_role in roles,
    )


def dataplane_caller(request: Request, settings: Settings) -> Caller:
    """As `caller_of`, with the data plane's api-version; raises RequestError 400 for one that is not served."""
    version = versions.api_version(request, required=settings.api_version_required)
    return caller_of(request, settings, api_version=version)
