"""Coverage per folder of the product: `python -m tests.support.coverage_by_folder`, after the data was combined."""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

PACKAGE_DEPTH = 2


def folder_of(file: str) -> str:
    """`shared/actions`, `lro_client`: a package of `shared`, or what lies beside it."""
    folders = Path(file).parts[:-1]
    return "/".join(folders[: PACKAGE_DEPTH if folders[:1] == ("shared",) else 1]) or "."


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        subprocess.run(
            [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(report)], check=True, stdout=sys.stderr
        )
        files: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))["files"]
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for file, found in files.items():
        summary = found["summary"]
        counted = [summary[n] for n in ("covered_lines", "num_statements", "covered_branches", "num_branches")]
        for name in (folder_of(file), "all"):
            sums[name] = [old + new for old, new in zip(sums[name], counted, strict=True)]
    print(f"{'folder':<24} {'lines':>7} {'branches':>9}")
    for name, (lines, all_lines, branches, all_branches) in sorted(sums.items(), key=lambda item: item[0] == "all"):
        print(f"{name:<24} {_percent(lines, all_lines)} {_percent(branches, all_branches):>9}")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:6.1f}%" if whole else "      -"


if __name__ == "__main__":
    main()
