"""Batches in multipart/mixed (OData Protocol 4.01, section 11.7.7; RFC 2046, section 5.1).

The parts are cut here and not by the standard library's `email`: that one takes a lone CR for a line end, so that it
cuts bodies in two, spends seconds and fifteen times the memory on a body of line ends, and follows nested parts as
deep as they go before anybody could count them.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256

from shared.contracts.bodies import check_codings
from shared.contracts.odata import messages
from shared.contracts.odata.batch import parts
from shared.contracts.odata.limits import REQUEST_ID
from shared.errors import RequestError
from shared.frozen import replace

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_ENCODINGS = frozenset({"binary", "7bit", "8bit"})
_REFERENCE = re.compile(r"((?:[^?]*/)?(?:\$|%24))([A-Za-z0-9._~-]+)(?=[/?]|\Z)(.*)", re.DOTALL)
_CONDITION = re.compile(r"(\s*\$)([A-Za-z0-9._~-]+)(\s*)")


def parse_multipart(body: bytes, content_type: str, limits: parts.BatchLimits | None = None) -> parts.Batch:
    """The batch of a multipart body. A part without a Content-ID gets an id that no reference can name.

    Lines may end in CRLF or LF; preamble and epilogue are ignored. Raises RequestError 400 that names the part, and the
    rule or the limit; 413 above `limits.bytes`, 415 for a part with a Content-Encoding. Nothing has been done then.
    """
    limits = limits or parts.BatchLimits()
    if len(body) > limits.bytes:
        raise RequestError(413, "RequestBodyTooLarge", f"The body has more than {limits.bytes} bytes.")
    reading = _Reading(limits)
    for number, part in enumerate(_parts(body, content_type, "The batch", limits.requests), 1):
        where = f"Part {number}"
        headers, content = _read_part(part, where)
        media_type, _ = messages.parse_media_type(headers.get("content-type", ""), where=where)
        if media_type == "multipart/mixed":
            reading.change_set(content, headers["content-type"], where)
        else:
            reading.request(headers, content, where)
    return reading.batch()


def render_multipart(responses: Sequence[parts.BatchResponse]) -> tuple[str, bytes]:
    """The Content-Type and the body of a multipart batch's answer (section 11.7.7.5), of the structure of the request.

    A group of which one request failed is a single part with that one's answer. Boundaries come from what they
    enclose, so that nothing inside can contain them.
    """
    written: list[bytes] = []
    for unit in parts.answered_units(responses):
        failed = [answer for answer in unit if answer.response.status >= 400]
        if failed:
            written.append(_http_part(next((a for a in failed if a.response.status != 424), failed[0])))
        elif unit[0].group is None:
            written.append(_http_part(unit[0]))
        else:
            content_type, content = _join([_http_part(answer) for answer in unit], "changesetresponse")
            written.append(f"Content-Type: {content_type}\r\n\r\n".encode() + content)
    return _join(written, "batchresponse")


class _Reading:
    """The requests read so far; ids and groups' names that are made up wait until all others are known."""

    def __init__(self, limits: parts.BatchLimits) -> None:
        self._limits = limits
        self._requests: list[tuple[parts.BatchRequest, int | None]] = []
        self._change_sets = 0

    def change_set(self, content: bytes, content_type: str, where: str) -> None:
        self._change_sets += 1
        left = self._limits.requests - len(self._requests)
        for number, part in enumerate(_parts(content, content_type, where, left), 1):
            here = f"{where}.{number}"
            headers, inner = _read_part(part, here)
            if messages.parse_media_type(headers.get("content-type", ""), where=here)[0] == "multipart/mixed":
                raise messages.invalid(f"{here}: a change set holds requests, no other change set")
            self.request(headers, inner, here, self._change_sets)

    def request(self, headers: dict[str, str], content: bytes, where: str, change_set: int | None = None) -> None:
        if len(self._requests) >= self._limits.requests:
            raise _too_many(self._limits.requests)
        media_type, parameters = messages.parse_media_type(headers.get("content-type", ""), where=where)
        if media_type != "application/http" or parameters.get("msgtype", "request").lower() != "request":
            raise messages.invalid(
                f"{where}: its Content-Type is application/http, or multipart/mixed for a change set"
            )
        if headers.get("content-transfer-encoding", "binary").lower() not in _ENCODINGS:
            raise messages.invalid(f"{where}: its Content-Transfer-Encoding is binary")
        enclosed = messages.parse_request(content, where=where)
        outer, inner = headers.get("content-id"), enclosed.headers.pop("content-id", None)
        if outer is not None and inner is not None and outer != inner:
            raise messages.invalid(f"{where}: the part and its request have different Content-IDs")
        content_id = outer if outer is not None else inner
        if content_id is not None and not re.fullmatch(REQUEST_ID, content_id):
            raise messages.invalid(f"{where}: its Content-ID must be 1 to 128 letters, digits and - . _ ~")
        request = parts.BatchRequest(
            id=content_id or f"{parts.MADE_UP}{len(self._requests) + 1}",
            method=enclosed.method,
            url=enclosed.url,
            headers=parts.forwarded(enclosed.headers),
            body=enclosed.body,
        )
        self._requests.append((request, change_set))

    def batch(self) -> parts.Batch:
        self._tell_apart()
        ids = {request.id for request, _ in self._requests}
        prefix = "changeset"
        while any(name.startswith(prefix) for name in ids):
            prefix += "_"
        requests = tuple(
            request if change_set is None else replace(request, group=f"{prefix}{change_set}")
            for request, change_set in self._requests
        )
        return parts.check_structure(parts.Batch(requests=requests, is_json=False))

    def _tell_apart(self) -> None:
        """Gives each request of a change set another id where one before that change set has its id.

        Ids are unique in a batch (Protocol, section 11.7.7.1). Microsoft's library asks that of a change set alone in
        OData 4.0 (`ODataBatchWriter_DuplicateContentIDsNotAllowed`), so clients number each anew. A reference leads to
        a request of the same change set.
        """
        first: dict[str, int | None] = {}
        renamed: dict[int, dict[str, str]] = {}
        for number, (request, change_set) in enumerate(self._requests):
            first.setdefault(request.id, change_set)
            if change_set is None:
                continue
            names = renamed.setdefault(change_set, {})
            referring = _referring(request, names)
            if first[request.id] != change_set:
                names[request.id] = f"{request.id}{parts.AGAIN}{change_set}"
            self._requests[number] = (replace(referring, id=names.get(request.id, request.id)), change_set)


def _referring(request: parts.BatchRequest, names: Mapping[str, str]) -> parts.BatchRequest:
    """The request with its references to `names` by their other names."""
    if not names:
        return request
    headers = dict(request.headers)
    for header in ("if-match", "if-none-match"):
        if (match := _CONDITION.fullmatch(headers.get(header, ""))) and match[2] in names:
            headers[header] = f"{match[1]}{names[match[2]]}{match[3]}"
    match = _REFERENCE.fullmatch(request.url)
    url = f"{match[1]}{names[match[2]]}{match[3]}" if match and match[2] in names else request.url
    return replace(request, url=url, headers=headers)


def _parts(body: bytes, content_type: str, where: str, limit: int) -> list[bytes]:
    """What stands between the delimiter lines, without the line ends that belong to them."""
    _, parameters = messages.parse_media_type(content_type, where=where)
    boundary = parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise messages.invalid(
            f"{where}: its Content-Type needs a boundary of 1 to 70 characters (RFC 2046, section 5.1.1)"
        )
    delimiter = re.compile(rb"\n--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    text = b"\n" + body
    found: list[bytes] = []
    start: int | None = None
    for line in delimiter.finditer(text):
        if start is not None:
            end = line.start()
            found.append(text[start : end - 1 if text[end - 1 : end] == b"\r" else end])
        if line[1]:
            break
        if len(found) >= limit:
            raise _too_many(limit)
        start = line.end() + (2 if text[line.end() : line.end() + 1] == b"\r" else 1)
    else:
        problem = "there is no such line" if start is None else "the closing one is missing"
        raise messages.invalid(
            f"{where}: its parts are enclosed by lines --{boundary} and --{boundary}--, but {problem}"
        )
    if not found:
        raise messages.invalid(f"{where} has no parts")
    return found


def _read_part(part: bytes, where: str) -> tuple[dict[str, str], bytes]:
    head, content = messages.split_head(part, where=where)
    headers = messages.parse_headers(head, where=where, folding=True)
    check_codings(headers.get("content-encoding", ""))
    return headers, content


def _too_many(limit: int) -> RequestError:
    return RequestError(400, "BatchTooLarge", f"A batch holds at most {limit} requests.")


def _http_part(answer: parts.BatchResponse) -> bytes:
    # Readers in use want these two headers just so.
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if (shown := parts.shown_id(answer.id)) is not None:
        lines.append(f"Content-ID: {shown}")
    return "\r\n".join([*lines, "", ""]).encode() + messages.write_message(answer.response)


def _join(enclosed: Sequence[bytes], prefix: str) -> tuple[str, bytes]:
    digest = sha256(b"".join(b"%d:%b" % (len(part), part) for part in enclosed)).hexdigest()
    boundary = f"{prefix}_{digest[:32]}"
    delimiter = f"--{boundary}".encode()
    body = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in enclosed)
    # Without the CRLF at its end a reader in use takes the closing line for a part of the last body.
    return f"multipart/mixed; boundary={boundary}", body + delimiter + b"--\r\n"
