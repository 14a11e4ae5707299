"""The figures: `make bench`. Every one stands beside a floor or a rival measured in the same run."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import import_time, latency, requests, throughput

MEASURES: dict[str, Callable[[Path], None]] = {
    "import": import_time.measure,
    "requests": requests.measure,
    "throughput": throughput.measure,
    "latency": latency.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("only", nargs="*", choices=[*MEASURES, []], help="which figures; all by default")
    names = parser.parse_args().only or list(MEASURES)
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
            MEASURES[name](Path(folder))
        print(flush=True)


if __name__ == "__main__":
    main()
