"""What reads and writes of entities answer with."""

from dataclasses import replace
from typing import Any

from shared.actions.entities import Stored
from shared.contracts.http import Response, json_response
from shared.contracts.odata import media
from shared.contracts.odata.etags import etag_header


def etag_of(stored: Stored) -> dict[str, str]:
    """The header of an entity's ETag, where its source has one."""
    tag = etag_header(stored)
    return {"ETag": tag} if tag else {}


def json_answer(
    status: int, body: dict[str, Any], representation: media.Representation, headers: dict[str, str] | None = None
) -> Response:
    """`body` in the form that was asked for."""
    return replace(json_response(status, body, headers), content_type=media.content_type(representation))
