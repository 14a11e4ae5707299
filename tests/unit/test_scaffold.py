"""Whose every file is, making an app, and upgrading one: the rules, and each way it can be refused."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scaffold import rules
from scaffold.checkout import HERE, Checkout
from scaffold.cli import main
from scaffold.errors import ScaffoldError
from scaffold.making import make
from scaffold.manifest import NAME, Manifest, digest
from scaffold.rules import Kind
from scaffold.upgrading import plan

SMALL = {
    "function_app.py": "app",
    "shared/one.py": "1",
    "shared/deep/two.py": "2",
    "docs/page.md": "page",
    "docs/openapi.json": "{}",
    "host.json": "{}",
    "library/books.py": "sample",
    "actions/books.py": "sample",
    "Makefile": "all:",
    "tests/test_one.py": "",
    "scaffold/template/framework/framework.mk": "run:",
    "scaffold/template/yours/README.md": "# APP_NAME",
    "scaffold/template/yours/actions/mine.py": "mine",
}


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def files_of(root: Path) -> dict[str, bytes]:
    """Every file by its path, the manifest apart."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != NAME
    }


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository of the framework."""
    root = tmp_path / "framework"
    put(root, SMALL)
    git(root, "init", "-q")
    git(root, "add", ".")
    return root


@pytest.fixture
def app(checkout: Path, tmp_path: Path) -> Path:
    """An app made from it."""
    root = tmp_path / "my-app"
    make(Checkout.at(checkout), root)
    return root


@pytest.fixture
def call(checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command, over the small repository; what it prints. `code` is the expected exit code."""
    real = Checkout.at
    monkeypatch.setattr(Checkout, "at", lambda: real(checkout))

    def run(*arguments: str | Path, code: int = 0) -> str:
        assert main([str(each) for each in arguments]) == code
        output = capsys.readouterr()
        return output.err if code else output.out

    return run


def test_every_tracked_file_has_a_rule() -> None:
    """Framework, yours, sample or repository only: nobody forgets a new file."""
    without = [path for path in Checkout.at().tracked if rules.kind_of(path) is None]
    assert without == [], "add rules for these to scaffold/rules.py"


def test_every_rule_decides_something() -> None:
    """A rule whose files went away, or that another one hides, goes too."""
    tracked = Checkout.at().tracked
    deciding = {next(p for p, _ in rules.RULES if rules.fits(path, p)) for path in tracked if rules.kind_of(path)}
    assert [pattern for pattern, _ in rules.RULES if pattern not in deciding] == []


def test_the_app_has_no_sample(tmp_path: Path) -> None:
    """Nothing of the sample, of its tests, or of this repository's own."""
    make(Checkout.at(), tmp_path / "app")
    made = set(files_of(tmp_path / "app"))
    assert not [path for path in made if path.startswith(("library/", "bench/", "scaffold/", ".ci/"))]
    assert {path for path in made if path.startswith("actions/")} == {"actions/__init__.py", "actions/greetings.py"}
    assert {path for path in made if path.startswith("tests/")} == {"tests/test_greetings.py", "tests/test_smoke.py"}
    assert (tmp_path / "app" / "function_app.py").read_bytes() == (HERE / "function_app.py").read_bytes()
    assert (tmp_path / "app" / "README.md").read_text().startswith("# app\n")


def test_nothing_names_the_sample(tmp_path: Path) -> None:
    """No module of the framework imports what an app does not have."""
    make(Checkout.at(), tmp_path / "app")
    gone = re.compile(r"^\s*(?:from|import) (?:library|bench|scaffold|tests)\b", re.MULTILINE)
    modules = [path for path in (tmp_path / "app").rglob("*.py") if gone.search(path.read_text(encoding="utf-8"))]
    assert modules == []


def test_links_lead_somewhere(tmp_path: Path) -> None:
    """In the documents that an app has, relative links name files that it has."""
    app = tmp_path / "app"
    make(Checkout.at(), app)
    for document in [app / "README.md", *app.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.relative_to(app)} links to {target}"


def test_the_table_says_whose_every_file_is() -> None:
    """docs/own-app.md: each file of an app is in one row, with the right word, and each row has files."""
    text = (HERE / "docs" / "own-app.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([^`]+)` \| (yours|framework) \|", text, re.MULTILINE))
    checkout = Checkout.at()
    app = {path: kind.value for kind in (Kind.FRAMEWORK, Kind.YOURS) for path in checkout.files(kind)}
    app[NAME] = "framework"
    found = {path: [row for row in rows if rules.fits(path, row)] for path in app}
    assert {path: fitting for path, fitting in found.items() if len(fitting) != 1} == {}
    assert {path: rows[fitting[0]] for path, fitting in found.items()} == app
    assert set(rows) == {fitting[0] for fitting in found.values()}


def test_new(app: Path) -> None:
    """The framework's files and the user's, where they belong; what each was is in the manifest."""
    assert {path: text.decode() for path, text in files_of(app).items()} == {
        "README.md": "# my-app",
        "actions/mine.py": "mine",
        "docs/page.md": "page",
        "framework.mk": "run:",
        "function_app.py": "app",
        "host.json": "{}",
        "shared/deep/two.py": "2",
        "shared/one.py": "1",
    }
    manifest = Manifest.read(app)
    assert manifest.framework["shared/one.py"] == digest(app / "shared/one.py")
    assert set(manifest.yours) == {"README.md", "actions/mine.py", "host.json"}


def test_new_into_an_empty_folder(checkout: Path, tmp_path: Path) -> None:
    """Folders above are made as well; an empty one will do."""
    (tmp_path / "empty").mkdir()
    make(Checkout.at(checkout), tmp_path / "empty")
    make(Checkout.at(checkout), tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "function_app.py").exists()


def test_new_refuses(call: Callable[..., str], checkout: Path, tmp_path: Path) -> None:
    """One line says what to do, and nothing is made."""
    put(tmp_path, {"full/file": "", "file": ""})
    for path, expected in {
        tmp_path / "full": "is not empty: name a folder that does not exist yet",
        tmp_path / "file": "is a file: name a folder",
        checkout / "inside": "lies inside this checkout: name a folder beside it",
        tmp_path / "file" / "below": "could not be written: Not a directory",
    }.items():
        said = call("new", path, code=1)
        assert expected in said
        assert said.count("\n") == 1
    assert "make new APP=../my-app" in call("new", "", code=1)
    assert files_of(tmp_path / "full") == {["full", "file"][1]: b""}
    assert not (checkout / "inside").exists()


def test_new_refuses_a_file_without_a_rule(call: Callable[..., str], checkout: Path, tmp_path: Path) -> None:
    """Whoever adds one is told where it is decided."""
    put(checkout, {"surprise.txt": ""})
    git(checkout, "add", ".")
    assert "surprise.txt is neither framework nor sample: add a rule" in call("new", tmp_path / "x", code=1)
    assert not (tmp_path / "x").exists()


def test_two_files_that_would_become_one() -> None:
    """A file of the template does not hide one of the framework."""
    with pytest.raises(ScaffoldError, match="would both be docs/x of the app"):
        rules.app_files(["docs/x", "scaffold/template/framework/docs/x"], Kind.FRAMEWORK)
    framework = set(Checkout.at().files(Kind.FRAMEWORK))
    assert not framework & set(Checkout.at().files(Kind.YOURS))


def test_only_a_checkout_will_do(checkout: Path, tmp_path: Path) -> None:
    """A copy without its .git does not know its files."""
    put(tmp_path / "copy", SMALL)
    with pytest.raises(ScaffoldError, match="no git checkout: clone"):
        Checkout.at(tmp_path / "copy")
    put(checkout, {"shared/untracked.py": ""})
    (checkout / "shared/one.py").unlink()
    assert not {"shared/untracked.py", "shared/one.py"} & set(Checkout.at(checkout).tracked)


def test_a_copy_that_breaks_off_leaves_nothing(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is as it was, so that the next try finds it empty."""
    copied: list[str] = []

    def full(source: Path, target: Path) -> None:
        copied.append(target.name)
        if len(copied) == 3:
            raise OSError(28, "No space left on device")
        target.write_bytes(b"")

    monkeypatch.setattr("scaffold.making.shutil.copy", full)
    with pytest.raises(ScaffoldError, match="No space left"):
        make(Checkout.at(checkout), tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.fixture
def newer(checkout: Path) -> Path:
    """The repository with a file changed, one new, two gone, and another beginning for new apps."""
    put(checkout, {"shared/one.py": "1 newer", "blueprints/new.py": "new", "host.json": '{"newer": 1}'})
    git(checkout, "rm", "-qf", "shared/deep/two.py", "docs/page.md")
    git(checkout, "add", ".")
    return checkout


def test_upgrade(app: Path, newer: Path, call: Callable[..., str]) -> None:
    """The framework is the newer one, all else byte for byte what it was; folders that are empty go."""
    mine = {"actions/other.py": "other", "docs/mine.md": "mine", "README.md": "changed", "shared/mine.py": "mine"}
    put(app, {**mine, "shared/deep/__pycache__/two.pyc": ""})
    said = call("upgrade", app)
    assert "1 replaced, 1 added, 2 removed" in said
    assert said.count("host.json") == 1
    assert {path: text.decode() for path, text in files_of(app).items()} == {
        **mine,
        "actions/mine.py": "mine",
        "blueprints/new.py": "new",
        "framework.mk": "run:",
        "function_app.py": "app",
        "host.json": "{}",
        "shared/one.py": "1 newer",
    }
    assert not (app / "shared" / "deep").exists()
    again = call("upgrade", app)
    assert "nothing was changed" in again
    assert "host.json" not in again


def test_a_long_upgrade_is_summed_up(app: Path, checkout: Path, call: Callable[..., str]) -> None:
    """Twenty files are named, the others counted."""
    put(checkout, {f"shared/many/{number:02}.py": "" for number in range(25)})
    git(checkout, "add", ".")
    said = call("upgrade", app)
    assert "0 replaced, 25 added, 0 removed" in said
    assert "+ shared/many/19.py" in said
    assert "shared/many/20.py" not in said
    assert "and 5 more" in said


def test_without_git(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said that git is missing, or what git says."""
    with monkeypatch.context() as patched:
        patched.setenv("PATH", "")
        with pytest.raises(ScaffoldError, match="git is not installed"):
            Checkout.at(checkout)
    (checkout / ".git" / "index").write_bytes(b"broken")
    with pytest.raises(ScaffoldError, match=r"git cannot read .*: "):
        Checkout.at(checkout)


def test_upgrade_refuses_changes(app: Path, newer: Path, call: Callable[..., str]) -> None:
    """All changed files are named, those in the way of new ones too; nothing is done before FORCE=1."""
    put(app, {"shared/one.py": "mine", "shared/deep/two.py": "mine", "blueprints/new.py": "mine"})
    before = files_of(app)
    said = call("upgrade", app, code=1)
    assert "blueprints/new.py, shared/deep/two.py, shared/one.py" in said
    assert "FORCE=1" in said
    assert said.count("\n") == 1
    assert files_of(app) == before
    call("upgrade", app, "--force")
    assert (app / "shared/one.py").read_text() == "1 newer"
    assert not (app / "shared/deep/two.py").exists()


def test_upgrade_leaves_what_is_as_the_newer_version_has_it(app: Path, newer: Path, call: Callable[..., str]) -> None:
    """A file mended by hand in the same way, or restored, or removed, is no change; it keeps its time."""
    put(app, {"shared/one.py": "1 newer"})
    os.utime(app / "shared/one.py", (1, 1))
    (app / "function_app.py").unlink()
    call("upgrade", app)
    assert (app / "shared/one.py").stat().st_mtime == 1
    assert (app / "function_app.py").read_text() == "app"


def test_an_upgrade_that_broke_off_is_repeated(
    app: Path, newer: Path, call: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it ended, the next one goes on, and does not take half of the newer version for the user's changes."""
    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        assert "mend that, and call it again" in call("upgrade", app, code=1)
    assert (app / "shared/one.py").read_text() == "1 newer"
    call("upgrade", app)
    assert Manifest.read(app).framework["shared/one.py"] == digest(app / "shared/one.py")


def test_what_becomes_the_users_stays(app: Path, checkout: Path) -> None:
    """A file that a newer version no longer replaces is not removed."""
    git(checkout, "rm", "-q", "--cached", "docs/page.md")
    put(checkout, {"scaffold/template/yours/docs/page.md": "page"})
    git(checkout, "add", "scaffold")
    steps = plan(Checkout.at(checkout), app)
    assert steps.removed == ()
    assert "docs/page.md" in steps.look_at


def test_upgrade_refuses_what_is_no_app(app: Path, call: Callable[..., str], tmp_path: Path) -> None:
    """One line each; a manifest that points outside the app is not believed."""
    assert f"has no {NAME}" in call("upgrade", tmp_path, code=1)
    assert f"has no {NAME}" in call("upgrade", app / "function_app.py", code=1)
    assert "say which app" in call("upgrade", "", code=1)
    content = json.loads((app / NAME).read_text())
    wrong = [[], {**content, "format": 2}, {**content, "framework": {"../x": "0"}}, {**content, "yours": {"/x": "0"}}]
    for each in [json.dumps(w) for w in wrong] + ["{"]:
        (app / NAME).write_text(each)
        assert "cannot be read: restore it" in call("upgrade", app, code=1)


def test_folders_and_files_in_the_way(app: Path, checkout: Path, call: Callable[..., str]) -> None:
    """They are named before anything is changed, with FORCE=1 too."""
    put(checkout, {"shared/new/file.py": "", "shared/plain.py": "", "shared/one.py": "newer"})
    git(checkout, "add", ".")
    put(app, {"shared/new": "a file"})
    assert "shared/new is a file where the framework has a folder" in call("upgrade", app, "--force", code=1)
    (app / "shared/new").unlink()
    (app / "shared/plain.py").mkdir()
    assert "shared/plain.py is a folder where the framework has a file" in call("upgrade", app, "--force", code=1)
    assert (app / "shared/one.py").read_text() == "1"


def test_help() -> None:
    """Both commands explain themselves."""
    for arguments in (["--help"], ["new", "--help"], ["upgrade", "--help"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 0
