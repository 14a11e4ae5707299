"""Reading an EPUB of 150 KB, in CPU, against ebooklib and lxml in plain Python: in turn, the same words."""

import statistics
import subprocess
import time
from pathlib import Path

from bench.prose import chapters
from bench.report import Report
from bench.systems import RIVALS, Missing
from library.epub.reader import read_epub
from tests.support.epubs import make_epub

CHAPTERS, WORDS = 10, 3800
RUNS = 20


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    path = folder / "book.epub"
    path.write_bytes(make_epub(chapters=chapters(CHAPTERS, WORDS)))
    if not rivals:
        ours = [_read(path)[1] for _ in range(RUNS)]
        print(f"an EPUB of {path.stat().st_size // 1000} KB   {statistics.median(ours):6.1f} ms of CPU")
        return
    if not RIVALS.exists():
        raise Missing("the rivals: `make bench RIVALS=1` installs them into .build/rivals")
    with subprocess.Popen(
        [RIVALS, Path(__file__).parent / "rivals" / "epub_reader.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as rival:
        assert rival.stdin is not None
        assert rival.stdout is not None
        ratios: list[float] = []
        for _ in range(RUNS):
            words, mine = _read(path)
            print(path, file=rival.stdin, flush=True)
            counted, its = rival.stdout.readline().split()
            assert words == int(counted), "both read the same book"
            ratios.append(mine / float(its))
        rival.stdin.close()
    report.add({"epub": ratios})


def _read(path: Path) -> tuple[int, float]:
    """Words and milliseconds of CPU."""
    began = time.process_time()
    words = read_epub(path).words
    return words, (time.process_time() - began) * 1000
