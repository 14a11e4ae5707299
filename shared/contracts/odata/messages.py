"""HTTP messages inside other messages: the answer in `application/http`, and the requests in the parts of a batch.

RFC 9112, sections 3 to 6; OData Protocol 4.01, sections 11.6 "Asynchronous Requests" and 11.7.7 "Multipart Batch
Format". Lines that are read may end in a bare LF, as those of clients on Linux do; lines that are written end in CRLF,
which is all that readers in use take.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus

from shared.contracts.headers import WORD
from shared.contracts.http import Response
from shared.contracts.odata.limits import MAX_URL
from shared.errors import RequestError
from shared.frozen import frozen

MAX_HEAD = 32 * 1024
"""Bytes of a request line with its headers."""

MAX_HEADERS = 100
METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})
"""What an enclosed request may say (OData JSON Format 4.01, section 19.1)."""

WITHOUT_BODY = frozenset({"GET", "DELETE"})

HEADER_NAME = re.compile(WORD)
HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_REQUEST_LINE = re.compile(rb"([A-Za-z]{1,20}) ([!-~](?:[^\x00-\x1f\x7f]*[!-~])?) HTTP/1\.1[ \t]*")
_UNESCAPED = re.compile(rb"[^!-~]")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_MEDIA_TYPE = re.compile(rf"\s*({WORD}/{WORD})\s*((?:;.*)?)", re.DOTALL)
_PARAMETER = re.compile(rf';\s*(?:({WORD})\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]+))?\s*')
_SINGLE = frozenset({"content-type", "content-length", "content-id", "content-transfer-encoding"})
_FRAMING = frozenset({"connection", "content-length", "content-type", "keep-alive", "transfer-encoding"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""Of RFC 9110, section 15.5, which Python follows since 3.13."""
_CLASSES = {1: "Continue", 2: "Success", 3: "Redirection", 4: "Client Error", 5: "Server Error"}


@frozen
class EnclosedRequest:
    """`headers` have lower-case names, several values of one joined by commas; framing is done and not among them."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def write_message(response: Response) -> bytes:
    """The answer as an HTTP/1.1 message (RFC 9112, section 2.1), the body of `application/http`.

    Readers in use want a phrase after every status, no header twice, and the blank line even where no body follows.
    """
    lines = [f"HTTP/1.1 {response.status} {phrase(response.status)}"]
    lines += [f"{name}: {value}" for name, value in header_lines(response).items()]
    if response.body or not (response.status < 200 or response.status in (204, 304)):
        lines.append(f"Content-Length: {len(response.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + response.body


def header_lines(response: Response) -> dict[str, str]:
    """The headers of an answer as they are written, Content-Type among them, framing not: each name once."""
    lines: dict[str, str] = {}
    names: dict[str, str] = {}
    if response.content_type is not None and (response.body or response.status != 204):
        lines["Content-Type"] = _CONTROL.sub(" ", response.content_type)
    for name, value in response.headers.items():
        if name.lower() not in _FRAMING:
            first = names.setdefault(name.lower(), name)
            text = _CONTROL.sub(" ", value).strip()
            lines[first] = f"{lines[first]}, {text}" if first in lines else text
    return lines


def phrase(status: int) -> str:
    """A reason phrase for every status code, the same on every Python; never empty."""
    try:
        return _PHRASES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return _CLASSES.get(status // 100, "Unknown")


def header(headers: Mapping[str, str], name: str) -> str | None:
    """The value of a header of an answer, whose names are in any case."""
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)


def parse_request(message: bytes, *, where: str) -> EnclosedRequest:
    """The request of a part. Its end is the end of `message`; a Content-Length has to agree with that.

    The URL is as it came, absolute, a path, or relative; what should have been escaped in it is, since the line has its
    first and its last space to tell where it ends. Raises RequestError 400 that begins with `where`.
    """
    head, rest = split_head(message.lstrip(b"\r\n"), where=where)
    first, _, lines = head.partition(b"\n")
    match = _REQUEST_LINE.fullmatch(first.removesuffix(b"\r"))
    if match is None:
        text = first[:80].decode("latin-1").strip()
        raise invalid(f"{where}: {text!r} is no request line such as GET Books?$top=1 HTTP/1.1")
    method = match[1].decode().upper()
    url = _UNESCAPED.sub(lambda byte: b"%%%02X" % byte[0][0], match[2]).decode()
    check_method(method, where=where)
    check_url(url, where=where)
    headers = parse_headers(lines, where=where)
    return EnclosedRequest(method, url, headers, _body(method, headers, rest, where))


def split_head(message: bytes, *, where: str) -> tuple[bytes, bytes]:
    """What stands before the first blank line, and what follows it. Raises RequestError 400 above MAX_HEAD bytes."""
    if begin := re.match(rb"\r?\n", message):
        return b"", message[begin.end() :]
    found = _END_OF_HEAD.search(message, 0, MAX_HEAD + 4)
    head, rest = (message[: found.start()], message[found.end() :]) if found else (message, b"")
    if len(head) > MAX_HEAD:
        raise RequestError(400, "BatchTooLarge", f"{where}: the headers have more than {MAX_HEAD} bytes.")
    # The line end before a delimiter belongs to the delimiter, so that it may be missing from a blank line here.
    return _LINE_END.sub(b"\n", head).rstrip(b"\n"), rest


def parse_headers(lines: bytes, *, where: str, folding: bool = False) -> dict[str, str]:
    """Header lines by lower-case name; with `folding` a line may go on in the next, as in MIME but not in HTTP.

    Raises RequestError 400 for what is no header, more than MAX_HEADERS, or two of what may be there only once.
    """
    found: dict[str, str] = {}
    text = _FOLD.sub(b" ", lines) if folding else lines
    all_lines = [line for line in _LINE_END.split(text) if line]
    if len(all_lines) > MAX_HEADERS:
        raise RequestError(400, "BatchTooLarge", f"{where}: more than {MAX_HEADERS} headers.")
    for line in all_lines:
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        value = value.strip(" \t")
        if not (colon and HEADER_NAME.fullmatch(name) and HEADER_VALUE.fullmatch(value)):
            raise invalid(f"{where}: {name[:80]!r} begins no header such as Accept: application/json")
        key = name.lower()
        if key in found and key in _SINGLE:
            raise invalid(f"{where}: the header {name} is there twice")
        found[key] = f"{found[key]},{value}" if key in found else value
    return found


def parse_media_type(header: str, *, where: str) -> tuple[str, dict[str, str]]:
    """`type/subtype` and its parameters (RFC 9110, section 8.3.1), names lower-case. Raises RequestError 400."""
    match = _MEDIA_TYPE.fullmatch(header)
    if match is None:
        raise invalid(f"{where}: a Content-Type such as application/http is needed, not {header[:80]!r}")
    parameters: dict[str, str] = {}
    position = 0
    while position < len(match[2]):
        parameter = _PARAMETER.match(match[2], position)
        if parameter is None:
            raise invalid(f"{where}: the parameters of the Content-Type cannot be read")
        position = parameter.end()
        if parameter[1]:
            name, value = parameter[1].lower(), parameter[2]
            if name in parameters:
                raise invalid(f"{where}: the Content-Type says {name} twice")
            parameters[name] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    return match[1].lower(), parameters


def is_json(media_type: str) -> bool:
    """Whether the body is JSON: application/json or a subtype (OData JSON Format 4.01, section 19.1)."""
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def check_method(method: str, *, where: str) -> None:
    if method not in METHODS:
        raise invalid(f"{where}: the method is one of {', '.join(sorted(METHODS))}, not {method[:20]!r}")


def check_url(url: str, *, where: str) -> None:
    if len(url) > MAX_URL:
        raise RequestError(400, "BatchTooLarge", f"{where}: the URL has more than {MAX_URL} characters.")


def invalid(problem: str) -> RequestError:
    """A batch that breaks a rule; nothing of it is done."""
    return RequestError(400, "InvalidBatch", f"{problem}.")


def _body(method: str, headers: dict[str, str], rest: bytes, where: str) -> bytes:
    if "transfer-encoding" in headers:
        raise invalid(f"{where}: a request in a batch has no Transfer-Encoding; send its body as it is")
    length = headers.pop("content-length", None)
    if length is None:
        # Clients put one more line end, or two, and templates a line of spaces, behind a request that has no body.
        body = rest if rest.strip(b" \t\r\n" if method in WITHOUT_BODY else b"\r\n") else b""
    elif not re.fullmatch(r"[0-9]{1,15}", length) or len(rest) < int(length) or rest[int(length) :].strip(b"\r\n"):
        raise invalid(f"{where}: Content-Length is not the length of the body in bytes; correct it or leave it out")
    else:
        body = rest[: int(length)]
    if body and method in WITHOUT_BODY:
        raise invalid(f"{where}: {method} takes no body")
    return body
