"""A client that looks at a deployment of a data-plane app, and runs the steps that do."""

from collections.abc import Callable

from lro_client.cancellation import CancellationToken
from lro_client.check.asking import Asker
from lro_client.check.deployment import look
from lro_client.check.findings import Finding
from lro_client.check.trial import CHECKS, Trial, try_out
from lro_client.client import LroClient
from lro_client.errors import WaitCanceled
from lro_client.steps import Interrupted, Steps, drive


class CheckClient(LroClient):
    """Its endpoint is the address that callers use, with the route prefix."""

    def check(
        self,
        trial: Trial | None = None,
        *,
        has_credential: bool = True,
        anonymous: bool = False,
        report: Callable[[Finding], None] = lambda _: None,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> list[Finding]:
        """Look at health, addresses and authentication, and try the start out. `anonymous`: no credential is asked for.

        `report` gets each finding as it comes. Nothing is raised for what is wrong.

        Raises:
            WaitCanceled: the token was used; an operation that was started goes on.
        """
        starter = self._starter
        base = starter.url("").partition("?")[0].rstrip("/")
        asker = Asker(base, starter.settings, starter.api_version, self._deadline(timeout), report)
        try:
            drive(_steps(asker, trial, has_credential, anonymous), self._sender, cancellation)
        except Interrupted:
            raise WaitCanceled("The check was stopped.") from None
        return asker.findings


def _steps(asker: Asker, trial: Trial | None, has_credential: bool, anonymous: bool) -> Steps[None]:
    goes_on = yield from look(asker, has_credential=has_credential, anonymous=anonymous)
    if goes_on and trial is not None:
        yield from try_out(asker, trial)
    elif trial is not None:
        for check in CHECKS:
            asker.skip(check, "What comes before it is not right")
    else:
        asker.skip("trial", "No action was named: --action ROUTE --input JSON starts one, watches and cancels it")
