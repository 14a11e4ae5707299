"""Every code block in README and docs is executed, or at least checked where it needs what is not here."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.transcript import Block, anchors, blocks, fits, steps
from tests.sample.real_epub import debian_policy_epub
from tests.support.host import LocalHost
from tests.support.sources import syntax_tree

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/decisions/*.md")])
MARK = "---- end of step ----"
HELPERS = (
    f"""
lro() {{ PYTHONPATH={ROOT} {sys.executable} -m lro_client.command.main "$@"; }}
"""
    + """
field() { python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"; }
await_end() {
  for i in $(seq 900); do
    curl -s $BASE/status/$1 | grep -qE '"status":"(NotStarted|Running|Canceling)"' || break; sleep 0.1
  done
  curl -s $BASE/status/$1 | field status
}
"""
)


def documents_with(language: str) -> list[Path]:
    return [d for d in DOCUMENTS if any(b.language == language for b in blocks(d))]


@pytest.fixture(scope="module")
def app_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the app with the modules that the documents tell a reader to write."""
    root = tmp_path_factory.mktemp("app")
    for name in ("function_app.py", "host.json"):
        shutil.copy(ROOT / name, root / name)
    for name in ("actions", "blueprints", "library", "shared"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "actions" / "numbers.py").write_text(python_of(ROOT / "docs" / "actions.md"))
    (root / "actions" / "proofs.py").write_text(python_of(ROOT / "docs" / "external.md"))
    (root / "actions" / "primes.py").write_text(python_of(ROOT / "docs" / "odata.md"))
    (root / "actions" / "lamps.py").write_text(python_of(ROOT / "docs" / "arm.md"))
    (root / "actions" / "parcels.py").write_text(python_of(ROOT / "docs" / "testing-actions.md"))
    (root / "actions" / "orders.py").write_text(python_of(ROOT / "docs" / "upgrading.md"))
    (root / "actions" / "greetings.py").write_text(python_of(ROOT / "README.md"))
    return root


@pytest.fixture(scope="module")
def host(app_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    with LocalHost(tmp_path_factory.mktemp("data"), app_root=app_root) as running:
        yield running


def python_of(document: Path) -> str:
    return "\n".join(b.text for b in blocks(document) if b.language == "python")


@pytest.mark.parametrize("document", documents_with("console"), ids=lambda d: d.name)
def test_transcripts_happen_as_shown(document: Path, host: LocalHost, tmp_path: Path) -> None:
    """Each command of each console block, in order and in one shell, prints what the document shows."""
    shutil.copy(debian_policy_epub(), tmp_path / "policy.epub")
    todo = [step for block in blocks(document) if block.language == "console" for step in steps(block)]
    commands = [step.command.replace("http://127.0.0.1:7071", host.url) for step in todo]
    script = HELPERS + f"BASE={host.url}\n" + "".join(f"{command}\nprintf '\\n{MARK}\\n'\n" for command in commands)
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
    )
    outputs = done.stdout.split(MARK)
    assert len(outputs) == len(todo) + 1, done.stderr
    for step, happened in zip(todo, outputs, strict=False):
        assert fits(step.shown, happened), f"{document.name}:{step.line} $ {step.command}\n{happened}\n{done.stderr}"


@pytest.mark.parametrize("document", documents_with("python"), ids=lambda d: d.name)
def test_python_blocks_are_a_module_that_declares(document: Path, host: LocalHost) -> None:
    """What the documents show as Python is part of the app that the transcripts run on, and parses."""
    tree = syntax_tree(python_of(document))
    assert any(isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) for node in tree.body)
    names = re.findall(r'@action\("([^"]+)"', python_of(document))
    for name in names:
        function = re.sub(r"[^A-Za-z0-9]+", "_", name)
        assert function in host.log, f"{function} is not among the functions the host printed"


def test_modules_of_the_documents_are_clean(app_root: Path) -> None:
    """Ruff has nothing to say of a module shown in one block. That of docs/actions.md grows as the page goes on."""
    names = ["proofs", "primes", "lamps", "greetings", "parcels", "orders"]
    modules = [str(app_root / "actions" / f"{name}.py") for name in names]
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", str(ROOT / "pyproject.toml"), *modules]
    done = subprocess.run(command, cwd=app_root, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("document", documents_with("sh"), ids=lambda d: d.name)
def test_shell_blocks_are_valid(document: Path) -> None:
    """Commands that need Core Tools or Azure cannot run here; the shell at least reads them."""
    for block in blocks(document):
        if block.language == "sh":
            subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)


def test_no_block_is_left_out() -> None:
    """Every block is of a kind that something here, its page's own test, or a reader's eye, checks."""
    kinds = {block.language for document in DOCUMENTS for block in blocks(document)}
    assert kinds <= {"console", "python", "python3", "py", "sh", "text", "mermaid", "json", "kql"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Relative links in the documents name files that exist."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_index_leads_to_every_page() -> None:
    """docs/index.md has each page of the documentation, but for two that are about this repository only."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)#]+)", index))
    apart = {"index.md", "features.md", "reliability.md", "performance.md"}
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - apart
    assert linked == pages | {"decisions/README.md"}


def test_anchors_are_titles() -> None:
    """A link into a page names one of its titles, as GitHub writes it in the URL."""
    for document in DOCUMENTS:
        links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", document.read_text(encoding="utf-8"))
        for target, anchor in links:
            known = anchors(document.parent / target if target else document)
            assert anchor in known, f"{document.name} links to {target}#{anchor}"


def test_the_index_of_decisions() -> None:
    """Every decision has its number in its title, and is listed by both."""
    folder = ROOT / "docs" / "decisions"
    titles = {file.name: file.read_text(encoding="utf-8").splitlines()[0] for file in sorted(folder.glob("0*.md"))}
    lines = [
        f"| [{name[:4]}]({name}) | {title.removeprefix(f'# {name[:4]} ')} |"
        for name, title in titles.items()
        if title.startswith(f"# {name[:4]} ")
    ]
    assert len(lines) == len(titles)
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert [line for line in index.splitlines() if line.startswith("| [")] == lines


def test_tasks_in_the_documents_exist() -> None:
    """What a document tells to do with make, or without it, is a task of this repository or of an app."""
    done = [
        subprocess.run([sys.executable, path, "--names"], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True,
                       text=True, check=True).stdout
        for path in ("tasks.py", "scaffold/template/framework/tasks.py")
    ]  # fmt: skip
    known = set(" ".join(done).split())
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        named = re.findall(r"`make ([a-z][a-z0-9-]*)", text)
        for block in blocks(document):
            named += re.findall(r"^make ([a-z][a-z0-9-]*)", block.text, re.MULTILINE)
        named += re.findall(r"python tasks\.py ([a-z][a-z0-9-]*)", text)
        assert set(named) <= known, document.name


def test_the_sample_settings_hold_every_setting() -> None:
    """local.settings.sample.json is JSON and has every documented setting a person sets."""
    values = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    table = (ROOT / "docs/configuration.md").read_text().split("\n## ")[0]
    documented = set(re.findall(r"^\| `([A-Z_]+)`", table, re.MULTILINE))
    assert {name for name in documented if not name.startswith("WEBSITE_")} <= set(values)


def test_the_transcript_reader_can_fail() -> None:
    """The comparison notices a difference, and `...` does not hide one beside it."""
    assert fits('{"a":"...","b":1}', '{"a":"x","b":1}\n')
    assert not fits('{"a":"...","b":1}', '{"a":"x","b":2}\n')
    assert not fits("Succeeded", "Failed")
    assert [s.command for s in steps(Block("console", "$ one\nout\n\n$ two\n", 1))] == ["one", "two"]
