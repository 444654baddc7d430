"""Print the oldest declared version of every dependency, as pins for pip. Run as a script by `make test-oldest`."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

SETUP_CFG = Path(__file__).resolve().parents[2] / "setup.cfg"


def oldest_pins() -> list[str]:
    """Such as ``urllib3==1.26.18``, one for each line of `install_requires`."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(SETUP_CFG, encoding="utf-8")
    lines = parser["options"]["install_requires"].split()
    return [f"{name}=={floor}" for name, floor in (re.match(r"([\w.-]+)>=([\d.]+)", line).groups() for line in lines)]


if __name__ == "__main__":
    print(" ".join(oldest_pins()))
