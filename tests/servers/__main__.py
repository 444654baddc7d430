"""`python -m tests.servers NAME...`: start these servers (all, without a name), say where they are, and stop at Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import sys
import time

from .bed import Bed
from .catalogue import SERVERS


def main(*names: str) -> int:
    """Returns the exit status."""
    unknown = [name for name in names if name not in SERVERS]
    if unknown:
        print(f"There is no {', '.join(unknown)}; there are {', '.join(SERVERS)}.", file=sys.stderr)
        return 2
    kinds = [SERVERS[name] for name in names or SERVERS]
    lacking = [f"{kind.name} {reason}" for kind in kinds for reason in [kind.missing()] if reason]
    if lacking:
        print("\n".join(lacking), file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt), Bed() as bed:
        for kind in kinds:
            began = time.monotonic()
            lines = bed.start(kind).describe()
            print(f"== {kind.name} ({time.monotonic() - began:.2f} s)", *lines, sep="\n", flush=True)
        print("Ctrl-C stops them.", flush=True)
        while True:
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
