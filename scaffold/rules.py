"""Whose every tracked file of a checkout is, and where it lies in an app. No I/O.

The first rule that fits decides. A new file in a folder of the framework is the framework's without any doing; a
tracked file that no rule fits fails a test, and `new` refuses the checkout.
"""

from collections.abc import Iterable
from enum import StrEnum
from fnmatch import fnmatchcase

from scaffold.errors import ScaffoldError


class Kind(StrEnum):
    """Whose a file is."""

    FRAMEWORK = "framework"
    """Copied into an app, and replaced by a newer version."""
    YOURS = "yours"
    """Copied into a new app once; then its user's."""
    SAMPLE = "sample"
    """The sample application: not copied."""
    REPOSITORY = "repository only"
    """Serves the work on the framework itself: not copied."""


TEMPLATE = "scaffold/template/"
"""Files that an app has and this repository has not: `framework/` and `yours/`, each laid out as an app."""

RULES: tuple[tuple[str, Kind], ...] = (
    (TEMPLATE + "framework/", Kind.FRAMEWORK),
    (TEMPLATE + "yours/", Kind.YOURS),
    # What the app is made of.
    ("function_app.py", Kind.FRAMEWORK),
    ("blueprints/", Kind.FRAMEWORK),
    ("shared/", Kind.FRAMEWORK),
    ("local_host/", Kind.FRAMEWORK),
    ("lro_client/", Kind.FRAMEWORK),
    ("constraints.txt", Kind.FRAMEWORK),
    ("requirements-docs-page.txt", Kind.FRAMEWORK),
    ("requirements-framework.txt", Kind.FRAMEWORK),
    ("requirements-local.txt", Kind.FRAMEWORK),
    ("local.settings.sample.json", Kind.FRAMEWORK),
    # Its copies carry the terms.
    ("LICENSE", Kind.FRAMEWORK),
    # Where an app begins.
    ("host.json", Kind.YOURS),
    (".funcignore", Kind.YOURS),
    (".gitignore", Kind.YOURS),
    # The proof that the template was compiled: an app compiles its own as it deploys.
    ("infra/main.json", Kind.REPOSITORY),
    ("infra/sources.sha256", Kind.REPOSITORY),
    ("infra/", Kind.YOURS),
    ("azure.yaml", Kind.YOURS),
    ("Dockerfile", Kind.YOURS),
    (".dockerignore", Kind.YOURS),
    # The sample.
    ("actions/", Kind.SAMPLE),
    ("library/", Kind.SAMPLE),
    ("docs/openapi.json", Kind.SAMPLE),
    ("requirements.txt", Kind.SAMPLE),
    # This repository.
    ("docs/features.md", Kind.REPOSITORY),
    ("docs/reliability.*", Kind.REPOSITORY),
    ("docs/performance.*", Kind.REPOSITORY),
    ("docs/", Kind.FRAMEWORK),
    ("tests/", Kind.REPOSITORY),
    ("bench/", Kind.REPOSITORY),
    ("scaffold/", Kind.REPOSITORY),
    (".ci/", Kind.REPOSITORY),
    (".devcontainer/", Kind.REPOSITORY),
    (".github/", Kind.REPOSITORY),
    ("CONTRIBUTING.md", Kind.REPOSITORY),
    ("SECURITY.md", Kind.REPOSITORY),
    (".pre-commit-config.yaml", Kind.REPOSITORY),
    ("Makefile", Kind.REPOSITORY),
    ("tasks.py", Kind.REPOSITORY),
    ("README.md", Kind.REPOSITORY),
    ("CHANGELOG.md", Kind.REPOSITORY),
    ("pyproject.toml", Kind.REPOSITORY),
    ("requirements-dev.txt", Kind.REPOSITORY),
)
"""A path, a pattern with `*`, or a folder with `/` at its end; all relative to the checkout."""


RENAMED = {"LICENSE": "LICENSE-framework"}
"""Path in the checkout -> path in an app, which may have a licence of its own."""


def fits(path: str, pattern: str) -> bool:
    """Whether `pattern` names `path`, or the folder it lies in."""
    return path.startswith(pattern) if pattern.endswith("/") else fnmatchcase(path, pattern)


def kind_of(path: str) -> Kind | None:
    """Whose a tracked file is; None where no rule says so."""
    return next((kind for pattern, kind in RULES if fits(path, pattern)), None)


def app_files(tracked: Iterable[str], kind: Kind) -> dict[str, str]:
    """The files of `kind` that an app has: its path in the app -> its path in the checkout, sorted.

    Raises ScaffoldError for a file without a rule, and for two files that would become one.
    """
    found: dict[str, str] = {}
    for path in sorted(tracked):
        known = kind_of(path)
        if known is None:
            raise ScaffoldError(f"{path} is neither framework nor sample: add a rule for it to scaffold/rules.py")
        if known is not kind:
            continue
        target = RENAMED.get(path, path.removeprefix(f"{TEMPLATE}{kind.value}/"))
        if target in found:
            raise ScaffoldError(f"{found[target]} and {path} would both be {target} of the app: remove one of them")
        found[target] = path
    return dict(sorted(found.items()))
