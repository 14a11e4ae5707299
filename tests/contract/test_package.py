"""What is deployed stands on its own. These run in processes of their own, without pytest: the Durable SDK reads
host.json at import and leaves that out under pytest."""

import json
import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local_host.errors import PackageError
from local_host.package import deployed_files, write

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
    """A folder with what the repository's package holds."""
    folder = tmp_path_factory.mktemp("package")
    archive = folder.with_suffix(".zip")
    assert write(ROOT, archive) > 200
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    return folder


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
    assert {"function_app.py", "host.json", "shared", "actions", "blueprints"} <= top
    assert {"requirements.txt", "requirements-framework.txt"} <= top
    stays = {"tests", "docs", "local_host", "lro_client", "bench", "scaffold", "local.settings.json", "README.md"}
    stays |= {"infra", "azure.yaml", "LICENSE", "Dockerfile"}
    assert not top & stays
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
    assert host["functionTimeout"] == "01:00:00"
    assert host["extensions"]["http"]["routePrefix"] == ""


def test_host_json_keeps_what_operators_look_for() -> None:
    """No request, log line or exception is sampled away; the engine's own lines are few; its traces are W3C's."""
    host = json.loads((ROOT / "host.json").read_text())
    assert host["logging"]["logLevel"]["DurableTask.Core"] == "Warning"
    sampling = host["logging"]["applicationInsights"]["samplingSettings"]
    assert set(sampling["excludedTypes"].split(";")) == {"Request", "Trace", "Exception"}
    tracing = host["extensions"]["durableTask"]["tracing"]
    assert (tracing["distributedTracingEnabled"], tracing["version"]) == (True, "V2")
    assert not tracing["traceInputsAndOutputs"]


def test_host_json_names_no_backend() -> None:
    """Another backend refuses names that it does not know; what is Azure Storage's own is an app setting."""
    durable = json.loads((ROOT / "host.json").read_text())["extensions"]["durableTask"]
    assert "storageProvider" not in durable


def test_requirements_fit_the_sdk_generation() -> None:
    """Both SDKs stay below the generation after theirs; what is deployed follows one line to all of it."""
    assert "-r requirements-framework.txt" in (ROOT / "requirements.txt").read_text().splitlines()
    lines = (ROOT / "requirements-framework.txt").read_text().splitlines()
    assert {"azure-functions>=1.24,<3", "azure-functions-durable>=1.7,<2"} <= set(lines)
    assert not any("azure-functions-worker" in line for line in lines)


def test_no_web_framework_is_deployed() -> None:
    """Nothing that the app requires requires Flask, Jinja2 or click."""
    seen: set[str] = set()
    lines = [
        line for file in ("", "-framework") for line in (ROOT / f"requirements{file}.txt").read_text().splitlines()
    ]
    waiting = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    while waiting:
        each = waiting.pop()
        name = canonicalize_name(each.name)
        if (each.marker is None or each.marker.evaluate({"extra": ""})) and name not in seen:
            seen.add(name)
            waiting += map(Requirement, requires(name) or [])
    assert "werkzeug" in seen
    assert not seen & {"flask", "jinja2", "click", "blinker", "itsdangerous"}


def test_the_page_is_deployed(package: Path) -> None:
    """Its files, which git leaves out, are in the package with their licence."""
    folder = package / "shared" / "endpoints" / "docs_page" / "swagger-ui"
    names = {"swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png", "LICENSE", "NOTICE"}
    assert {path.name for path in folder.iterdir()} == names


def test_the_package_of_a_folder(tmp_path: Path) -> None:
    """It takes what `.funcignore` leaves, also what pip has put there; a folder without that file is refused."""
    app = tmp_path / "app"
    for path in (
        "function_app.py",
        ".python_packages/lib/site-packages/six.py",
        "tests/test_it.py",
        "local.settings.json",
    ):
        (app / path).parent.mkdir(parents=True, exist_ok=True)
        (app / path).touch()
    with pytest.raises(PackageError, match=r"git does not read \.funcignore"):
        deployed_files(app)
    (app / ".funcignore").write_bytes((ROOT / ".funcignore").read_bytes())
    expected = [".funcignore", ".python_packages/lib/site-packages/six.py", "function_app.py"]
    assert deployed_files(app) == expected


def test_a_package_that_cannot_be_written(tmp_path: Path) -> None:
    """It says where, in one sentence."""
    (tmp_path / ".funcignore").touch()
    (tmp_path / "taken").touch()
    with pytest.raises(PackageError, match=r"taken/app.zip cannot be written"):
        write(tmp_path, tmp_path / "taken" / "app.zip")
