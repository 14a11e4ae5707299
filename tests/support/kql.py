"""Queries over the logs, wherever they are, and what they look for."""

import json
import re
from pathlib import Path

from tests.docs.transcript import blocks
from tests.support.host import ROOT

INFRA = ROOT / "infra"

SCHEMA = {
    "traces": "(timestamp: datetime, message: string, severityLevel: int, operation_Id: string, "
    "operation_ParentId: string, cloud_RoleInstance: string, customDimensions: dynamic)",
    "requests": "(timestamp: datetime, id: string, name: string, success: string, resultCode: string, duration: real, "
    "operation_Id: string, operation_ParentId: string, cloud_RoleInstance: string, customDimensions: dynamic)",
    "dependencies": "(timestamp: datetime, id: string, name: string, success: string, resultCode: string, "
    "duration: real, operation_Id: string, operation_ParentId: string, customDimensions: dynamic)",
    "exceptions": "(timestamp: datetime, outerMessage: string, operation_Id: string, customDimensions: dynamic)",
    "customMetrics": "(timestamp: datetime, name: string, value: real, customDimensions: dynamic)",
}
"""The columns that are used here of Application Insights' tables ("Application Insights data model")."""


def of_infra() -> dict[str, str]:
    """Those of the alerts and of the workbook, by name."""
    alerts = {path.stem: path.read_text(encoding="utf-8") for path in INFRA.glob("alerts/*.kql")}
    items = json.loads((INFRA / "workbook.json").read_text(encoding="utf-8"))["items"]
    return alerts | {item["name"]: item["content"]["query"] for item in items if item["type"] == 3}


def of_documents() -> dict[str, str]:
    """Those that pages show, by page and line."""
    found = [(page, block) for page in sorted((ROOT / "docs").glob("*.md")) for block in blocks(page)]
    return {f"{page.name}:{block.line}": block.text for page, block in found if block.language == "kql"}


def unknown_texts(query: str) -> list[str]:
    """The texts a query looks for that nothing in the source writes: such a query is silent."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in _sources())
    fields = {"operation_id=", "attempt=", "action=", "attempt=0"}
    found = (text.strip(" :;,()") for text in re.findall(r'(?:has|startswith|with|\*) "([^"]+)"', query))
    known = (*fields, "health")
    return [
        text
        for text in found
        if text not in known
        and text not in source
        and "exited with code" not in text
        and not re.fullmatch("operation_id=[0-9a-f-]+", text)
    ]


def _sources() -> list[Path]:
    return [path for folder in ("shared", "blueprints") for path in (ROOT / folder).rglob("*.py")]
