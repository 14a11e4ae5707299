"""Tags of a resource. Pure.

learn.microsoft.com, "Use tags to organize your Azure resources", limitations: names have no case in operations, and
keep the spelling they were given. The codes are those of Azure Resource Manager where it has one of its own.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from shared.errors import ErrorDetail, RequestError

MAX_TAGS, MAX_NAME, MAX_VALUE = 50, 512, 256

_RESERVED_PREFIXES = ("microsoft", "azure", "windows")
_RESERVED = re.compile(r"[<>%&\\?/]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LINKS = ("hidden-", "link:")
"""How names begin that hold the id of another resource, as Azure's own `hidden-link:/subscriptions/...` does."""


def replaced_tags(given: Any) -> dict[str, str]:
    """The tags of a PUT, all there are from then on. Raises RequestError 400 with a code for each reason."""
    changes = _read(given)
    for name, value in changes.items():
        if value is None:
            message = "The value of a tag is a string; leave the tag out, or remove it by PATCH with null."
            raise _misfit(f"tags.{name[:80]}", message)
    return _limited({name: str(value) for name, value in changes.items()})


def merged_tags(stored: Mapping[str, str], given: Any) -> dict[str, str]:
    """The tags after a PATCH (RFC 7396, names compared without case): null removes. Raises as `replaced_tags` does.

    A tag that is there keeps its name as it was first written.
    """
    if given is None:
        return {}
    tags = dict(stored)
    spelled = {name.lower(): name for name in stored}
    for name, value in _read(given).items():
        known = spelled.get(name.lower(), name)
        if value is None:
            tags.pop(known, None)
        else:
            tags[known] = value
    return _limited(tags)


def _read(given: Any) -> dict[str, str | None]:
    """What a request says of tags, each for itself checked; None is a null."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise _misfit("tags", "tags is an object of strings.")
    tags = cast(dict[str, Any], given)
    seen: dict[str, str] = {}
    for name, value in tags.items():
        target = f"tags.{name[:80]}"
        if other := seen.get(name.lower()):
            message = f"{other[:80]!r} and {name[:80]!r} are one tag: names of tags compare without case. Send one."
            raise _refused("DuplicateTagName", target, message)
        seen[name.lower()] = name
        if value is not None:
            _check_name(name, target)
            _check_value(value, target)
    return tags


def _check_name(name: str, target: str) -> None:
    if not name.strip():
        raise _refused("InvalidTagName", target, "The name of a tag is not empty.")
    if len(name) > MAX_NAME:
        raise _refused("TagNameTooLong", target, f"The name of a tag has at most {MAX_NAME} characters.")
    folded = name.lower()
    if _CONTROL.search(name) or (_RESERVED.search(name) and not folded.startswith(_LINKS)):
        message = r"The name of a tag has none of the characters < > % & \ ? / and no control characters."
        raise _refused("InvalidTagNameCharacters", target, message)
    if folded.startswith(_RESERVED_PREFIXES):
        message = f"The name of a tag does not begin with {', '.join(_RESERVED_PREFIXES)}: these are Azure's own."
        raise _refused("ReservedTagNamePrefix", target, message)


def _check_value(value: Any, target: str) -> None:
    if not isinstance(value, str):
        raise _misfit(target, "The value of a tag is a string.")
    if len(value) > MAX_VALUE:
        raise _refused("TagValueTooLong", target, f"The value of a tag has at most {MAX_VALUE} characters.")


def _limited(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > MAX_TAGS:
        raise _refused("TooManyTags", "tags", f"A resource has at most {MAX_TAGS} tags; these are {len(tags)}.")
    return tags


def _misfit(target: str, message: str) -> RequestError:
    """What has another type, as everywhere in a body."""
    detail = ErrorDetail("InvalidValue", message, target)
    return RequestError(400, "InvalidInput", message, target=target, details=(detail,))


def _refused(code: str, target: str, message: str) -> RequestError:
    return RequestError(400, code, message, target=target)
