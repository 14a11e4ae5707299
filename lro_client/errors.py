"""Everything the library raises.

LroError
├── StartRefused            the service did not take the start: nothing runs
├── OperationFailed         the operation has ended, and not well
├── OperationCanceled       the operation has ended because it was canceled
├── StoppedWaiting          the time-out passed; the operation goes on (a TimeoutError too)
├── WaitCanceled            the caller's cancellation token; the operation goes on unless it was canceled as well
├── NotFinished             a value was asked for before the end
├── CancelRefused           the service does not cancel this operation
├── ServiceUnreachable      no answer, or none but "not now", within the retries
├── UnexpectedAnswer        an answer that no contract allows
│   ├── MonitorGone         404 or 410 where the operation was
│   ├── AnswerTooLarge      more bytes than the limits allow
│   └── ResultMismatch      the result does not fit the type that was asked for
├── CredentialUnavailable   the credential gave no token
├── UnsafeUrl               a URL that is not followed: http after https, too long, no URL at all
├── InvalidRequest          what was to be sent cannot be: a method, a header, a path (a ValueError too)
└── TokenError              a resume token that cannot be used
    ├── UnknownTokenVersion
    ├── ForeignToken        it belongs to another origin
    └── TamperedToken       it was changed, or cut off
"""

from lro_client.messages import Answer
from lro_client.reasons import ErrorDetail, error_of


class LroError(Exception):
    """Every error of this library. What is known of the operation and of the last answer goes along.

    `monitor_url` is where the operation can be watched, `answer` the last answer, `error` what the service says of it.
    """

    def __init__(
        self,
        message: str,
        *,
        monitor_url: str | None = None,
        answer: Answer | None = None,
        error: ErrorDetail | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.monitor_url = monitor_url
        self.answer = answer
        self.error = error or (error_of(answer) if answer is not None else None)

    @property
    def status_code(self) -> int | None:
        """The status code of the last answer."""
        return None if self.answer is None else self.answer.status_code

    @property
    def body(self) -> str | None:
        """The body of the last answer, as text."""
        return None if self.answer is None else self.answer.text()

    @property
    def code(self) -> str | None:
        """The service's code for what went wrong."""
        return None if self.error is None else self.error.code

    @property
    def details(self) -> tuple[ErrorDetail, ...]:
        """The parts of the service's error."""
        return () if self.error is None else self.error.details


class StartRefused(LroError):
    """The service answered the start with an error; nothing runs."""


class OperationFailed(LroError):
    """The operation has ended as Failed, or its final answer is an error."""


class OperationCanceled(LroError):
    """The operation has ended as Canceled."""


class StoppedWaiting(LroError, TimeoutError):
    """The time-out passed; the operation goes on."""


class WaitCanceled(LroError):
    """The cancellation token was used; nobody waits any longer."""


class NotFinished(LroError):
    """The operation has not ended yet, so it has no value."""


class CancelRefused(LroError):
    """The service does not cancel this operation, or offers no way to ask for it."""


class ServiceUnreachable(LroError):
    """The service could not be reached, or had no answer but "not now", within the retries."""


class UnexpectedAnswer(LroError):
    """The service answered what the contract does not allow."""


class MonitorGone(UnexpectedAnswer):
    """There is no such operation, or it has expired."""


class AnswerTooLarge(UnexpectedAnswer):
    """The answer has more bytes than the limits allow."""


class ResultMismatch(UnexpectedAnswer):
    """The result does not fit the type that was asked for."""


class CredentialUnavailable(LroError):
    """The credential gave no token, or may not be sent this way."""


class UnsafeUrl(LroError):
    """The service named a URL that is not followed."""


class InvalidRequest(LroError, ValueError):
    """What the caller wants to be sent cannot be sent; nothing was."""


class TokenError(LroError):
    """The resume token cannot be used."""


class UnknownTokenVersion(TokenError):
    """The resume token was made by another version."""


class ForeignToken(TokenError):
    """The resume token belongs to another origin than this client."""


class TamperedToken(TokenError):
    """The resume token was changed since it was made, or is not whole."""
