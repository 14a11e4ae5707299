"""All settings, read once from a mapping. Nobody else reads the environment.

Every name here is an app setting in Azure, a value in `local.settings.json`, or an environment variable of the local
host; docs/configuration.md has the same table and a test holds the two together.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from shared.errors import SettingsError, problems


def _blank_is_absent(value: object) -> object:
    """An app setting cannot be null; an empty one counts as not set."""
    return None if isinstance(value, str) and not value.strip() else value


OptionalText = Annotated[str | None, BeforeValidator(_blank_is_absent)]


_PUBLIC_URL = re.compile(
    r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
)
"""RFC 3986 without user, query and fragment: links are added to it, and its host is named to browsers."""


def _is_public_url(value: str | None) -> str | None:
    if value is not None and not _PUBLIC_URL.fullmatch(value):
        raise ValueError("write https://host, with a port and a path if need be, and no user, query or fragment")
    return value


class StorageConnection(BaseModel):
    """How tables and blobs are reached: a connection string, or service URLs with an identity.

    The names follow the Functions host's own convention for identity-based connections
    (learn.microsoft.com, "Connecting to host storage with an identity").
    """

    model_config = ConfigDict(frozen=True)

    connection_string: str | None = None
    table_service_uri: str | None = None
    blob_service_uri: str | None = None
    client_id: str | None = None
    """Client id of a user-assigned managed identity; None means the default credential."""


class Settings(BaseModel):
    """The app's settings with their defaults. Field aliases are the names people set."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    store: Literal["tables", "sqlite"] = Field("tables", alias="OPERATIONS_STORE")
    data_dir: str = Field(".data", alias="DATA_DIR")
    http_auth_level: Literal["function", "anonymous"] = Field("function", alias="HTTP_AUTH_LEVEL")
    api_version_required: bool = Field(False, alias="API_VERSION_REQUIRED")
    public_base_url: Annotated[OptionalText, AfterValidator(_is_public_url)] = Field(None, alias="PUBLIC_BASE_URL")
    trust_forwarded_headers: bool = Field(False, alias="TRUST_FORWARDED_HEADERS")
    trust_referer: bool = Field(False, alias="TRUST_REFERER")
    trust_platform_auth: bool = Field(False, alias="TRUST_PLATFORM_AUTH")
    platform_auth_enabled: bool = Field(False, alias="WEBSITE_AUTH_ENABLED")
    site_hostname: OptionalText = Field(None, alias="WEBSITE_HOSTNAME")
    max_body_bytes: int = Field(1_048_576, alias="MAX_BODY_BYTES", ge=1, le=104_857_600)
    max_upload_bytes: int = Field(268_435_456, alias="MAX_UPLOAD_BYTES", ge=1)
    max_wait_seconds: int = Field(20, alias="MAX_WAIT_SECONDS", ge=0, le=200)
    sync_timeout_seconds: int = Field(100, alias="SYNC_TIMEOUT_SECONDS", ge=1, le=220)
    sync_handler_threads: int = Field(8, alias="SYNC_HANDLER_THREADS", ge=1, le=256)
    housekeeping_schedule: str = Field("0 * * * * *", alias="HOUSEKEEPING_SCHEDULE", min_length=1)
    storage: StorageConnection = Field(default_factory=StorageConnection)

    @model_validator(mode="before")
    @classmethod
    def _drop_blank(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if _blank_is_absent(value) is not None}

    @property
    def own_url(self) -> str:
        """Where this app is reached, for links that are made without a request at hand; plain HTTP on this machine."""
        host = self.site_hostname or "localhost:7071"
        scheme = "http" if host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
        return (self.public_base_url or f"{scheme}://{host}").rstrip("/")

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """Read and check; raises SettingsError naming every setting that cannot be read."""
        known = {field.alias for field in cls.model_fields.values() if field.alias}
        values: dict[str, object] = {name: environment[name] for name in known if name in environment}
        try:
            return cls.model_validate({**values, "storage": _storage_connection(environment)})
        except ValidationError as error:
            raise SettingsError(f"settings that cannot be read: {problems(error)}") from None


def _storage_connection(environment: Mapping[str, str]) -> StorageConnection:
    """`OPERATIONS_STORAGE` or `OPERATIONS_STORAGE__*`, else the host's own `AzureWebJobsStorage` or `..__*`."""
    for name in ("OPERATIONS_STORAGE", "AzureWebJobsStorage"):
        if text := environment.get(name, "").strip():
            return StorageConnection(connection_string=text)
        account = environment.get(f"{name}__accountName", "").strip()
        table = environment.get(f"{name}__tableServiceUri", "").strip()
        blob = environment.get(f"{name}__blobServiceUri", "").strip()
        if account or table or blob:
            return StorageConnection(
                table_service_uri=table or _service_uri(name, account, "table"),
                blob_service_uri=blob or _service_uri(name, account, "blob"),
                client_id=environment.get(f"{name}__clientId", "").strip() or None,
            )
    return StorageConnection()


def _service_uri(name: str, account: str, service: str) -> str:
    """The public cloud's URL; other clouds set the service URLs themselves."""
    if not account:
        raise SettingsError(f"{name}__{service}ServiceUri is missing: set it, or set {name}__accountName")
    return f"https://{account}.{service}.core.windows.net"
