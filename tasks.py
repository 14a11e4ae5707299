"""Everything that can be done here, for `make TASK` and for `python tasks.py TASK`, which needs no make.

python tasks.py run PORT=8080 STORE=azurite
"""

import shlex
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one is told so
    sys.exit("Python 3.11 or newer is needed; set PYTHON=/path/to/it")

from local_host.tasks import Installed, TaskError, Tasks, finish

# The worker's own function loader. Its wheel asks for 3.13, but it runs on 3.11 too; its dependencies are ours already.
WORKER_RUNTIME = "azure-functions-runtime==1.3.0"
# The Durable SDK's next generation, which needs Python 3.13: the app is imported and indexed with it, no more.
DURABLE_2 = "azure-functions-durable==2.0.0rc3"
HTTP_SPECS = "@azure-tools/azure-http-specs"
RESTATE_VERSION = "1.7.12"
HTTP_SPECS_VERSION = "0.1.0-alpha.44"
AUTOREST = "@microsoft.azure/autorest.testserver"
AUTOREST_VERSION = "3.3.51"
PARAMETERS = {
    "PORT": "7071",
    "STORE": "sqlite",
    "DATA_DIR": ".data",
    "VENV": ".venv",
    "RELOAD": "",
    "ENGINE": "",
    "APP": "",
    # The Durable extension as a program: DURABLE_HOST names it, else it is unpacked from this archive.
    "DURABLE_HOST": "",
    "DURABLE_HOST_ARCHIVE": "../shared/tools/durable-host/durable-host.tar.xz",
    "DURABLE_HOST_PROGRAM": ".build/durable-host/durable-host",
    "DURABLE_HOST_REQUIRED": "",
    # Of load on each store, in `chaos`.
    "CHAOS_SECONDS": "120",
    # How often `bench` takes each figure, whether beside rivals, and where it writes them.
    "ROUNDS": "5",
    "RIVALS": "",
    "FULL": "",
    "REPORT": "",
    # More workers than cores: most of the tests wait for a host, a lease or another process.
    "WORKERS": "4",
}
EXAMPLE = (
    "curl -i http://127.0.0.1:{port}/book/moby-dick:upload-start -H 'Content-Type: application/json' "
    """-d '{{"fileName": "moby-dick.epub"}}'"""
)

t = Tasks(Path(__file__).parent, PARAMETERS)
installed = Installed(t)


@t.task("Show this list")
def help() -> None:
    print(t.listed())


@t.task("Start the app on http://127.0.0.1:7071 (PORT, STORE=sqlite|azurite, DATA_DIR, ENGINE=durable-host, RELOAD=1)")
def run() -> None:
    installed.docs_page()
    if t["STORE"] == "azurite":
        installed.azurite()
    if t["ENGINE"]:
        durable_host()
    t.show_first_request(EXAMPLE.format(port=t["PORT"]))
    again = ["--reload"] if t["RELOAD"] else []
    t.become(t.python, "-m", "local_host", *again, more={name: t[name] for name in ("PORT", "STORE", "DATA_DIR")})


@t.task("Make an app of your own, without the sample: APP=../my-app")
def new() -> None:
    installed.python()
    t.run(t.python, "-m", "scaffold", "new", t["APP"], shown=False)


@t.task("Run every check: lint, types, unit, contract (both stores), client, end to end, the Durable extension, docs")
def test() -> None:
    everything()
    mine = (f"tests={pytest('tests')} {side_by_side()}", f"alone+={pytest('tests')} -m alone")
    checks(*mine, again("tests"), *style())


@t.task("Run the quick checks: lint, types, unit")
def check() -> None:
    dev()
    installed.docs_page()
    installed.azurite()
    mine = folders("unit")
    checks(f"unit={pytest(*mine)} {side_by_side()}", again(*mine), *style())


def _one_folder(name: str) -> None:
    @t.task(f"Run the tests of {name}", name=name)
    def folder() -> None:
        everything()
        mine = pytest(*folders(name))
        # For the tests' own hosts only: what else the tests start runs as it does for a user.
        more = {"TESTS_ENGINE": t["ENGINE"]} if t["ENGINE"] else {}
        parts = (f"{name}={mine} {side_by_side()}", f"alone+={mine} -m alone")
        t.run(t.python, "-m", "tests.support.checks", *parts, shown=False, more=more, without=("ENGINE", "MAKEFLAGS"))


for each in ("unit", "contract", "client", "e2e", "engine", "docs"):
    _one_folder(each)


@t.task("Measure the coverage of lines and branches, folder by folder")
def coverage() -> None:
    everything()
    t.remove(".coverage", ".coverage.*")
    measured = (t.python, "-m", "coverage", "run", "-m", "pytest", "tests")
    t.run(*measured, *shlex.split(side_by_side()))
    t.run(*measured, "-m", "alone")
    t.run(t.python, "-m", "coverage", "combine", "--quiet")
    t.run(t.python, "-m", "tests.support.coverage_by_folder", shown=False)


@t.task("Check style and format")
def lint() -> None:
    dev()
    t.run(t.program("ruff"), "check", ".")
    t.run(t.program("ruff"), "format", "--check", ".")


@t.task("Check types")
def types() -> None:
    dev()
    installed.azurite()
    t.run(t.program("pyright"))


@t.task("Mend style and format")
def format() -> None:
    dev()
    t.run(t.program("ruff"), "check", "--fix", ".")
    t.run(t.program("ruff"), "format", ".")


@t.task("Look up every pinned package in the database of advisories; needs the network")
def audit() -> None:
    installed.python()
    tool = t.venv.with_name(f"{t.venv.name}-audit")
    python = tool / ("Scripts/python.exe" if t.windows else "bin/python")
    if t.is_stale(tool / ".installed", ()):
        t.run(t.python, "-m", "venv", "--clear", tool)
        t.run(python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "pip-audit>=2.9,<3")
        t.touch(tool / ".installed")
    t.run(python, "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip")


@t.task("Build the client's wheel and sdist into .build/wheel, and check them")
def wheel() -> None:
    dev()
    t.run(t.python, "-m", "tests.support.wheel", ".build/wheel", shown=False)


@t.task("Repeat unit, contract and client tests on every Python 3.11 to 3.14 found, and say what was left out")
def test_all() -> None:
    everything()
    t.run(t.python, "-m", "tests.support.every_python", shown=False)


@t.task()
def on_this_python() -> None:
    dev()
    found = [folder for name in ("unit", "contract", "client") for folder in folders(name)]
    t.run(t.python, "-m", "pytest", *found, *shlex.split(side_by_side()), shown=False)


@t.task()
def durable_2() -> None:
    venv = t.venv.with_name(f"{t.venv.name}-durable-2")
    python = venv / ("Scripts/python.exe" if t.windows else "bin/python")
    files = ("requirements.txt", "requirements-framework.txt")
    if t.is_stale(venv / ".installed", (*files, "tasks.py")):
        t.run(sys.executable, "-m", "venv", "--clear", venv)
        lines = [line for name in files for line in (t.root / name).read_text().splitlines()]
        kept = [line for line in lines if not line.startswith(("-r", "azure-functions"))]
        if not t.dry_run:
            (t.root / venv / "requirements.txt").write_text("\n".join([*kept, DURABLE_2, ""]))
        quiet = (python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
        t.run(*quiet, "-r", venv / "requirements.txt", WORKER_RUNTIME)
        t.touch(venv / ".installed")
    t.run(python, "-m", "tests.sample.worker_indexing", shown=False)


@t.task(
    "Kill the app and break its storage under load, and check what it promises (CHAOS_SECONDS, ENGINE=durable-host)"
)
def chaos() -> None:
    dev()
    installed.azurite()
    if t["ENGINE"]:
        durable_host()
    store = ("--store", "engine") if t["ENGINE"] else ()
    t.run(t.python, "-m", "tests.chaos", "--seconds", t["CHAOS_SECONDS"], *store, shown=False)


@t.task("Print the figures with their goals (RIVALS=1: beside others; FULL=1: a million records; ROUNDS, REPORT=file)")
def bench() -> None:
    dev()
    installed.azurite()
    if t["RIVALS"]:
        rivals()
    report = ("--report", t["REPORT"]) if t["REPORT"] else ()
    more = (*report, *(["--rivals"] if t["RIVALS"] else []), *(["--full"] if t["FULL"] else []))
    t.run(t.python, "-m", "bench", "--rounds", t["ROUNDS"], *more, shown=False)


def rivals() -> None:
    venv, pinned = Path(".build/rivals"), Path("bench/rivals/requirements.txt")
    restate = f"@restatedev/restate-server@{RESTATE_VERSION}"
    if t.is_stale(venv / ".installed", [pinned, "tasks.py"]):
        t.run(sys.executable, "-m", "venv", "--clear", venv)
        python = venv / ("Scripts/python.exe" if t.windows else "bin/python")
        t.run(python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "-r", pinned)
        t.npm(str(venv), restate)
        t.touch(venv / ".installed")


@t.task("Fetch the files of the page at /docs, or mend them")
def docs_page() -> None:
    installed.local()
    t.run(t.python, "-m", "local_host.docs_page", shown=False)


@t.task("Make .build/app.zip of what is deployed")
def package() -> None:
    installed.local()
    t.run(t.python, "-m", "local_host.package", shown=False)


@t.task("Install the storage emulator into .build")
def azurite() -> None:
    installed.azurite()


@t.task("Unpack the Durable extension of the tests into .build (DURABLE_HOST_ARCHIVE=file)")
def durable_host() -> None:
    if t["DURABLE_HOST"]:
        return
    archive, program = t.root / t["DURABLE_HOST_ARCHIVE"], t.root / t["DURABLE_HOST_PROGRAM"]
    if not archive.is_file():
        if program.is_file():
            return
        print(f"durable-host: there is no {t['DURABLE_HOST_ARCHIVE']}: tests on the Durable extension are left out")
        if t["DURABLE_HOST_REQUIRED"] == "1":
            raise TaskError
        return
    if program.is_file() and program.stat().st_mtime >= archive.stat().st_mtime:
        return
    t.run(sys.executable, "-m", "tests.support.unpacking", archive, program, shown=False)


@t.task("Install the JavaScript clients and readers of the tests into .build")
def javascript() -> None:
    installed.local()
    names = "tests/javascript-packages.txt"
    installed.npm_once(".build/js/.installed", ".build/js", *(t.root / names).read_text().split(), needs=(names,))


@t.task("Install Microsoft's scenarios of the tests into .build")
def conformance() -> None:
    installed.local()
    made = f".build/conformance/node_modules/{HTTP_SPECS}/package.json"
    installed.npm_once(made, ".build/conformance", f"{HTTP_SPECS}@{HTTP_SPECS_VERSION}")


@t.task("Install Microsoft's mock services, which the client is tested against, into .build")
def mocks() -> None:
    conformance()
    made = f".build/mocks/node_modules/{AUTOREST}/package.json"
    installed.npm_once(made, ".build/mocks", f"{AUTOREST}@{AUTOREST_VERSION}")


@t.task("Run the sample for examples, and write its description to docs/openapi.json")
def openapi() -> None:
    dev()
    t.run(t.python, "-m", "tests.sample.record_examples")
    t.run(t.python, "-m", "local_host.describe", "--output", "docs/openapi.json")


@t.task("Compile and lint infra/ with the Bicep compiler that BICEP names")
def infra() -> None:
    dev()
    t.run(t.python, "-m", "tests.support.infra")


@t.task("Renew constraints.txt")
def constraints() -> None:
    dev()
    t.pip("install", "uv")
    compile = (
        t.program("uv"),
        "pip",
        "compile",
        "--universal",
        "--upgrade",
        "--python-version",
        "3.11",
        "--all-extras",
    )
    quiet = ("-q", "--no-header", "--no-annotate", "-o", "constraints.new")
    t.run(*compile, "requirements-dev.txt", "lro_client/pyproject.toml", *quiet)
    if not t.dry_run:
        new = t.root / "constraints.new"
        head = "# Every version the checks ran with, for Python 3.11 to 3.14. Renewed by: make constraints\n"
        (t.root / "constraints.txt").write_text(head + new.read_text())
        new.unlink()


@t.task("Remove what make and the app have made here")
def clean() -> None:
    t.remove(".venv", ".venv-*", ".build", ".data", "shared/endpoints/docs_page/swagger-ui*", "lro_client/*.egg-info")
    t.remove(".pytest_cache", ".ruff_cache", ".hypothesis", ".coverage")


def dev() -> None:
    installed.dev(lambda: t.pip("install", "--ignore-requires-python", "--no-deps", WORKER_RUNTIME))


def everything() -> None:
    dev()
    installed.docs_page()
    installed.azurite()
    for need in (javascript, conformance, mocks, durable_host):
        need()


def folders(name: str) -> list[str]:
    """Those of the framework and of the sample: what needs the sample lies apart, in folders of the same names."""
    return [folder for folder in (f"tests/{name}", f"tests/sample/{name}") if (t.root / folder).is_dir()]


def pytest(*paths: str) -> str:
    return shlex.join([t.python, "-m", "pytest", *paths])


def side_by_side() -> str:
    """A worker takes whole files."""
    return f"-n {t['WORKERS']} --dist loadfile --no-loadscope-reorder -m 'not alone'"


def again(*paths: str) -> str:
    """What failed beside others, once more and alone: where that passes, the run passes and names it."""
    return f"again?={pytest('--last-failed', '--last-failed-no-failures=none', '--maxfail=3', *paths)}"


def style() -> tuple[str, str]:
    ruff, pyright = shlex.quote(t.program("ruff")), shlex.quote(t.program("pyright"))
    return f"lint={ruff} check . && {ruff} format --check .", f"types={pyright}"


def checks(*parts: str) -> None:
    t.run(t.python, "-m", "tests.support.checks", *parts, shown=False)


if __name__ == "__main__":
    finish(t)
