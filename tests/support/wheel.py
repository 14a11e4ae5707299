"""`python -m tests.support.wheel`: build the client's sdist and wheel into a folder, offline, and check them.

What `twine check` looks at is looked at by `packaging.metadata`, which knows the core metadata's rules.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from email import message_from_bytes
from pathlib import Path

from packaging.metadata import Metadata
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lro_client"


def build(output: Path) -> Path:
    """Build the sdist, and from it the wheel, which is returned. A copy is built: no neighbour can help."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "lro_client"
        shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        line = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(output.resolve()), str(source)]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = output.glob("*.whl")
    return wheel


def check(wheel: Path) -> Metadata:
    """The metadata, which a package index takes: all fields are valid, and the description is Markdown without links
    that lead nowhere from there."""
    name, version, _, tags = parse_wheel_filename(wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        raw = archive.read(f"{wheel.name.split('-')[0]}-{version}.dist-info/METADATA")
    metadata = Metadata.from_email(raw, validate=True)
    assert (metadata.name, metadata.version) == (name, version)
    assert {str(tag) for tag in tags} == {"py3-none-any"}
    assert metadata.description_content_type == "text/markdown"
    text = str(message_from_bytes(raw).get_payload())
    assert "](" not in text.replace("](https://", ""), "a relative link leads nowhere from a package index"
    assert any(each.endswith("/licenses/LICENSE") for each in names), "the licence goes with every copy"
    return metadata


def main() -> None:
    output = Path(sys.argv[1])
    shutil.rmtree(output, ignore_errors=True)
    wheel = build(output)
    print(f"{wheel}: {check(wheel).name} {check(wheel).version}, and its sdist beside it")


if __name__ == "__main__":
    main()
