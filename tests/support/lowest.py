"""Prints the lowest versions that pyproject.toml allows, as constraints for pip: `make lowest`."""

import re
import sys
import tomllib
from pathlib import Path

TOP = Path(__file__).parents[2]


def requirements():
    """Return the requirements of the package, without extras."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["dependencies"]


def lowest(requirement):
    """Return the pin of the lowest version of a requirement, or None where it has none."""
    found = re.fullmatch(r"([\w.-]+)(?:\[.*\])?[>=]=([\w.]+)(?:,.*)?", requirement)
    return None if found is None else f"{found[1]}=={found[2]}"


if __name__ == "__main__":
    pins = [lowest(requirement) for requirement in requirements()]
    sys.stdout.write("\n".join(pin for pin in pins if pin) + "\n")
