"""Uploads belong to who started them."""

import httpx
import pytest

from tests.support.host import LocalHost
from tests.support.lro import begin, caller, ended


@pytest.mark.both_stores
def test_uploads_are_their_owners(host: LocalHost, client: httpx.Client) -> None:
    """Somebody else's upload transaction is not found by the handler."""
    started = ended(client, begin(client, "/book/b1:upload-start", {"fileName": "a.epub"})["id"])
    body = {"transactionId": started["result"]["transactionId"]}
    with caller(host.url) as other:
        state = ended(other, begin(other, "/book/b1:upload-finish", body)["id"])
    assert (state["status"], state["error"]["code"]) == ("Failed", "UploadNotFound")
