"""URLs in batches: the three forms, references to earlier requests, and what of all that is refused before any work."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.http import Response
from shared.contracts.odata.batch.parts import Batch, BatchRequest
from shared.contracts.odata.batch.references import (
    Referred,
    check_references,
    entity_reference,
    referred,
    relative_url,
    resolve,
    resolve_conditions,
)
from shared.errors import RequestError

ROOT = "https://public.example/api/odata"
INNER = "http://127.0.0.1:7071/odata"
KNOWN = {
    "1": Referred(f"{ROOT}/Books('new')", 'W/"7"'),
    "failed": Referred(None),
    "metadata": Referred(f"{ROOT}/Books('x')"),
}


def batch(*requests: BatchRequest, is_json: bool = True) -> Batch:
    return Batch(requests=requests, is_json=is_json)


def request(id: str, url: str, **more: Any) -> BatchRequest:
    return BatchRequest(id=id, method="POST", url=url, **more)


def refusal(*requests: BatchRequest, is_json: bool = True) -> RequestError:
    with pytest.raises(RequestError) as caught:
        check_references(batch(*requests, is_json=is_json), ROOT, (INNER,))
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("Books('1')?$top=1", "Books('1')?$top=1"),
        ("/api/odata/Books", "Books"),
        ("/odata/Books", "Books"),
        ("/API/OData/Books", "Books"),
        ("https://public.example/api/odata/Books", "Books"),
        ("HTTPS://PUBLIC.example:443/api/odata/Books", "Books"),
        ("http://127.0.0.1:7071/odata/Books('a')", "Books('a')"),
        ("https://public.example/api/odata", ""),
        ("/odata?a=b", "?a=b"),
        ("?a=b", "?a=b"),
        ("/odata/", ""),
        ("Books('https://x/y')", "Books('https://x/y')"),
        ("Books?x=https://elsewhere/../y", "Books?x=https://elsewhere/../y"),
        ("$1/Library.Export", "$1/Library.Export"),
        ("/$1/Library.Export", "$1/Library.Export"),
        ("https://public.example/api/odata/$1", "$1"),
    ],
)
def test_forms_of_urls(url: str, expected: str) -> None:
    """Absolute, a path, or relative to the service: the same resource, by every address that the service has."""
    assert relative_url(url, ROOT, (INNER,)) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/api/odata/Books",
        "http://public.example/api/odata/Books",
        "https://public.example:8443/api/odata/Books",
        "https://public.example/odata/Books",
        "https://public.example/api/odatas/Books",
        "https://public.example@elsewhere/api/odata/Books",
        "//elsewhere.example/api/odata/Books",
        "/Books",
        "/$metadata",
        "ftp://public.example/api/odata/Books",
        "../admin/host/status",
        "Books/../../admin",
        "/odata/../admin",
        "Books/%2e%2E/x",
        "Books/./x",
        "Books#fragment",
    ],
)
def test_urls_outside_the_service(url: str) -> None:
    """What another service, another host or a path above the root would answer is refused."""
    with pytest.raises(RequestError) as caught:
        relative_url(url, ROOT, (INNER,))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("Books", f"{ROOT}/Books"),
        ("", ROOT),
        ("?a=b", f"{ROOT}?a=b"),
        ("/odata/Books", f"{ROOT}/Books"),
        ("$metadata", f"{ROOT}/$metadata"),
        ("$1", f"{ROOT}/Books('new')"),
        ("%241", f"{ROOT}/Books('new')"),
        ("$1?$select=title", f"{ROOT}/Books('new')?$select=title"),
        ("$1/Library.Export", f"{ROOT}/Books('new')/Library.Export"),
        ("/$1/Library.Export", f"{ROOT}/Books('new')/Library.Export"),
        (f"{INNER}/$1", f"{ROOT}/Books('new')"),
    ],
)
def test_references_are_replaced(url: str, expected: str) -> None:
    """`$` and an id is the URL of that request's entity; names of the service's own come first."""
    assert resolve(url, KNOWN, ROOT, (INNER,)) == expected


@pytest.mark.parametrize(("url", "status"), [("$2", 400), ("$failed", 424), ("$failed/x", 424), ("/$2/x", 400)])
def test_references_that_lead_nowhere(url: str, status: int) -> None:
    """An unknown request is a 400; one that failed, or has no end yet, is a failed dependency."""
    with pytest.raises(RequestError) as caught:
        resolve(url, KNOWN, ROOT)
    assert caught.value.status == status


@pytest.mark.parametrize("relative", ["$1x y", "$1(2)", "a/$1", "$", "$*1", "$crossjoin(A)", "$root/x", "$async/1"])
def test_what_is_no_reference(relative: str) -> None:
    """Only a whole first segment is one, and no system resource."""
    assert entity_reference(relative) is None


def test_conditions_refer_to_etags() -> None:
    """An unquoted `$` and an id in If-Match or If-None-Match is that request's ETag; all else stays."""
    headers = {"if-match": "$1", "if-none-match": '"$1"', "accept": "$1"}
    assert resolve_conditions(headers, KNOWN) == {"if-match": 'W/"7"', "if-none-match": '"$1"', "accept": "$1"}
    for name, status in {"failed": 424, "metadata": 424, "other": 400}.items():
        with pytest.raises(RequestError) as caught:
            resolve_conditions({"if-match": f"${name}"}, KNOWN)
        assert caught.value.status == status


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (Response(status=201, headers={"Location": "L", "ETag": "E"}), Referred("L", "E")),
        (Response(status=204, headers={"odata-entityid": "I"}), Referred("I")),
        (Response(status=200, headers={"etag": "E"}), Referred("http://h/Books('1')", "E")),
        (Response(status=202, headers={"Location": "monitor"}), Referred(None)),
        (Response(status=404), Referred(None)),
        (Response(status=424, headers={"Location": "L"}), Referred(None)),
    ],
)
def test_what_a_request_leaves_to_refer_to(response: Response, expected: Referred) -> None:
    """What it made, else what it named; nothing if it failed or is still running."""
    assert referred("http://h/Books('1')?$select=x", response) == expected


@pytest.mark.parametrize(
    "requests",
    [
        [request("1", "Books"), request("2", "$1/x", depends_on=("1",))],
        [request("1", "Books", group="g"), request("2", "$1", group="g")],
        [request("1", "Books", group="g"), request("2", "$1", depends_on=("g",))],
        [request("1", "Books"), request("2", "Books", depends_on=("1",), headers={"if-match": "$1"})],
        [request("metadata", "Books"), request("2", "$metadata")],
    ],
)
def test_references_that_fit(requests: list[BatchRequest]) -> None:
    """Listed in dependsOn by itself or by its group, or in the same group."""
    assert check_references(batch(*requests), ROOT).requests == tuple(requests)


def test_multipart_has_no_list() -> None:
    """There a reference may name any earlier request."""
    checked = batch(request("1", "Books"), request("2", "$1"), is_json=False)
    assert check_references(checked, ROOT) is checked


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ([request("1", "Books"), request("2", "$1")], "'1' in dependsOn"),
        ([request("1", "Books", group="g"), request("2", "$1")], "'g' in dependsOn"),
        ([request("1", "Books"), request("2", "B", headers={"if-match": "$1"})], "'1' in dependsOn"),
        ([request("1", "$2"), request("2", "Books")], "comes later"),
        ([request("1", "$1")], "comes later"),
        ([request("1", "$nobody/x")], "no request of this batch"),
        ([request("1", "B", headers={"if-none-match": "$nobody"})], "no request of this batch"),
        ([request("1", "https://elsewhere/odata/Books")], "outside the service"),
    ],
)
def test_references_that_do_not(requests: list[BatchRequest], said: str) -> None:
    """Each is refused before any work, with the request and the rule."""
    assert said in refusal(*requests).message


@pytest.mark.parametrize(
    "url", ["$batch", "/odata/$batch", "$BATCH?x", "%24batch", "$%62atch", f"{ROOT}/$batch", "$batch/x"]
)
@pytest.mark.parametrize("is_json", [True, False])
def test_no_batch_in_a_batch(url: str, is_json: bool) -> None:
    """In whatever form its URL comes."""
    assert "a batch holds no other" in refusal(request("1", url), is_json=is_json).message


def outcome(url: str) -> str | int:
    """The URL, or the status of the refusal."""
    try:
        return resolve(url, KNOWN, ROOT, (INNER,))
    except RequestError as error:
        return error.status


pieces = st.sampled_from(
    ["/", "//", "..", "%2e", "$1", "$", "odata", "api", "http:", "https://public.example", "?", "#"]
)


@given(st.lists(pieces | st.text("aA:@\\", max_size=3), max_size=8).map("".join))
def test_no_url_leaves_the_service(url: str) -> None:
    """Whatever a URL is made of, what comes out of it is below the service root."""
    found = outcome(url)
    if isinstance(found, str):
        assert found == ROOT or found.startswith((f"{ROOT}/", f"{ROOT}?"))
        assert not {"..", "."} & set(found.partition("?")[0].split("/"))
    else:
        assert found in (400, 424)
