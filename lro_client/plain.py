"""What answers say that are no JSON objects: XML of storage services, pages of gateways, lines of text. Without I/O.

Nothing is parsed: a few bounded patterns find what a person would read first.
"""

import html
import re

from lro_client.messages import Answer

_LONGEST = 64 * 1024
"""Characters of a body that are looked at."""
_HEAD = 1000
"""Those in which a page says that it is one."""
_ELEMENT = r"<(?:\w{{1,20}}:)?{0}(?:\s[^<>]{{0,200}})?>\s*(?:<!\[CDATA\[)?([^<>]{{1,2000}})"
_CODE = re.compile(_ELEMENT.format("(?:error|fault)?code"), re.IGNORECASE)
_MESSAGE = re.compile(_ELEMENT.format("(?:message|errormessage|faultstring)"), re.IGNORECASE)
_HEADINGS = [re.compile(_ELEMENT.format(each), re.IGNORECASE) for each in ("title", "h1", "h2")]
_CHALLENGE = re.compile(r'\b(error|error_description)\s*=\s*"((?:[^"\\]|\\.){1,2000})"', re.IGNORECASE)


def plain_reason(answer: Answer) -> tuple[str | None, str | None]:
    """The code and the text of an error answer whose body is no JSON.

    XML has both in elements of its own (Azure Storage, "Status and error codes"; OData Atom; SOAP). Of a page its title
    counts: `code` is any piece of code there. Text is the reason itself. Where the body says nothing,
    `WWW-Authenticate` may (RFC 6750, section 3).
    """
    text = answer.text()[:_LONGEST].strip()
    kind = answer.media_type
    if text.startswith("<"):
        if _is_page(kind, text):
            code, message = None, next(filter(None, (_found(heading, text) for heading in _HEADINGS)), None)
        else:
            code, message = _found(_CODE, text), _found(_MESSAGE, text)
        if code or message:
            return code, message
    elif text and (kind == "text/plain" or (kind in ("", "text/html") and text.isprintable())):
        return None, text
    parts = {name.lower(): value for name, value in _CHALLENGE.findall(answer.headers.get("www-authenticate", ""))}
    return parts.get("error"), parts.get("error_description")


def is_page(answer: Answer) -> bool:
    """Whether the body is HTML, which mostly somebody between the client and the service has written."""
    return _is_page(answer.media_type, answer.text()[:_HEAD].lstrip())


def _is_page(kind: str, text: str) -> bool:
    return text.startswith("<") and ("html" in kind or "<html" in text[:_HEAD].lower())


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return " ".join(html.unescape(match[1].removesuffix("]]")).split()) or None if match else None
