"""All settings, read once from a mapping. Nobody else reads the environment.

Every name here is an app setting in Azure, a value in `local.settings.json`, or an environment variable of the local
host; docs/configuration.md has the same table and a test holds the two together.
"""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from shared.errors import SettingsError, problems


def _blank_is_absent(value: object) -> object:
    """An app setting cannot be null; an empty one counts as not set."""
    return None if isinstance(value, str) and not value.strip() else value


def _is_true(value: object) -> bool:
    """The platform's own word is True; whatever else stands there takes no app down, and lets nobody in."""
    return str(value).strip().lower() == "true"


OptionalText = Annotated[str | None, BeforeValidator(_blank_is_absent)]

_OVERRIDE = "AzureFunctionsJobHost__"
ROUTE_PREFIX = "extensions__http__routePrefix"
_DEFAULT_ROUTE_PREFIX = "api"
ACTIVITY_PLACES = "extensions__durableTask__maxConcurrentActivityFunctions"

_PUBLIC_URL = re.compile(
    r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
)
"""RFC 3986 without user, query and fragment: links are added to it, and its host is named to browsers."""


def _is_public_url(value: str | None) -> str | None:
    if value is not None and not _PUBLIC_URL.fullmatch(value):
        raise ValueError("write https://host, with a port and a path if need be, and no user, query or fragment")
    return value


def _as_names(value: object) -> object:
    """Names with commas between them."""
    if not isinstance(value, str):
        return value
    return tuple(each.strip() for each in value.split(",") if each.strip())


_ROUTE_PREFIX = re.compile(r"(?!\.)[A-Za-z0-9._-]+(/(?!\.)[A-Za-z0-9._-]+)*|")


def _as_route_prefix(value: str) -> str:
    """Without slashes at its ends."""
    prefix = value.strip("/")
    if not _ROUTE_PREFIX.fullmatch(prefix):
        raise ValueError(
            f"{value!r} is no route prefix; write, there or as extensions.http.routePrefix in host.json, segments of "
            "letters, digits and - . _ with single slashes between them: api, or v1/api"
        )
    return prefix


class ManagedIdentity(BaseModel):
    """A user-assigned identity of the app, by one of its ids; without any the system-assigned one."""

    model_config = ConfigDict(frozen=True)

    client_id: str | None = None
    resource_id: str | None = None


_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9]{2,49}")
"""What the Durable extension takes for a task hub that is named: a table's name, of 50 characters at most."""

_NAMESPACE_FORM = "write 3 to 50 letters and digits, a letter first"


def _is_namespace(value: str | None) -> str | None:
    if value is not None and not _NAMESPACE.fullmatch(value):
        raise ValueError(_NAMESPACE_FORM)
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
    identity: ManagedIdentity | None = None
    """None: whatever is at hand, as on a developer's machine."""


_HUB_NAME = "extensions__durableTask__hubName"
_DEFAULT_HUB = "TestHubName"
"""The task hub's name where neither host.json nor the platform names one."""


MAX_RESULT_BYTES = 67_108_864
MAX_BLOB_BYTES = 50_000 * 4_194_304
"""What 50,000 blocks of 4 MiB hold, the most that a block blob has (learn.microsoft.com, "Put Block List")."""

MOST_HANDLER_PROCESSES = 4
"""By default."""

OTHER_ACTIVITIES = 16
"""Places for activities besides those that run a `def` handler: who waits for a thread or a process, and the rest."""


class Settings(BaseModel):
    """The app's settings with their defaults. Field aliases are the names people set."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    store: Literal["tables", "sqlite"] = Field("tables", alias="OPERATIONS_STORE")
    tables_client: Literal["direct", "sdk"] = Field("direct", alias="OPERATIONS_TABLES_CLIENT")
    own_namespace: Annotated[OptionalText, AfterValidator(_is_namespace)] = Field(None, alias="OPERATIONS_NAMESPACE")
    data_dir: str = Field(".data", alias="DATA_DIR")
    http_auth_level: Literal["function", "anonymous"] = Field("function", alias="HTTP_AUTH_LEVEL")
    api_version_required: bool = Field(False, alias="API_VERSION_REQUIRED")
    public_base_url: Annotated[OptionalText, AfterValidator(_is_public_url)] = Field(None, alias="PUBLIC_BASE_URL")
    route_prefix: Annotated[str, AfterValidator(_as_route_prefix)] = Field("", alias=_OVERRIDE + ROUTE_PREFIX)
    trust_forwarded_headers: bool = Field(False, alias="TRUST_FORWARDED_HEADERS")
    trust_referer: bool = Field(False, alias="TRUST_REFERER")
    trust_platform_auth: bool = Field(False, alias="TRUST_PLATFORM_AUTH")
    platform_auth_enabled: Annotated[bool, BeforeValidator(_is_true)] = Field(False, alias="WEBSITE_AUTH_ENABLED")
    operator_read_role: str = Field("operations.read.all", alias="OPERATOR_READ_ROLE")
    operator_cancel_role: str = Field("operations.cancel.all", alias="OPERATOR_CANCEL_ROLE")
    site_hostname: OptionalText = Field(None, alias="WEBSITE_HOSTNAME")
    instance_id: OptionalText = Field(None, alias="WEBSITE_INSTANCE_ID")
    site_name: str = Field("local", alias="WEBSITE_SITE_NAME")
    slot_name: str = Field("Production", alias="WEBSITE_SLOT_NAME")
    paused_actions: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = Field((), alias="PAUSED_ACTIONS")
    max_body_bytes: int = Field(1_048_576, alias="MAX_BODY_BYTES", ge=1, le=104_857_600)
    max_concurrent_requests: int = Field(200, alias="MAX_CONCURRENT_REQUESTS", ge=1)
    max_upload_bytes: int = Field(268_435_456, alias="MAX_UPLOAD_BYTES", ge=1)
    max_result_bytes: int = Field(MAX_RESULT_BYTES, alias="MAX_RESULT_BYTES", ge=1)
    max_file_bytes: int = Field(1_073_741_824, alias="MAX_FILE_BYTES", ge=1, le=MAX_BLOB_BYTES)
    csv_neutralize_formulas: bool = Field(True, alias="CSV_NEUTRALIZE_FORMULAS")
    max_wait_seconds: int = Field(20, alias="MAX_WAIT_SECONDS", ge=0, le=200)
    sync_timeout_seconds: int = Field(100, alias="SYNC_TIMEOUT_SECONDS", ge=1, le=220)
    sync_handler_threads: int = Field(8, alias="SYNC_HANDLER_THREADS", ge=1, le=256)
    handler_processes: int | None = Field(None, alias="HANDLER_PROCESSES", ge=1, le=64)
    """None: the usable cores, and `MOST_HANDLER_PROCESSES` at most."""
    activity_places: int | None = Field(None, alias=_OVERRIDE + ACTIVITY_PLACES, ge=1)
    """Activities that the host runs at a time; None where that is the extension's own number."""
    housekeeping_schedule: str = Field("0 */2 * * * *", alias="HOUSEKEEPING_SCHEDULE", min_length=1)
    storage: StorageConnection = Field(default_factory=StorageConnection)
    task_hub: str = _DEFAULT_HUB

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
        return (self.public_base_url or f"{scheme}://{host}{self.root_path}").rstrip("/")

    @property
    def root_path(self) -> str:
        """What the path of every URL begins with before the app's own routes: `/api`, or nothing."""
        return f"/{self.route_prefix}" if self.route_prefix else ""

    @property
    def namespace(self) -> str:
        """What the names of all tables and containers begin with. Case does not count, as in the names of task hubs."""
        return self.own_namespace or self.task_hub

    @classmethod
    def read(cls, environment: Mapping[str, str], host_json: Path | None = None) -> "Settings":
        """Read and check; raises SettingsError naming every setting that cannot be read.

        `host_json`: the host's file, for the route prefix and the task hub where no settings override them; without a
        file there is no prefix, and the hub is what the extension takes where none is named.
        """
        known = {field.alias for field in cls.model_fields.values() if field.alias}
        values: dict[str, object] = {name: environment[name] for name in known if name in environment}
        if host_json is not None:
            prefix = host_value(host_json, environment, ROUTE_PREFIX)
            values[_OVERRIDE + ROUTE_PREFIX] = _DEFAULT_ROUTE_PREFIX if prefix is None else prefix
            values[_OVERRIDE + ACTIVITY_PLACES] = host_value(host_json, environment, ACTIVITY_PLACES)
        named_by, task_hub = _task_hub(environment, host_json)
        try:
            settings = cls.model_validate({**values, "storage": _storage_connection(environment), "task_hub": task_hub})
        except ValidationError as error:
            raise SettingsError(f"settings that cannot be read: {problems(error)}") from None
        if not _NAMESPACE.fullmatch(settings.own_namespace or task_hub):
            raise SettingsError(
                f"{named_by} is {task_hub!r}, which names no table: {_NAMESPACE_FORM}; or set OPERATIONS_NAMESPACE so"
            )
        return settings


def host_value(host_json: Path, environment: Mapping[str, str], name: str) -> str | None:
    """A value of the host's: the app setting that overrides host.json, else host.json; None where neither has it.

    `name` is the app setting's without its prefix: sections with `__` between them, in any case ("host.json reference
    for Azure Functions", section "Override host.json values").
    """
    for setting, value in environment.items():
        if setting.lower() == f"{_OVERRIDE}{name}".lower():
            return value
    found: Any = json.loads(host_json.read_text(encoding="utf-8-sig"))
    for key in name.lower().split("__"):
        section: dict[str, Any] = {each.lower(): found[each] for each in found} if isinstance(found, dict) else {}
        if key not in section:
            return None
        found = section[key]
    return "" if found is None else str(found)


def _task_hub(environment: Mapping[str, str], host_json: Path | None) -> tuple[str, str]:
    """What names the task hub, and its name as the Durable extension reads it.

    Its rules are in Azure/azure-functions-durable-extension, `DurableTaskOptions.HubName` and `Validate`, and
    `AzureStorageOptions.IsSanitizedHubName`: `%NAME%` is an app setting; a hub that nobody names is called as the site
    is, and that is refused in a slot.
    """
    value = host_value(host_json, environment, _HUB_NAME) if host_json else None
    named_by = f"extensions.durableTask.hubName in host.json, or {_OVERRIDE}{_HUB_NAME},"
    if value is not None:
        hub, names = value, re.findall(r"%([^%]+)%", value)
        for name in names:
            text = next((text for setting, text in environment.items() if setting.lower() == name.lower()), "")
            if not text:
                raise SettingsError(f"{named_by} is {value!r}, and the app setting {name} is not set")
            hub = hub.replace(f"%{name}%", text)
        return " and ".join(names) or named_by, hub
    slot = environment.get("WEBSITE_SLOT_NAME", "").strip()
    if host_json and slot.lower() not in ("", "production"):
        raise SettingsError(f"{named_by} is not set: the slot {slot!r} needs a task hub of its own")
    site = re.sub("[^A-Za-z0-9]", "", environment.get("WEBSITE_SITE_NAME", ""))
    hub = f"t{site}"[:45] if site[:1].isdigit() else site[:45]
    return "WEBSITE_SITE_NAME", hub if len(hub) > 2 else f"{hub}Hub" if hub else _DEFAULT_HUB


def function_timeout(host_json: Path, environment: Mapping[str, str]) -> timedelta | None:
    """The host's functionTimeout: the app setting that overrides host.json, else host.json; None when unbounded."""
    set_values = {name: value for name, value in environment.items() if value.strip()}
    text = str(host_value(host_json, set_values, "functionTimeout") or "00:05:00").strip()
    if text == "-1":
        return None
    match = re.fullmatch(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})", text)
    if match is None:
        raise SettingsError(f"functionTimeout is {text!r}: write hh:mm:ss, or -1 for unbounded")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


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
                identity=_identity(name, environment),
            )
    return StorageConnection()


def _identity(name: str, environment: Mapping[str, str]) -> ManagedIdentity | None:
    """The managed identity that is set; an id is enough, `__credential` without one is the system-assigned one."""
    credential = environment.get(f"{name}__credential", "").strip()
    client_id = environment.get(f"{name}__clientId", "").strip()
    resource_id = environment.get(f"{name}__managedIdentityResourceId", "").strip()
    if credential and credential.lower() != "managedidentity":
        raise SettingsError(f"{name}__credential is {credential!r}: write managedidentity, or remove it")
    if client_id and resource_id:
        raise SettingsError(
            f"{name}__clientId and {name}__managedIdentityResourceId both name an identity: remove one of them"
        )
    if not (credential or client_id or resource_id):
        return None
    return ManagedIdentity(client_id=client_id or None, resource_id=resource_id or None)


def _service_uri(name: str, account: str, service: str) -> str:
    """The public cloud's URL; other clouds set the service URLs themselves."""
    if not account:
        raise SettingsError(f"{name}__{service}ServiceUri is missing: set it, or set {name}__accountName")
    return f"https://{account}.{service}.core.windows.net"
