"""Predicted fates of resting orders against real ones: our queue models, and hftbacktest's on the same orders.

    python benchmarks/fidelity.py [--without-peer] [--batch-ms 0 100] [--data FOLDER]

Reads 30 minutes of Bitstamp's order-by-order stream (../shared/data/l3/bitstamp). For every real order that came to
rest within 10 USD of its side's best price, a twin of the same side, price, size and moment is put into the public view
with the real one taken out; what the twin gets until the real one is filled or canceled is compared with what the real
one got. Two views: a row for every change of a level, and depth every 100 ms, as venues publish it; prints as they
happen in both. Models are chosen on the first 15 minutes and judged on the last 15. Prints the tables of
docs/fidelity.md. Takes some minutes, most of them hftbacktest's; its package is installed into an environment of its
own under $BENCH_DIR.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "l3" / "bitstamp"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--without-peer", action="store_true", help="our models alone")
    options.add_argument("--batch-ms", type=int, nargs="+", default=[0, 100], help="views; 0 shows every change")
    options.add_argument("--data", type=Path, default=DATA)
    asked = options.parse_args()
    if not asked.data.is_dir():
        sys.exit(f"{asked.data} does not exist: lay the recorded data out beside the repository, or name it: --data")
    # As a script it sees its own folder alone; the page imports the rooms and its neighbours from the repository.
    sys.path.insert(0, str(ROOT))
    from benchmarks.fidelity_page import printed

    printed(asked.data, asked.batch_ms, not asked.without_peer)


if __name__ == "__main__":
    main()
