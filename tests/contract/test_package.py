"""What is deployed stands on its own. These run in processes of their own, without pytest: the Durable SDK reads
host.json at import and leaves that out under pytest."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

IMPORT = """
import sys, socket
def refuse(*args, **kwargs): raise AssertionError("import opened a socket")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import function_app
from azure.functions import FunctionRegister
apps = [v for v in vars(function_app).values() if isinstance(v, FunctionRegister)]
assert len(apps) == 1, f"{len(apps)} function apps are visible"
import shared
print(len(apps[0].get_functions()), shared.__file__)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `.funcignore` leaves of the tracked and new files of the repository."""
    target = tmp_path_factory.mktemp("package")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    files = [name for name in listed if name and (ROOT / name).is_file()]
    ignored = subprocess.run(
        ["git", "-c", f"core.excludesFile={ROOT / '.funcignore'}", "check-ignore", "--no-index", "--stdin"],
        cwd=ROOT,
        input="\n".join(files),
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    for name in set(files) - set(ignored):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    return target


def run(package: Path, code: str, *, deps_first: bool = False) -> str:
    # In several hosting plans the app's folder is the last one on the path: what pip installs then wins.
    place = f"import sys; sys.path.insert({'len(sys.path)' if deps_first else 0}, {str(package)!r})\n"
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", place + code],
        cwd=package,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_imports_alone(package: Path) -> None:
    """Without a setting and without the network, the deployed files import and hold one function app."""
    count, where = run(package, IMPORT).split()
    assert int(count) >= 14
    assert Path(where).is_relative_to(package)


def test_our_names_win_with_dependencies_first_on_the_path(package: Path) -> None:
    """No installed package shadows one of ours (azure-functions-durable ships a stray `tests`, for one)."""
    code = IMPORT + "\nimport actions, blueprints\nprint(actions.__file__, blueprints.__file__)"
    for where in run(package, code, deps_first=True).split()[1:]:
        assert Path(where).is_relative_to(package)


def test_what_is_not_deployed(package: Path) -> None:
    """Tests, docs, the local host and local settings stay behind; what the host needs is there."""
    top = {path.name for path in package.iterdir()}
    assert {"function_app.py", "host.json", "requirements.txt", "shared", "actions", "blueprints"} <= top
    assert not top & {"tests", "docs", "local_host", "lro_client", "bench", "local.settings.json", "README.md"}
    assert not list(package.glob("local.settings*"))


def test_import_leaves_storage_and_identity_unloaded(package: Path) -> None:
    """A cold start does not pay for SDKs before something is stored, nor for azure-identity unless it is used."""
    code = (
        "import function_app, sys\n"
        "print([m for m in ('azure.data.tables', 'azure.storage.blob', 'azure.identity', 'lxml', 'sqlite3')"
        " if m in sys.modules])"
    )
    assert run(package, code).strip() == "[]"


def test_a_wrong_setting_does_not_take_the_functions_away(package: Path) -> None:
    """An app with an unreadable setting still shows its functions, and asks for keys."""
    code = (
        "import os; os.environ['MAX_BODY_BYTES'] = 'many'; os.environ['HTTP_AUTH_LEVEL'] = 'anybody'\n"
        "import function_app\n"
        "print({f.get_trigger().auth_level.name for f in function_app.app.get_functions()"
        " if f.get_function_name() == 'status'})"
    )
    assert run(package, code).strip() == "{'FUNCTION'}"


def test_host_json_is_plain_and_bounded() -> None:
    """The Durable SDK reads host.json with a plain JSON parser; the time limit is explicit."""
    host = json.loads((ROOT / "host.json").read_text())
    assert host["functionTimeout"] == "00:10:00"
    assert host["extensions"]["http"]["routePrefix"] == ""


def test_requirements_fit_the_sdk_generation() -> None:
    """Durable stays below 2 without a marker (the SDK reads that line), azure-functions has no upper bound."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert "azure-functions-durable>=1.7,<2" in lines
    assert not any(re.match(r"azure-functions\b[^-].*<", line) for line in lines)
    assert not any("azure-functions-worker" in line for line in lines)
