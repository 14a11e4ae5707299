"""Resume tokens: all that another process needs to go on polling, as JSON without a secret.

Ours is `{"version": "lro/1", ...}` with the fields of `Track` and a checksum. The checksum finds damage and careless
edits. Whoever can compute one can write a token, so what protects credentials is another rule: they go to the start's
origin, and a client with an origin of its own resumes no other's operations. The JSON form of .NET's `RehydrationToken`
(Azure.Core 1.64) is read and written too.
"""

import json
from dataclasses import asdict, fields, replace
from hashlib import sha256
from typing import Any, cast

from lro_client.errors import ForeignToken, TamperedToken, TokenError, UnknownTokenVersion, UnsafeUrl
from lro_client.model import FinalState, Profile, Source, Track
from lro_client.urls import check, last_segment, origin, resolve, secrets_in, without_secrets

VERSION = "lro/1"
DOTNET_VERSION = "1.0.0"
MAX_TOKEN = 128 * 1024
"""Characters; a token holds four URLs at most."""

_CHECK = "check"
_FIELDS = frozenset(field.name for field in fields(Track))
_URLS = ("start_url", "poll_url", "location_url", "monitor_url")
_SOURCES = {
    Source.OPERATION_LOCATION: "OperationLocation",
    Source.AZURE_ASYNC_OPERATION: "AzureAsyncOperation",
    Source.LOCATION: "Location",
    Source.RESOURCE: "None",
}
_FINAL_STATES = {
    FinalState.AZURE_ASYNC_OPERATION: "AzureAsyncOperation",
    FinalState.LOCATION: "Location",
    FinalState.ORIGINAL_URI: "OriginalUri",
    FinalState.OPERATION_LOCATION: "OperationLocation",
}


def dump(track: Track) -> str:
    """The token of an operation, one line of JSON.

    Raises:
        TokenError: there is nothing to resume, the monitor's URL holds what looks like a key, or it would be too long.
    """
    content = {name: value for name, value in asdict(_without_secrets(track)).items() if value not in (None, False)}
    ordered = {"version": VERSION, **content}
    return _bounded({**ordered, _CHECK: _checksum(ordered)})


def dump_dotnet(track: Track) -> str:
    """The token as .NET's `RehydrationToken` has it in JSON.

    Raises:
        TokenError: as `dump`; or the operation is OData's or has its result still to be fetched, which .NET cannot say.
    """
    track = _without_secrets(track)
    if track.source not in _SOURCES or track.profile is Profile.ODATA:
        raise TokenError(f"a .NET token cannot say that {track.source.value} is polled in the profile {track.profile}")
    content = {
        "version": DOTNET_VERSION,
        "id": track.operation_id or last_segment(track.poll_url),
        "requestMethod": track.method,
        "initialUri": track.start_url,
        "nextRequestUri": track.poll_url,
        "headerSource": _SOURCES[track.source],
        "finalStateVia": _FINAL_STATES[track.final_state or _default_final_state(track)],
    }
    if track.location_url:
        content["lastKnownLocation"] = track.location_url
    return _bounded(content)


def load(token: str, *, profile: Profile = Profile.AUTO, home: str | None = None) -> Track:
    """What a token of either kind says. `home` is the URL of the client: its origin must be the token's.

    Raises:
        UnknownTokenVersion, ForeignToken, TamperedToken: as they say.
    """
    if len(token) > MAX_TOKEN:
        raise TamperedToken(f"a resume token has {MAX_TOKEN} characters at most")
    try:
        found: Any = json.loads(token)
    except (ValueError, RecursionError):
        raise TamperedToken("the resume token is not JSON, or not whole") from None
    if not isinstance(found, dict):
        raise TamperedToken("the resume token is not a JSON object")
    content = cast("dict[str, Any]", found)
    version = content.get("version")
    if version == VERSION:
        track = _ours(content)
    elif "initialUri" in content and "headerSource" in content:
        track = _dotnet(content, profile)
    elif "version" not in content:
        raise UnknownTokenVersion("this JSON is no resume token: it has no version")
    else:
        raise UnknownTokenVersion(f"this resume token is of version {version!r}; {VERSION!r} and .NET's are known")
    return _checked(track, home)


def _ours(content: dict[str, Any]) -> Track:
    if unknown := sorted(set(content) - _FIELDS - {"version", _CHECK}):
        raise TamperedToken(f"the resume token has fields that are not known: {', '.join(unknown)}")
    check_sum = content.pop(_CHECK, None)
    if check_sum != _checksum(content):
        raise TamperedToken("the resume token was changed since it was made, or is not whole")
    del content["version"]
    content.setdefault("cancel_requested", False)
    if not all(isinstance(value, bool if name == "cancel_requested" else str) for name, value in content.items()):
        raise TamperedToken("a field of the resume token is of another kind")
    if missing := sorted({"profile", "method", "start_url", "source", "poll_url"} - set(content)):
        raise TamperedToken(f"the resume token lacks {', '.join(missing)}")
    try:
        final_state = content.get("final_state")
        parts: dict[str, Any] = content | {
            "profile": Profile(content["profile"]),
            "source": Source(content["source"]),
            "final_state": FinalState(final_state) if final_state else None,
        }
        return Track(**parts)
    except ValueError as error:
        raise TamperedToken(f"the resume token says what is not known: {error}") from None


def _dotnet(content: dict[str, Any], profile: Profile) -> Track:
    """Fields that may be missing, and what is taken instead, are those of Azure.Core's own reader."""
    text = {name: value for name, value in content.items() if isinstance(value, str)}
    sources = {name: source for source, name in _SOURCES.items()}
    source = sources.get(text.get("headerSource", ""))
    start = text.get("initialUri")
    if source is None or start is None:
        raise TamperedToken("the .NET token lacks initialUri, or its headerSource is not known")
    try:
        poll = resolve(check(start), text.get("nextRequestUri") or start)
        known = text.get("lastKnownLocation")
        location = resolve(start, known) if known else None
    except UnsafeUrl as error:
        raise TamperedToken(f"the .NET token names {error.message}") from None
    states = {name: state for state, name in _FINAL_STATES.items()} | {"LocationOverride": FinalState.LOCATION}
    return Track(
        profile=profile,
        method=text.get("requestMethod", "GET").upper(),
        start_url=start,
        source=source,
        poll_url=poll,
        location_url=location,
        final_state=states.get(text.get("finalStateVia", "")),
        monitor_url=poll,
        operation_id=text.get("id"),
    )


def _checked(track: Track, home: str | None) -> Track:
    if track.source in (Source.NONE, Source.UNKNOWN):
        raise TamperedToken("the resume token names nothing to poll")
    try:
        for name in _URLS:
            url: str | None = getattr(track, name)
            if url is not None:
                resolve(track.start_url, check(url))
        if home is not None and origin(home) != origin(track.start_url):
            raise ForeignToken(
                f"the resume token belongs to {origin(track.start_url)}, but this client talks to {origin(home)}"
            )
    except UnsafeUrl as error:
        raise TamperedToken(f"the resume token names {error.message}") from None
    return track


def _without_secrets(track: Track) -> Track:
    """The start's URL loses its keys: the final GET carries the credential. A monitor's cannot do without them."""
    if track.source in (Source.NONE, Source.UNKNOWN):
        raise TokenError("this operation has nothing that could be resumed", monitor_url=track.monitor_url)
    start = without_secrets(track.start_url)
    swapped: dict[str, Any] = {name: start for name in _URLS if getattr(track, name) == track.start_url}
    track = replace(track, **swapped)
    for name in _URLS[1:]:
        url: str | None = getattr(track, name)
        if url and (secrets := secrets_in(url)):
            raise TokenError(f"no token is made: the service's URL holds what looks like a key ({', '.join(secrets)})")
    return track


def _default_final_state(track: Track) -> FinalState:
    """What .NET must be told so that it looks for the result where we would."""
    if track.method in ("PUT", "PATCH"):
        return FinalState.ORIGINAL_URI
    return FinalState.LOCATION if track.location_url else FinalState.OPERATION_LOCATION


def _bounded(content: dict[str, Any]) -> str:
    token = json.dumps(content, separators=(",", ":"))
    if len(token) > MAX_TOKEN:
        raise TokenError(f"no token is made: it would have {len(token)} characters, and {MAX_TOKEN} are read at most")
    return token


def _checksum(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()[:32]
