"""Batches in JSON (OData JSON Format 4.01, section 19)."""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import quote

from shared.contracts.bodies import read_json_object
from shared.contracts.http import Request, Response
from shared.contracts.odata import messages
from shared.contracts.odata.batch import parts
from shared.contracts.odata.limits import REQUEST_ID
from shared.errors import RequestError

_MEMBERS = frozenset({"id", "method", "url", "headers", "body", "atomicityGroup", "dependsOn", "if"})
_URL_CHARACTERS = "!#$%&'()*+,/:;=?@[]~"


def parse_json(body: bytes, limits: parts.BatchLimits | None = None) -> parts.Batch:
    """The batch of a JSON body. Annotations are ignored, members that are unknown are refused.

    Raises RequestError 400 that names the rule or the limit, 413 above `limits.bytes`; nothing has been done then.
    """
    limits = limits or parts.BatchLimits()
    envelope = Request(method="POST", url="", headers={"content-type": "application/json"}, body=body)
    try:
        batch = read_json_object(envelope, limit=limits.bytes)
    except RecursionError:
        raise messages.invalid("The batch nests too deep") from None
    items = batch.get("requests")
    if not isinstance(items, list):
        raise messages.invalid("The batch needs the member requests, a list of requests")
    if unknown := next((name for name in batch if name != "requests" and "@" not in name), None):
        raise messages.invalid(f"The batch has an unknown member {unknown[:80]!r}")
    items = cast(list[Any], items)
    if len(items) > limits.requests:
        raise RequestError(400, "BatchTooLarge", f"A batch holds at most {limits.requests} requests.")
    requests = tuple(_request(item, f"requests[{index}]") for index, item in enumerate(items))
    return parts.check_structure(parts.Batch(requests=requests, is_json=True))


def render_json(responses: Sequence[parts.BatchResponse]) -> bytes:
    """The body of a JSON batch's answer: `responses` and nothing else at the top, which readers in use insist on."""
    # Bodies that are JSON go in as they are, so that no number changes on the way.
    return b'{"responses":[' + b",".join(_answer(a) for unit in parts.answered_units(responses) for a in unit) + b"]}"


def _request(item: Any, where: str) -> parts.BatchRequest:
    if not isinstance(item, dict):
        raise messages.invalid(f"{where} is no object")
    members = cast(dict[str, Any], item)
    if unknown := next((name for name in members if name not in _MEMBERS and "@" not in name), None):
        raise messages.invalid(f"{where} has an unknown member {unknown[:80]!r}")
    if members.get("if") is not None:
        raise RequestError(400, "UnsupportedBatch", f"{where}: the member if is not supported; use dependsOn.")
    method = _text(members, "method", where).upper()
    messages.check_method(method, where=where)
    headers = _headers(members.get("headers"), where)
    group = members.get("atomicityGroup")
    content = members.get("body")
    if content is not None and method in messages.WITHOUT_BODY:
        raise messages.invalid(f"{where}: {method} takes no body")
    body = b"" if content is None else _body(content, headers, where)
    return parts.BatchRequest(
        id=_name(_text(members, "id", where), f"{where}.id"),
        method=method,
        url=_url(_text(members, "url", where), where),
        headers=parts.forwarded(headers),
        body=body,
        group=None if group is None else _name(group, f"{where}.atomicityGroup"),
        depends_on=_depends_on(members.get("dependsOn"), where),
    )


def _text(members: dict[str, Any], name: str, where: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise messages.invalid(f"{where}.{name} must be a string that is not empty")
    return value


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(REQUEST_ID, value):
        raise messages.invalid(f"{where} must be a string of 1 to 128 letters, digits and - . _ ~")
    return value


def _url(url: str, where: str) -> str:
    if any(char < " " or char == "\x7f" for char in url):
        raise messages.invalid(f"{where}.url holds a control character")
    # In JSON a URL needs no encoding to stay in one piece, and clients leave spaces in it.
    encoded = url if url.isascii() and " " not in url else quote(url, safe=_URL_CHARACTERS)
    messages.check_url(encoded, where=where)
    return encoded


def _headers(value: Any, where: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise messages.invalid(f"{where}.headers must be an object")
    members = cast(dict[str, Any], value)
    if len(members) > messages.MAX_HEADERS:
        raise RequestError(400, "BatchTooLarge", f"{where}: more than {messages.MAX_HEADERS} headers.")
    found: dict[str, str] = {}
    for name, text in members.items():
        if (
            not messages.HEADER_NAME.fullmatch(name)
            or not isinstance(text, str)
            or not messages.HEADER_VALUE.fullmatch(text)
        ):
            raise messages.invalid(f"{where}.headers: {name[:80]!r} is no header with a string as its value")
        if name.lower() in found:
            raise messages.invalid(f"{where}.headers has {name.lower()!r} twice")
        found[name.lower()] = text.strip(" \t")
    # What is decoded here has the length that it has.
    found.pop("content-length", None)
    if "transfer-encoding" in found:
        raise messages.invalid(f"{where}: a request in a batch has no Transfer-Encoding; send its body as it is")
    return found


def _depends_on(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise messages.invalid(f"{where}.dependsOn must be a list of strings")
    return tuple(_name(name, f"{where}.dependsOn[{index}]") for index, name in enumerate(cast(list[Any], value)))


def _body(value: Any, headers: dict[str, str], where: str) -> bytes:
    """Section 19.1: JSON for JSON, a string for text, else a string with the bytes in base64url."""
    media_type, parameters = messages.parse_media_type(
        headers.setdefault("content-type", "application/json"), where=where
    )
    if messages.is_json(media_type):
        try:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        except RecursionError:
            raise messages.invalid(f"{where}.body nests too deep") from None
    if not isinstance(value, str):
        raise messages.invalid(f"{where}.body must be a string, as {media_type} is no JSON")
    if media_type.startswith("text/"):
        if parameters.get("charset", "utf-8").lower() not in ("utf-8", "us-ascii"):
            raise messages.invalid(f"{where}.headers: send text as charset=utf-8")
        return value.encode()
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise messages.invalid(f"{where}.body must be base64url, as {media_type} is neither JSON nor text") from None


def _answer(answer: parts.BatchResponse) -> bytes:
    entry: dict[str, Any] = {}
    if (shown := parts.shown_id(answer.id)) is not None:
        entry["id"] = shown
    if answer.group is not None:
        entry["atomicityGroup"] = answer.group
    response = answer.response
    body = _written_body(response)
    entry["status"] = response.status
    headers = {name.lower(): value for name, value in messages.header_lines(response).items()}
    if headers:
        entry["headers"] = headers
    text = json.dumps(entry, separators=(",", ":")).encode()
    # A body of null is one that is not there, and the reader in use fails on it.
    return text if body in (b"", b"null") else text[:-1] + b',"body":' + body + b"}"


def _written_body(response: Response) -> bytes:
    """The body as the value of a member. JSON is what this service has written itself, so it is not read again."""
    if not response.body:
        return b""
    try:
        media_type, parameters = messages.parse_media_type(response.content_type or "", where="The answer")
    except RequestError:
        media_type, parameters = "application/octet-stream", {}
    if messages.is_json(media_type):
        return response.body
    if media_type.startswith("text/"):
        try:
            text = response.body.decode(parameters.get("charset", "utf-8"), "replace")
        except LookupError:
            text = response.body.decode("utf-8", "replace")
        return json.dumps(text).encode()
    return b'"' + base64.urlsafe_b64encode(response.body) + b'"'
