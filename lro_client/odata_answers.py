"""OData's two forms of a final answer (OData 4.01 Protocol, 11.6), and HTTP messages inside of bodies."""

import re
from http import HTTPStatus

from lro_client.errors import UnexpectedAnswer
from lro_client.messages import Answer, Headers

_STATUS_LINE = re.compile(r"HTTP/\d(?:\.\d)? ([1-5]\d\d)(?: .*)?")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_END_OF_LINE = re.compile(r"\r?\n")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_MOST_FIELDS = 200


def unwrap(answer: Answer) -> Answer:
    """The answer that a finished asynchronous request encloses; `answer` itself where it encloses none.

    Form A is a 200 with `AsyncResult: nnn`, the true status code. Form B is a 200 whose body is a whole HTTP message.

    Raises:
        UnexpectedAnswer: what is enclosed is no answer.
    """
    if answer.status_code != HTTPStatus.OK:
        return answer
    if (status := answer.headers.get("asyncresult")) is not None:
        status = status.strip()
        if not re.fullmatch(r"[1-5]\d\d", status, re.ASCII):
            raise UnexpectedAnswer(f"The header AsyncResult is {status[:40]!r}, not a status code.", answer=answer)
        return Answer(answer.method, answer.url, int(status), answer.headers, answer.body)
    if answer.media_type == "application/http":
        status, headers, body = enclosed(answer.body, answer)
        return Answer(answer.method, answer.url, status, headers, body)
    return answer


def enclosed(message: bytes, answer: Answer, *, is_part: bool = False) -> tuple[int, Headers, bytes]:
    """Status code, headers and body of an HTTP message in a body (RFC 9112, section 2); line ends may be bare LF.

    `is_part`: it lies between boundaries, which may have taken the empty line behind its head where it has no body.

    Raises:
        UnexpectedAnswer: it has no status line, its header fields are none, or its head has no end.
    """
    message = message.lstrip(b"\r\n")
    end = _END_OF_HEAD.search(message)
    if end is None and not is_part:
        raise UnexpectedAnswer("The enclosed HTTP message has a head without an end.", answer=answer)
    head, body = (message.rstrip(b"\r\n"), b"") if end is None else (message[: end.start()], message[end.end() :])
    lines = _END_OF_LINE.split(head.decode("latin-1"))
    found = _STATUS_LINE.fullmatch(lines[0].rstrip())
    if found is None:
        raise UnexpectedAnswer("The enclosed HTTP message has no status line.", answer=answer)
    headers = fields(lines[1:], answer)
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and len(length) < 12 and int(length) > len(body):
        raise UnexpectedAnswer("The enclosed HTTP message is cut off.", answer=answer)
    return int(found[1]), headers, body


def fields(lines: list[str], answer: Answer) -> Headers:
    """Header fields, one a line."""
    if len(lines) > _MOST_FIELDS:
        raise UnexpectedAnswer(f"An enclosed HTTP message has more than {_MOST_FIELDS} header fields.", answer=answer)
    pairs = [line.partition(":") for line in lines]
    if any(not colon or not _NAME.fullmatch(name) for name, colon, _ in pairs):
        raise UnexpectedAnswer("An enclosed HTTP message has a header field without a name.", answer=answer)
    return Headers((name, value.strip(" \t")) for name, _, value in pairs)
