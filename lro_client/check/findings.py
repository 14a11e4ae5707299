"""What a check of a deployment finds, and what mends it. Without I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from lro_client.messages import Answer
from lro_client.reasons import ErrorDetail, error_of

_MOST_FIELDS = 5


class Outcome(StrEnum):
    OK = "ok"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do, and the page of the documentation that has more."""

    text: str
    document: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. A problem has a remedy."""

    check: str
    outcome: Outcome
    message: str
    remedy: Remedy | None = None

    def json(self) -> dict[str, str]:
        """`{check, outcome, message, remedy?, document?}`."""
        mend = {"remedy": self.remedy.text, "document": self.remedy.document} if self.remedy else {}
        return {"check": self.check, "outcome": self.outcome.value, "message": self.message, **mend}


CALLERS = "docs/configuration.md#callers"
GATEWAYS = "docs/deployment.md#behind-a-gateway"
PREFIX = "docs/configuration.md#the-route-prefix"
SIGN_IN = "docs/deployment.md#sign-in-with-microsoft-entra-id"
FIRST = "docs/deployment.md#the-first-deployment"
TROUBLE = "docs/troubleshooting.md"

ADDRESS = Remedy("Name the address that callers use, with the route prefix and without a slash at its end.", PREFIX)
HTTPS = Remedy("Use https: no credential is sent over http, except to this machine.", FIRST)
HOST_KEY = Remedy(
    "Use a host-level key (`az functionapp keys list`, functionKeys): a function's own key opens that function only.",
    FIRST,
)
SCRIPTS = Remedy("Answer callers without a token by 401, not by a page to sign in on.", SIGN_IN)
CLOSED = Remedy("Set HTTP_AUTH_LEVEL=function, or switch App Service authentication on. If it is meant: --anonymous.",
                SIGN_IN)  # fmt: skip
CLOCK = Remedy("Set this machine's clock by a time server: tokens and upload URLs have times in them.", TROUBLE)
PASSED_ON = Remedy("Have the gateway pass requests and answers on as they are: methods, paths, queries, headers.",
                   GATEWAYS)  # fmt: skip
UNCACHED = Remedy("Switch caching off in the gateway: an old answer of a monitor keeps callers waiting.", GATEWAYS)
VERSIONS = Remedy("Ask for an api-version that the app serves, or deploy the app that serves it.", TROUBLE)
TRIAL = Remedy("Name the route of an action of the app's data plane, and an input that it takes.", "docs/actions.md")
OPERATION = Remedy("Look its error up, and its lines in the app's log, which begin with its id.", "docs/logs.md")
SLOW = Remedy("Take an action of some seconds, or a longer --timeout. If it does not begin, look at the task hub.",
              TROUBLE)  # fmt: skip
DOWN = Remedy("Is the app running, and its name right? Look at its log stream.", FIRST)

_BY_CODE: Mapping[str, Remedy] = MappingProxyType(
    {
        "StorageUnavailable": Remedy(
            "Give the app's identity its roles on the storage account (they take minutes), or mend OPERATIONS_STORAGE.",
            FIRST,
        ),
        "NamespaceTaken": Remedy(
            "Give this app or slot a TASK_HUB_NAME of its own, as a slot setting.",
            "docs/architecture.md#two-sites-on-one-namespace",
        ),
        "InvalidConfiguration": Remedy(
            "The app's log names the setting. With TRUST_PLATFORM_AUTH=true, App Service authentication has to be on.",
            CALLERS,
        ),
        "InvalidHost": Remedy("Set PUBLIC_BASE_URL to the address that callers use.", PREFIX),
        "Unauthenticated": Remedy("Sign in: set LRO_TOKEN, or use --identity with --scope.", SIGN_IN),
        "RouteNotFound": ADDRESS,
    }
)


def public_base(base: str) -> Remedy:
    """Where an app hands out another address than the one it is reached at."""
    return Remedy(
        f"Set PUBLIC_BASE_URL={base}; or TRUST_FORWARDED_HEADERS=true, where the proxy sets X-Forwarded-Proto and "
        "X-Forwarded-Host and leaves the path alone.",
        GATEWAYS,
    )


def remedy_of(answer: Answer, code: str | None = None) -> Remedy:
    """What mends an answer that is none of those that were hoped for. `code` is read off it unless it is given."""
    code = code or code_of(answer)
    if code is not None and code in _BY_CODE:
        return _BY_CODE[code]
    if answer.status_code == 401:
        return HOST_KEY
    if 300 <= answer.status_code < 400:
        return SCRIPTS
    if code is None and answer.status_code == 404:
        return ADDRESS
    # What is the app's own has a code; all else is a gateway's or the platform's.
    return DOWN if answer.status_code >= 500 else PASSED_ON if code is None else Remedy("Look the code up.", TROUBLE)


def code_of(answer: Answer) -> str | None:
    """The app's code of an error; None where something before the app has answered."""
    return answer.headers.get("x-ms-error-code")


def in_words(answer: Answer) -> str:
    """An answer as it is shown, within a sentence: status code, what the service says of it, and of which fields."""
    error = error_of(answer) if answer.status_code >= 400 else None
    said = "" if error is None else f" {error}".rstrip(".") + _fields(error)
    place = f", which leads to {answer.headers['location'].partition('?')[0]}" if _is_redirect(answer) else ""
    return f"{answer.status_code}{said}{place}"


def _fields(error: ErrorDetail) -> str:
    """The reasons that belong to single fields, the first few of them."""
    found = [f"{each.target}: {each.message}" for each in error.details if each.target and each.message]
    return f" ({'; '.join(found[:_MOST_FIELDS])})" if found else ""


def _is_redirect(answer: Answer) -> bool:
    return 300 <= answer.status_code < 400 and "location" in answer.headers
