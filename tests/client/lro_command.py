"""The command `lro` in this process: its entry point is called, and what it writes is kept.

For everything but pipes, signals and terminals, which `lro_process` is for.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lro_client.clock import Clock
from lro_client.command.main import run
from tests.client.clocks import QuickClock
from tests.support.host import ROOT


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"} | dict(more or {})


def lro(
    *arguments: str | bytes | Path,
    env: Mapping[str, str] | None = None,
    input: str | bytes = "",
    clock: Clock | None = None,
) -> Done:
    """Run it to its end, in an environment of its own; its pauses are short unless it gets another clock."""
    variables = environment(env)
    encoding = variables.get("PYTHONIOENCODING", "utf-8")
    out, err = BytesIO(), BytesIO()
    streams = {name: TextIOWrapper(kept, encoding) for name, kept in (("stdout", out), ("stderr", err))}
    streams["stdin"] = TextIOWrapper(BytesIO(input if isinstance(input, bytes) else input.encode()), "utf-8")
    line = [os.fsdecode(argument) for argument in arguments]
    with patch.dict(os.environ, variables, clear=True), patch.multiple(sys, **streams, argv=["lro", *line]):
        try:
            run(line, clock or QuickClock())
        except SystemExit as end:
            code = end.code
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    assert isinstance(code, int)
    return Done(int(code), out.getvalue().decode(encoding), err.getvalue().decode(encoding))
