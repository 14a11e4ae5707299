"""Errors at a size that a record holds, whatever the code of an action has put into them."""

from shared.errors import ErrorBody, ErrorDetail

_MAX_DETAILS = 4


def bounded(error: ErrorBody) -> ErrorBody:
    """The error cut to fit: a handler may take an exception as a message, say."""
    details = tuple(
        ErrorDetail(str(detail.code)[:100], str(detail.message)[:200], _target(detail.target))
        for detail in error.details[:_MAX_DETAILS]
    )
    return ErrorBody(str(error.code)[:100], str(error.message)[:1000], _target(error.target), details)


def _target(target: str | None) -> str | None:
    return str(target)[:100] if target else None
