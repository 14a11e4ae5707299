"""The page at /operations in process: its headers and files, and colors that can be read."""

import re
from pathlib import Path
from typing import Any

import pytest

from local_host.package import deployed_files
from shared.contracts.http import Request, Response
from shared.contracts.pages import CONTENT_TYPES, OPERATIONS_FILES, OPERATIONS_HTML
from shared.endpoints.boundary import answer
from shared.endpoints.operations_ui import FOLDER, OperationsPage
from tests.support.host import ROOT

NORMAL_TEXT = 4.5
"""The smallest contrast of text (WCAG 2.2, success criterion 1.4.3)."""

Color = tuple[float, float, float]


async def get(serve: Any, path: str, *, file: str = "", **headers: str) -> Response:
    request = Request(method="GET", url=f"http://h:1{path}", route={"file": file}, headers=headers)
    return await answer(request, serve)


async def test_the_page() -> None:
    """It may run its own files and ask its own origin, nothing else; every file that it names is one of the app."""
    page = await get(OperationsPage().page, "/operations")
    assert (page.status, page.content_type, page.headers["Cache-Control"]) == (200, "text/html", "no-cache")
    policy = page.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"} <= set(policy)
    assert {"form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY"
    text = page.body.decode()
    assert not re.search(r"https?://|\sstyle=|\son\w+=", text)
    assert set(re.findall(r'(?:src|href)="\./operations/([^"]+)"', text)) <= set(OPERATIONS_FILES)
    assert 'data-root="./"' in text


async def test_below_a_slash() -> None:
    """The host takes a slash at the end, too; there every link goes one level up."""
    page = await get(OperationsPage().page, "/operations/")
    assert b'data-root="../"' in page.body
    assert b'"./' not in page.body
    assert b"{root}" not in page.body


async def test_the_page_is_asked_for_again() -> None:
    page = await get(OperationsPage().page, "/operations")
    known = await get(OperationsPage().page, "/operations", **{"if-none-match": page.headers["ETag"]})
    assert (known.status, known.body) == (304, b"")
    assert known.headers["ETag"] == page.headers["ETag"]


@pytest.mark.parametrize("name", OPERATIONS_FILES)
async def test_files(name: str) -> None:
    """Each has its type and an ETag. Modules import files of the page only."""
    found = await get(OperationsPage().file, f"/operations/{name}", file=name)
    assert (found.status, found.content_type) == (200, CONTENT_TYPES[Path(name).suffix])
    known = await get(
        OperationsPage().file, f"/operations/{name}", file=name, **{"if-none-match": found.headers["ETag"]}
    )
    assert known.status == 304
    text = found.body.decode()
    assert set(re.findall(r'from "\./([^"]+)"', text)) <= set(OPERATIONS_FILES)
    # Ways to make elements out of text, or code.
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser", text
    )


@pytest.mark.parametrize("name", ["page.html", "../operations_ui.py", "..%2Fpage.js", ""])
async def test_no_other_files(name: str) -> None:
    assert (await get(OperationsPage().file, "/operations/x", file=name)).status == 404


def test_every_file_is_named_and_deployed() -> None:
    """What lies in the folder is given out, and goes along to Azure."""
    names = {path.name for path in FOLDER.iterdir()}
    assert names == {*OPERATIONS_FILES, OPERATIONS_HTML}
    folder = FOLDER.relative_to(ROOT).as_posix()
    assert {f"{folder}/{name}" for name in names} <= set(deployed_files(ROOT))


def themes() -> list[dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", (FOLDER / "base.css").read_text(encoding="utf-8"), re.DOTALL)
    values = dict(re.findall(r"--([\w-]+): ([^;]+);", light))
    return [values, values | dict(re.findall(r"--([\w-]+): ([^;]+);", dark))]


def color(text: str) -> Color:
    red, green, blue = (int(text[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def mixed(one: Color, other: Color, part: float) -> Color:
    red, green, blue = (a * part + b * (1 - part) for a, b in zip(one, other, strict=True))
    return red, green, blue


def contrast(one: Color, other: Color) -> float:
    """WCAG 2.2, "contrast ratio"."""

    def luminance(of: Color) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in of]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
def test_texts_can_be_read(theme: dict[str, str]) -> None:
    """Texts and statuses have contrast enough on cards, on the page, and statuses on their own tint in a chosen row."""
    card, page = color(theme["card"]), color(theme["page"])
    tint = float(theme["tint"].rstrip("%")) / 100
    chosen = mixed(color(theme["accent"]), card, tint)
    for name in ("text", "muted", "accent", "danger"):
        assert min(contrast(color(theme[name]), ground) for ground in (card, page, chosen)) >= NORMAL_TEXT, name
    assert contrast(color(theme["on-accent"]), color(theme["accent"])) >= NORMAL_TEXT
    for status in ("NotStarted", "Running", "Canceling", "Succeeded", "Failed", "Canceled"):
        ink = color(theme[status])
        for ground in (card, chosen):
            assert contrast(ink, mixed(ink, ground, tint)) >= NORMAL_TEXT, status
