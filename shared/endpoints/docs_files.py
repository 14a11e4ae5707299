"""The files of the page at /docs: ours, and those of Swagger UI, which lie in a folder that git ignores.

`python -m local_host.docs_page` fetches them (`make run`, `make test` and `make package` do so); they are deployed with
the app. docs/decisions/0010-page-of-the-description.md says where they come from.
"""

from pathlib import Path

from shared.contracts.openapi.docs_page import OWN_FILES, UI_FILES
from shared.endpoints.page_files import PageFiles

_OWN = Path(__file__).with_name("docs_page")
UI_FOLDER = _OWN / "swagger-ui"


def docs_files(ui: Path = UI_FOLDER) -> PageFiles:
    """`ui` is the folder of those of Swagger UI; an app may do without them."""
    return PageFiles({**{name: _OWN / name for name in OWN_FILES}, **{name: ui / name for name in UI_FILES}})
