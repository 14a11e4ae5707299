"""docs/configuration.md: host.json value by value, and the settings of a deployment as the README gives them."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.contracts.functions import HEALTH

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
HOST = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))


def table(section: str) -> dict[str, str]:
    """The first two columns of a section's table, without backticks."""
    (text,) = [part for part in PAGE.split("\n## ") if part.startswith(f"{section}\n")]
    rows = [[cell.strip(" `") for cell in line.split("|")] for line in text.splitlines() if line.startswith("|")]
    return {row[1]: row[2] for row in rows[2:]}


def leaves(document: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value if isinstance(value, str) else json.dumps(value)


def test_every_value_of_host_json_is_explained() -> None:
    """The table has the values of the file, and no others."""
    assert table("host.json") == dict(leaves(HOST))


def test_the_deployment_sets_what_the_page_says() -> None:
    """The README's command, read by a shell, sets what the table has, to its values; so do the sample settings."""
    (command,) = re.findall(r"```sh\n(DURABLE=.*?)func azure", (ROOT / "README.md").read_text(), re.DOTALL)
    script = f'az() {{ printf "%s\\n" "$@"; }}\nmake() {{ :; }}\nAPP=a GROUP=g HUB=h\n{command}'
    printed = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    given = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    documented = table("Settings of a deployment")
    assert given.pop("TASK_HUB_NAME").isalnum()
    assert documented.pop("TASK_HUB_NAME") == "letters and digits"
    assert given == documented
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    local = {name: value for name, value in documented.items() if not name.startswith("WEBSITE_")}
    assert local.items() <= sample.items()


def test_warm_up_asks_for_health() -> None:
    """The platform pings where the app says whether it works, which asks for no key."""
    prefix = HOST["extensions"]["http"]["routePrefix"]
    path = "/" + "/".join(part for part in (prefix, HEALTH.route) if part)
    named = [value for name, value in table("Settings of a deployment").items() if "WARMUP" in name]
    assert named == [path, path]


def test_the_limit_fits_the_plans() -> None:
    """The limit in host.json is one that every plan but Consumption takes."""
    limits = table("Time limits of the plans")
    assert limits.pop("Consumption") == "5 min"
    assert set(limits.values()) == {"30 min"}
    assert {"Flex Consumption", "Premium", "Dedicated"} <= set(limits)
