"""Ending a slice on purpose."""

from shared.actions.policies import Duration, duration
from shared.errors import DeclarationError, LroError


class ContinueLater(LroError):
    """Raised by a handler to end its slice: the operation goes on from the last checkpoint, in a slice of its own.

    That is neither a failure nor a loss, and the next slice has the action's whole `timeout`. `after` is how long it
    waits at least. Raises ValueError for what is no duration.
    """

    def __init__(self, *, after: Duration = "0s") -> None:
        try:
            self.after = duration(after, what="after", or_none=True)
        except (DeclarationError, TypeError) as error:
            raise ValueError(f"ContinueLater: {error}") from None
        super().__init__(f"the slice has ended; the next one begins after {self.after}")
