"""Representations, versions, errors and paths over HTTP, on both stores.

OData Protocol 4.01, sections 5, 8.1.5, 8.2.6 to 8.2.8 and 9; JSON Format 4.01, sections 3 and 21.
"""

from urllib.parse import quote

import httpx
import pytest

from tests.sample.odata import BOOKS, among, book_url, fresh, made, refused

MINIMAL = "application/json;odata.metadata=minimal"


@pytest.mark.parametrize("where", ["Accept", "$format"])
@pytest.mark.parametrize("level", ["none", "minimal", "full"])
def test_metadata_levels(client: httpx.Client, level: str, where: str) -> None:
    """As much control information as was asked for, and the level in the content type."""
    book, etag = made(client, words=3)
    media_type = f"application/json;odata.metadata={level}"
    answer = _requested(client, book_url(book), media_type, where)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["etag"] == etag
    body = answer.json()
    root = f"{str(client.base_url).rstrip('/')}/odata"
    entity = f"{root}/Books('{book}')"
    control = {name: value for name, value in body.items() if "@" in name or name.startswith("#")}
    context = {"@odata.context": f"{root}/$metadata#Books/$entity", "@odata.etag": etag}
    if level == "none":
        assert control == {}
    elif level == "minimal":
        assert control == context
    else:
        assert control.items() >= {**context, "@odata.type": "#Library.Book", "@odata.id": entity}.items()
        assert (control["@odata.editLink"], control["words@odata.type"]) == (entity, "#Int64")
        assert control["creators@odata.type"] == "#Collection(String)"
        assert control["#Library.Export"] == {"title": "Export", "target": f"{entity}/Library.Export"}
    assert (body["id"], body["words"]) == (book, 3)
    page = _requested(client, f"{BOOKS}?{among(book)}&$count=true", media_type, where).json()
    assert (page["@odata.count"], "@odata.context" in page) == (1, level != "none")
    assert page["value"][0]["id"] == book


def _requested(client: httpx.Client, path: str, media_type: str, where: str) -> httpx.Response:
    if where == "Accept":
        return client.get(path, headers={"Accept": f"{media_type}, text/html;q=0.2"})
    separator = "&" if "?" in path else "?"
    # `$format` wins over Accept.
    return client.get(f"{path}{separator}$format={quote(media_type)}", headers={"Accept": "application/xml"})


def test_large_numbers_as_text(client: httpx.Client) -> None:
    """With IEEE754Compatible=true Int64 are strings, in the answer, in the count, and in what is sent."""
    book = fresh()
    content = f'{{"id": "{book}", "title": "T", "words": "12"}}'.encode()
    compatible = "application/json;IEEE754Compatible=true"
    answer = client.post(BOOKS, content=content, headers={"Content-Type": compatible, "Accept": compatible})
    assert (answer.status_code, answer.json()["words"]) == (201, "12")
    assert answer.headers["content-type"] == f"{MINIMAL};IEEE754Compatible=true"
    page = client.get(f"{BOOKS}?{among(book)}&$count=true", headers={"Accept": compatible}).json()
    assert (page["@odata.count"], page["value"][0]["words"]) == ("1", "12")
    assert client.get(book_url(book)).json()["words"] == 12
    refused(client.post(BOOKS, content=content, headers={"Content-Type": "application/json"}), 400, "InvalidInput")


@pytest.mark.parametrize(
    "accept",
    ["application/xml", "text/html", "application/json;q=0", "application/json;odata.metadata=most", "image/*, text/*"],
)
def test_what_is_not_served(client: httpx.Client, accept: str) -> None:
    """406 for a representation that there is not; a write is not done then."""
    book = fresh()
    refused(client.post(BOOKS, json={"id": book, "title": "T"}, headers={"Accept": accept}), 406, "NotAcceptable")
    assert client.get(book_url(book)).status_code == 404
    for path in (BOOKS, "/odata"):
        refused(client.get(path, headers={"Accept": accept}), 406, "NotAcceptable")


@pytest.mark.parametrize(
    ("format", "status"),
    [("json", 200), ("application/json", 200), ("application/xml", 406), ("xml", 406), ("%20", 400)],
)
def test_format(client: httpx.Client, format: str, status: int) -> None:
    """`$format` takes a media type, or json for short."""
    assert client.get(f"{BOOKS}?$top=1&$format={format}").status_code == status


VERSIONS = [
    ({}, 200, "4.01"),
    ({"OData-MaxVersion": "4.0"}, 200, "4.0"),
    ({"OData-MaxVersion": "4.01"}, 200, "4.01"),
    ({"OData-MaxVersion": "5.0"}, 200, "4.01"),
    ({"OData-MaxVersion": "3.0"}, 400, "4.01"),
    ({"OData-MaxVersion": "new"}, 400, "4.01"),
    ({"OData-Version": "4.0"}, 200, "4.01"),
    ({"OData-Version": "3.0"}, 400, "4.01"),
    ({"OData-Version": "4.0", "OData-MaxVersion": "4.0"}, 200, "4.0"),
]


@pytest.mark.parametrize(("headers", "status", "version"), VERSIONS)
def test_versions(client: httpx.Client, headers: dict[str, str], status: int, version: str) -> None:
    """The answer is of the highest version that the client takes; 400 where there is none."""
    for path in (BOOKS, "/odata", "/odata/$metadata"):
        answer = client.get(path, headers=headers)
        assert (answer.status_code, answer.headers["odata-version"]) == (status, version), path
    if status == 400:
        refused(client.post(BOOKS, json={"id": fresh(), "title": "T"}, headers=headers), 400, "UnsupportedODataVersion")


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/odata/Books('no-such')", {}, 404),
        ("GET", "/odata/Nothing", {}, 404),
        ("GET", "/odata/Books(1)", {}, 400),
        ("GET", "/odata/Books?$top=x", {}, 400),
        ("GET", "/odata/Books?$expand=x", {}, 501),
        ("PUT", "/odata/Books('x')", {}, 405),
        ("OPTIONS", "/odata/Books", {}, 405),
        ("POST", "/odata/Books", {"Content-Type": "text/plain"}, 415),
        ("POST", "/odata/Books", {"Content-Type": "application/json"}, 400),
        ("GET", "/odata/Books", {"Accept": "text/html"}, 406),
        ("GET", "/odata/$async/none", {}, 404),
        ("POST", "/odata/$batch", {"Content-Type": "text/plain"}, 415),
        ("GET", "/odata/Books", {"x-ms-client-principal-id": ""}, 401),
    ],
)
def test_every_error_says_its_version(
    client: httpx.Client, method: str, path: str, more: dict[str, str], status: int
) -> None:
    """An error is an OData answer like any other, in the version that the client takes."""
    for version in ("4.0", "4.01"):
        headers = {"OData-MaxVersion": version, **more}
        answer = client.request(method, path, content=b"x" if method == "POST" else b"", headers=headers)
        assert (answer.status_code, answer.headers["odata-version"]) == (status, version)
        refused(answer, status, answer.headers["x-ms-error-code"])


# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/odata/Books/$ref", "/odata/Books('x')/$ref", "/odata/$entity", "/odata/$all", "/odata/Books(@x)?@x='x'"]
)
def test_paths_that_are_not_supported(client: httpx.Client, path: str) -> None:
    """What OData has and this does not do is 501 (Protocol 4.01, section 9.3.1)."""
    refused(client.get(path), 501, "PathNotSupported")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/odata/books", "nothing"),
        ("/odata/BOOKS('x')", "nothing"),
        ("/odata/Books('x')/title", "no URL of its own"),
        ("/odata/Books('x')/title/$value", "property"),
        ("/odata/Books('x')/title/$count", "property"),
        ("/odata/Books('x')/$value", "nothing"),
        ("/odata/Books('x')/$count", "nothing"),
        ("/odata/Books/x", "nothing"),
        ("/odata/Books/a/b/c/d", "nothing"),
        ("/odata/$metadata/x", "nothing"),
        ("/odata/Library.Book", "nothing"),
        ("/odata/Books('x", "nothing"),
        ("/odata/Books)", "nothing"),
        ("/odata/Books/", None),
        ("/odata/", None),
    ],
)
def test_paths(client: httpx.Client, path: str, message: str | None) -> None:
    """What leads nowhere is 404 in OData's shape, names in another case too; one slash at the end does no harm."""
    answer = client.get(path)
    if message is None:
        assert (answer.status_code, answer.headers["odata-version"]) == (200, "4.01")
    else:
        assert message in refused(answer, 404, "ResourceNotFound")["message"]
