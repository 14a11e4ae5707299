"""The files of the page: ours, and those of Swagger UI, which the package flask-swagger-ui brings along.

The package is never imported (it would import Flask); its files are those of npm's swagger-ui-dist, byte for byte.
docs/decisions/0010-page-of-the-description.md says what else was looked at.
"""

import gzip
import importlib.util
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from shared.contracts.docs_page import CONTENT_TYPES, OWN_FILES, UI_FILES

UI_PACKAGE = "flask_swagger_ui"

_OWN = Path(__file__).with_name("docs_page")


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is sent; `compressed` is the same with Content-Encoding gzip, None where that saves nothing."""

    content: bytes
    compressed: bytes | None
    content_type: str
    etag: str


@cache
def is_installed() -> bool:
    """Whether the package with the UI is there; an app may do without it."""
    return importlib.util.find_spec(UI_PACKAGE) is not None


def is_on_the_page(name: str) -> bool:
    """Whether `page_file` has a file of that name."""
    return name in OWN_FILES or (name in UI_FILES and is_installed())


@cache
def page_file(name: str) -> PageFile:
    """A file that is on the page, kept from then on. Blocks: it reads and compresses."""
    content = ((_OWN / name) if name in OWN_FILES else _ui_file(name)).read_bytes()
    content_type = CONTENT_TYPES[Path(name).suffix]
    compressed = gzip.compress(content, mtime=0) if content_type.startswith("text/") else None
    return PageFile(content, compressed, content_type, f'"{sha256(content).hexdigest()[:32]}"')


def _ui_file(name: str) -> Path:
    spec = importlib.util.find_spec(UI_PACKAGE)
    assert spec is not None, "asked for by is_installed"
    assert spec.submodule_search_locations, "it is a package"
    return Path(spec.submodule_search_locations[0]) / "dist" / name
