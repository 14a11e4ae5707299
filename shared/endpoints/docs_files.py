"""The files of the page: ours, and those of Swagger UI, which lie in a folder that git ignores.

`python -m local_host.docs_page` fetches them (`make run`, `make test` and `make package` do so); they are deployed with
the app. docs/decisions/0010-page-of-the-description.md says where they come from.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path

from shared.contracts.conditions import hash_etag
from shared.contracts.openapi.docs_page import CONTENT_TYPES, OWN_FILES, UI_FILES

_OWN = Path(__file__).with_name("docs_page")
UI_FOLDER = _OWN / "swagger-ui"


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is sent; `compressed` is the same with Content-Encoding gzip, None where that saves nothing."""

    content: bytes
    compressed: bytes | None
    content_type: str
    etag: str


class PageFiles:
    """The page's files, each kept from when it was first read."""

    def __init__(self, ui: Path = UI_FOLDER) -> None:
        self._ui = ui
        self._kept: dict[str, PageFile] = {}

    def are_there(self) -> bool:
        """Whether those of Swagger UI are; an app may do without them."""
        return all((self._ui / name).is_file() for name in UI_FILES)

    def has(self, name: str) -> bool:
        """Whether the page has a file of that name, and it is there."""
        return name in OWN_FILES or (name in UI_FILES and self._path(name).is_file())

    def read(self, name: str) -> PageFile:
        """A file that `has` knows. Blocks: it reads and compresses."""
        if name not in self._kept:
            content = self._path(name).read_bytes()
            content_type = CONTENT_TYPES[Path(name).suffix]
            compressed = gzip.compress(content, mtime=0) if content_type.startswith("text/") else None
            self._kept[name] = PageFile(content, compressed, content_type, hash_etag(content))
        return self._kept[name]

    def _path(self, name: str) -> Path:
        return (_OWN if name in OWN_FILES else self._ui) / name
