"""`make infra`: compile and lint `infra/`, and note what the result was made from.

`BICEP` names the compiler, else one is looked for beside this repository and on the PATH. Compiled templates and hashes
are kept, so that whoever has no compiler still sees that they fit together.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
COMPILED = INFRA / "main.json"
HASHES = INFRA / "sources.sha256"
_BESIDE = ROOT.parent / "shared" / "tools" / "bicep"


class InfraError(Exception):
    """The compiler is missing, or does not take the sources; the text is the compiler's."""


def compiler() -> str | None:
    """The compiler's path; None where there is none."""
    named = os.environ.get("BICEP") or (str(_BESIDE) if _BESIDE.exists() else "bicep")
    return shutil.which(named)


def hashes() -> str:
    """What the compiled template is made of, and itself, in the format of `sha256sum`."""
    files = [path for path in sorted(INFRA.rglob("*")) if path.suffix in (".bicep", ".kql", ".json")]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(INFRA).as_posix()}" for path in files]
    return "\n".join(lines) + "\n"


def compiled(program: str) -> str:
    """The template as ARM's JSON. Raises InfraError for an error and for every finding of the linter."""
    with tempfile.TemporaryDirectory() as home:
        # It keeps state in HOME; without ICU on the machine .NET wants to be told.
        environment = {**os.environ, "HOME": home, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
        command = [program, "build", str(INFRA / "main.bicep"), "--stdout"]
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    if done.returncode or done.stderr.strip():
        raise InfraError(done.stderr)
    return done.stdout


def main() -> int:
    """Write the compiled template and the hashes; returns the exit code."""
    program = compiler()
    if program is None:
        print("infra: no Bicep compiler: name one with BICEP=/path/to/bicep", file=sys.stderr)
        return 1
    try:
        template = compiled(program)
    except InfraError as error:
        print(error, file=sys.stderr)
        return 1
    COMPILED.write_text(template, encoding="utf-8")
    HASHES.write_text(hashes(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
