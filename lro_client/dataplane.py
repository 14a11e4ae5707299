"""Clients for Azure data-plane services (Azure REST API Guidelines, "Long-Running Operations & Jobs")."""

from uuid import uuid4

from azure.core.credentials import TokenCredential
from azure.core.credentials_async import AsyncTokenCredential

from lro_client.client import AsyncLroClient, C, ClientSteps, LroClient
from lro_client.messages import Answer
from lro_client.model import Profile
from lro_client.starting import StartOptions
from lro_client.steps import Steps
from lro_client.tracker import Tracker


class DataPlaneSteps(ClientSteps[C]):
    """A POST gets an id; a service that does not know the header does not mind it (Guidelines, "rest-headers")."""

    profile = Profile.DATA_PLANE

    def _started(
        self, method: str, path: str, options: StartOptions, deadline: float | None
    ) -> Steps[tuple[Tracker, Answer]]:
        names = {name.lower() for name in options.get("headers") or {}}
        if method.upper() == "POST" and "operation_id" not in options and "operation-id" not in names:
            options["operation_id"] = str(uuid4())
        return super()._started(method, path, options, deadline)


class DataPlaneClient(DataPlaneSteps[TokenCredential], LroClient):
    """A client of a service that answers with `Operation-Location`, blocking.

    Its POSTs carry an `Operation-Id` of their own unless they are given one, so that one whose answer is lost can be
    sent again without starting twice.
    """


class AsyncDataPlaneClient(DataPlaneSteps[AsyncTokenCredential], AsyncLroClient):
    """As `DataPlaneClient`, on an event loop."""
