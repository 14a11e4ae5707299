"""Shared access signatures: the bearer may create and write, or read, exactly one blob until the URL expires.

learn.microsoft.com: "Create a service SAS" (account key), "Create a user delegation SAS" (identity; its key lives for
seven days at most).
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.errors import SettingsError, StorageRefused
from shared.storage.azure_calls import CALL_TIMES, CallTimes, call

if TYPE_CHECKING:
    from azure.storage.blob import UserDelegationKey
    from azure.storage.blob.aio import BlobServiceClient

_CLOCK_SKEW = timedelta(minutes=5)
"""How much earlier than now a signature begins: clocks differ."""

_KEY_LIFETIME = timedelta(hours=24)
_KEY_MARGIN = timedelta(minutes=5)
_MAX_KEY_LIFETIME = timedelta(days=7)


class UrlSigner:
    """Signs URLs with what the client has: an account key, or a user delegation key, kept while it lasts."""

    def __init__(self, service: "BlobServiceClient", *, times: CallTimes = CALL_TIMES) -> None:
        self._service = service
        self._times = times
        self._key: UserDelegationKey | None = None
        self._key_expiry = datetime.min.replace(tzinfo=UTC)

    async def query(
        self, container: str, name: str, *, now: datetime, lifetime_seconds: int, disposition: str | None = None
    ) -> str:
        """The query string of an upload URL; with a `disposition`, of the answer, that of a download URL.

        Raises StorageRefused for a lifetime an identity cannot grant, SettingsError.
        """
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415  # loaded by now

        expiry = now + timedelta(seconds=lifetime_seconds)
        is_upload = disposition is None
        return generate_blob_sas(
            account_name=self._service.account_name or "",
            container_name=container,
            blob_name=name,
            permission=BlobSasPermissions(create=is_upload, write=is_upload, read=not is_upload),
            start=now - _CLOCK_SKEW,
            expiry=expiry,
            content_disposition=disposition,
            # Plain http exists on the emulator only; there, restricting the protocol would shut everybody out.
            protocol="https" if self._service.url.startswith("https:") else "https,http",
            **await self._signing_key(now, expiry),
        )

    async def _signing_key(self, now: datetime, expiry: datetime) -> dict[str, Any]:
        credential: Any = self._service.credential
        if account_key := getattr(credential, "account_key", None):
            return {"account_key": account_key}
        if not hasattr(credential, "get_token"):
            raise SettingsError(
                "upload and download URLs need an account key or an identity; the connection string has neither"
            )
        return {"user_delegation_key": await self._delegation_key(now, expiry)}

    async def _delegation_key(self, now: datetime, expiry: datetime) -> "UserDelegationKey":
        """A signature dies with its key, so the key at hand must outlive it."""
        if self._key is None or self._key_expiry < expiry + _KEY_MARGIN:
            until = max(now + _KEY_LIFETIME, expiry + _KEY_MARGIN)
            if until > now + _MAX_KEY_LIFETIME:
                raise StorageRefused("a URL signed with an identity lives for less than seven days")
            self._key = await call(
                lambda: self._service.get_user_delegation_key(now - _CLOCK_SKEW, until),
                kind="repeatable",
                what="blob service: user delegation key",
                times=self._times,
            )
            self._key_expiry = until
        return self._key
