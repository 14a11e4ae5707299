"""`python -m tests.support.unpacking ARCHIVE PROGRAM`: the folder of a program out of an archive, whole or not at all.

Only the standard library is used: it runs before anything is installed.
"""

import os
import shutil
import sys
import tarfile
from pathlib import Path


def unpack(archive: Path, program: Path) -> bool:
    """Whether there was such a program in it; the folder of `program` is replaced then, and left alone otherwise."""
    folder = program.parent
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(fresh, filter="tar")
    except (tarfile.TarError, OSError, EOFError):
        is_there = False
    else:
        found = fresh / program.name
        is_there = found.is_file() and os.access(found, os.X_OK)
    if not is_there:
        shutil.rmtree(fresh)
        print(f"durable-host: {archive} is no archive with a program {program.name} in it")
        return False
    (fresh / program.name).touch()
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return True


if __name__ == "__main__":
    sys.exit(not unpack(Path(sys.argv[1]), Path(sys.argv[2])))
