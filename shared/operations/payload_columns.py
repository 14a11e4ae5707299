"""Payloads as columns: what is known of one as JSON, and its text beside it. Pure."""

import json
from collections.abc import Mapping
from typing import Any, cast

from shared.model.operation import NO_PAYLOAD, Payload
from shared.storage.ports import Scalar

_ENCODER = json.JSONEncoder(separators=(",", ":"))


def input_columns(input: Payload) -> dict[str, Scalar]:
    """The columns of an operation's input."""
    return payload_columns("input", input)


def payload_columns(name: str, payload: Payload | None) -> dict[str, Scalar]:
    """The columns of a payload: `{name}` and `{name}_text`; empty ones where there is none."""
    if payload is None:
        return {f"{name}_text": "", name: ""}
    return {f"{name}_text": payload.text or "", name: dump_json(described(payload))}


def described(payload: Payload) -> dict[str, Any]:
    """What is known of a payload, without its text."""
    return {
        "content_type": payload.content_type,
        "size": payload.size,
        "sha256": payload.sha256,
        "blob": payload.blob,
        "file_name": payload.file_name or None,
    }


def stored_input(values: Mapping[str, Scalar]) -> Payload:
    """Inverse of `input_columns`; an empty one where the columns were not read."""
    return payload_of(load_json(values, "input"), values.get("input_text")) or NO_PAYLOAD


def payload_of(value: dict[str, Any] | None, text: Scalar | None) -> Payload | None:
    if not value:
        return None
    blob = value.get("blob")
    return Payload(
        content_type=value["content_type"],
        size=value["size"],
        sha256=value["sha256"],
        text=None if blob else str(text or ""),
        blob=blob,
        file_name=value.get("file_name") or "",
    )


def dump_json(value: Mapping[str, Any]) -> str:
    """Without its members that are None, which is what an absent one means."""
    return _ENCODER.encode({name: each for name, each in value.items() if each is not None})


def load_json(values: Mapping[str, Scalar], name: str) -> dict[str, Any] | None:
    text = values.get(name)
    return cast(dict[str, Any], json.loads(str(text))) if text else None
