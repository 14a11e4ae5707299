"""Every start that autorest's test server knows, with this client of both kinds and with azure-mgmt-core."""

from pathlib import Path

import httpx
import pytest

from tests.client.autorest_routes import DOCUMENT, REASONS, Route, document, ours, routes, row, theirs
from tests.client.mocks import MODULES
from tests.client.twins import Twins

pytestmark = pytest.mark.xdist_group("client-autorest")
ROUTES = list(routes()) if MODULES.exists() else []


def rows() -> dict[str, str]:
    """The document's rows, by route."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    return {line.split("`")[1]: line for line in lines if line.startswith("| `")}


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_route(autorest_url: str, route: Route, twins: Twins) -> None:
    """Both come to what the document says, with as many requests, and a difference has a reason."""
    measured = row(route, ours(autorest_url, route, twins), theirs(autorest_url, route))
    assert measured == rows()[str(route)]
    assert "?" not in measured.rpartition("|")[0].rpartition("|")[2]


def test_document_is_whole(autorest_url: str) -> None:
    """The document has every route, no other, and no reason that no row needs."""
    known = rows()
    assert list(known) == [str(route) for route in routes()]
    assert document(list(known.values())) == DOCUMENT.read_text(encoding="utf-8")
    assert {line.split("|")[-2].strip() for line in known.values()} == {"", *REASONS}


def test_the_servers_own_book(autorest_url: str, twins: Twins) -> None:
    """The server counts the scenarios of long-running operations that came to their end: ours complete its list, but
    for the two POSTs that are not sent again."""
    before = _book(autorest_url)
    for route in ROUTES:
        ours(autorest_url, route, twins)
    after = _book(autorest_url)
    missing = {name for name, count in after.items() if count == before[name]}
    assert missing == {"LRORetryErrorPost202Retry200Succeeded", "LRORetryErrorPostAsyncRetrySucceeded"}


def _book(url: str) -> dict[str, int]:
    counts = httpx.get(f"{url}/report/azure", timeout=30, verify=False).json()
    names = _scenarios()
    return {name: counts[name] for name in names if name in counts}


def _scenarios() -> set[str]:
    """The names under which the routes in question are counted."""
    source = Path(MODULES, "@microsoft.azure", "autorest.testserver", "legacy", "routes", "lros.js").read_text()
    return {part.split('"')[0] for part in source.split('coverage["')[1:] if not part.startswith("LRO_")}
