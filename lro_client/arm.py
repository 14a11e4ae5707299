"""Clients for Azure Resource Manager and what is built like it (ARM RPC, `async-api-reference.md`)."""

from typing import Any, Unpack

from azure.core.credentials import AzureKeyCredential, TokenCredential
from azure.core.credentials_async import AsyncTokenCredential

from lro_client.client import AsyncLroClient, C, ClientOptions, ClientSteps, LroClient, StartWithin
from lro_client.model import Profile
from lro_client.operation import AsyncOperation, Operation
from lro_client.values import T

ENDPOINT = "https://management.azure.com"
SCOPE = "https://management.azure.com/.default"


class ArmSteps(ClientSteps[C]):
    """A client whose paths are resource ids; `api_version` is the provider's."""

    profile = Profile.ARM

    def __init__(
        self,
        credential: C | AzureKeyCredential | None = None,
        *,
        api_version: str,
        endpoint: str = ENDPOINT,
        **options: Unpack[ClientOptions],
    ) -> None:
        options.setdefault("scopes", (SCOPE,))
        super().__init__(endpoint, credential, api_version=api_version, **options)


class ArmClient(ArmSteps[TokenCredential], LroClient):
    """A client of resources, blocking. Paths are resource ids; `api_version` is the provider's."""

    def create_or_replace(
        self, id: str, resource: Any, *, result: type[T] | None = None, **options: Unpack[StartWithin]
    ) -> Operation[T]:
        """PUT a resource; the value is the resource once it is ready."""
        return self.start("PUT", id, result=result, **(options | {"json": resource}))

    def update(
        self, id: str, changes: Any, *, result: type[T] | None = None, **options: Unpack[StartWithin]
    ) -> Operation[T]:
        """PATCH a resource; the value is the resource as it has become."""
        return self.start("PATCH", id, result=result, **(options | {"json": changes}))

    def delete(self, id: str, **options: Unpack[StartWithin]) -> Operation[None]:
        """DELETE a resource. Its value is None.

        404 at the resource or at a polled `Location` means that it is deleted; at a status monitor it is `MonitorGone`.
        """
        return self.start("DELETE", id, result=None, **options)

    def action(
        self,
        id: str,
        name: str,
        body: Any = None,
        *,
        result: type[T] | None = None,
        **options: Unpack[StartWithin],
    ) -> Operation[T]:
        """POST an action of a resource. `final_state` says where its result lies, if not where the headers say."""
        return self.start("POST", f"{id.rstrip('/')}/{name}", result=result, **(options | {"json": body}))


class AsyncArmClient(ArmSteps[AsyncTokenCredential], AsyncLroClient):
    """As `ArmClient`, on an event loop."""

    async def create_or_replace(
        self, id: str, resource: Any, *, result: type[T] | None = None, **options: Unpack[StartWithin]
    ) -> AsyncOperation[T]:
        """As `ArmClient.create_or_replace`."""
        return await self.start("PUT", id, result=result, **(options | {"json": resource}))

    async def update(
        self, id: str, changes: Any, *, result: type[T] | None = None, **options: Unpack[StartWithin]
    ) -> AsyncOperation[T]:
        """As `ArmClient.update`."""
        return await self.start("PATCH", id, result=result, **(options | {"json": changes}))

    async def delete(self, id: str, **options: Unpack[StartWithin]) -> AsyncOperation[None]:
        """As `ArmClient.delete`."""
        return await self.start("DELETE", id, result=None, **options)

    async def action(
        self,
        id: str,
        name: str,
        body: Any = None,
        *,
        result: type[T] | None = None,
        **options: Unpack[StartWithin],
    ) -> AsyncOperation[T]:
        """As `ArmClient.action`."""
        return await self.start("POST", f"{id.rstrip('/')}/{name}", result=result, **(options | {"json": body}))
