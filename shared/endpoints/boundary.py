"""The boundary between a host and the app: whatever happens inside, a caller gets an answer of ours."""

import logging
from collections.abc import Awaitable, Callable

from shared.contracts.bodies import check_encoding
from shared.contracts.errors import error_response
from shared.contracts.headers import complete
from shared.contracts.http import Request, Response
from shared.errors import DeclarationError, RequestError, SettingsError, StorageError, StorageRefused

STORAGE_RETRY_AFTER = "5"
_UNEXPECTED = "Something went wrong; the app's log has more."

_log = logging.getLogger(__name__)


async def answer(request: Request, endpoint: Callable[[Request], Awaitable[Response]]) -> Response:
    """The endpoint's answer, or the error it ended in, with the headers every answer carries.

    The Functions host turns an exception that leaves a function into a 500 with an empty body; none does.
    A body that is coded is refused before anything else is looked at.
    """
    try:
        check_encoding(request)
        response = await endpoint(request)
    except RequestError as error:
        response = error_response(error)
    except StorageRefused:
        # Trying again does not help, so it is not a 503.
        _log.exception("Storage refused a write", extra={"event": "storage_refused", "path": request.path})
        response = error_response(RequestError(500, "InternalError", _UNEXPECTED))
    except StorageError as error:
        _log.warning("Storage did not answer: %s", error, extra={"event": "storage_unavailable"})
        unavailable = "Storage cannot be reached right now; try again."
        headers = {"Retry-After": STORAGE_RETRY_AFTER}
        response = error_response(RequestError(503, "StorageUnavailable", unavailable, headers=headers))
    except DeclarationError as error:
        _log.error("The app is declared wrongly: %s", error, extra={"event": "invalid_declaration"})
        response = error_response(RequestError(500, "InternalError", _UNEXPECTED))
    except SettingsError as error:
        _log.error("The app is not configured: %s", error, extra={"event": "invalid_settings"})
        response = error_response(
            RequestError(
                500, "InvalidConfiguration", "The app is not configured as it has to be; its log says what is wrong."
            )
        )
    except Exception:
        _log.exception("A request failed unexpectedly", extra={"event": "request_failed", "path": request.path})
        response = error_response(RequestError(500, "InternalError", _UNEXPECTED))
    return complete(request, response)
