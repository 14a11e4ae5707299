"""The framework's tasks, for `make TASK` and for `python tasks.py TASK`, which needs no make.

    python tasks.py run PORT=8080 STORE=azurite

A newer version replaces this file: tasks of your own go into the Makefile.
"""

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one is told so
    sys.exit("Python 3.11 or newer is needed; set PYTHON=/path/to/it")

from local_host.tasks import Installed, TaskError, Tasks, finish

PARAMETERS = {
    "PORT": "7071",
    "STORE": "sqlite",
    "DATA_DIR": ".data",
    "VENV": ".venv",
    "RELOAD": "",
    # What `run` suggests to try; the Makefile says it.
    "TRY": "",
    "FROM": "",
    "FORCE": "",
}

t = Tasks(Path(__file__).parent, PARAMETERS)
installed = Installed(t)


@t.task("Show this list")
def help() -> None:
    print(t.listed())


@t.task("Start the app on http://127.0.0.1:7071 (PORT, STORE=sqlite|azurite, DATA_DIR, RELOAD=1: again on each change)")
def run() -> None:
    installed.docs_page()
    if t["STORE"] == "azurite":
        installed.azurite()
    t.show_first_request(t["TRY"])
    again = ["--reload"] if t["RELOAD"] else []
    t.become(t.python, "-m", "local_host", *again, more={name: t[name] for name in ("PORT", "STORE", "DATA_DIR")})


@t.task("Run your tests, and a smoke test of the whole app")
def test() -> None:
    installed.dev()
    installed.docs_page()
    t.run(t.python, "-m", "pytest")


@t.task("Check style, format and types of what is yours")
def check() -> None:
    installed.dev()
    t.run(t.program("ruff"), "check", ".")
    t.run(t.program("ruff"), "format", "--check", ".")
    t.run(t.program("pyright"), "--pythonpath", t.python)


@t.task("Mend style and format")
def format() -> None:
    installed.dev()
    t.run(t.program("ruff"), "check", "--fix", ".")
    t.run(t.program("ruff"), "format", ".")


@t.task("Write the app's description to openapi.json")
def openapi() -> None:
    installed.local()
    t.run(t.python, "-m", "local_host.describe", "--output", "openapi.json")


@t.task("Fetch the files of the page at /docs, or mend them")
def docs_page() -> None:
    installed.local()
    t.run(t.python, "-m", "local_host.docs_page", shown=False)


@t.task("Make .build/app.zip of what is deployed")
def package() -> None:
    installed.local()
    t.run(t.python, "-m", "local_host.package", shown=False)


@t.task("Take a newer version of the framework: FROM=../its-checkout (FORCE=1: over files you changed)")
def upgrade() -> None:
    installed.python()
    if not (Path(t["FROM"]) / "scaffold" / "__main__.py").is_file() or not t["FROM"]:
        found = f"{t['FROM']} is none" if t["FROM"] else "none is named"
        raise TaskError(
            f"upgrade: FROM has to be a checkout of the framework, and {found}: make upgrade FROM=../its-checkout"
        )
    more = {"PYTHONPATH": t["FROM"], "PYTHONDONTWRITEBYTECODE": "1"}
    force = ["--force"] if t["FORCE"] else []
    t.become(t.python, "-P", "-m", "scaffold", "upgrade", ".", *force, more=more)


@t.task("Install the storage emulator into .build, for STORE=azurite")
def azurite() -> None:
    installed.azurite()


@t.task("Remove what make and the app have made here")
def clean() -> None:
    t.remove(".venv", ".build", ".data", "shared/endpoints/docs_page/swagger-ui*", "lro_client/*.egg-info")
    t.remove(".pytest_cache", ".ruff_cache")


if __name__ == "__main__":
    finish(t)
