"""What the package needs is pinned for the tests and named with its licence."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import inversesr

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
THIRD_PARTY = (TOP / "THIRD_PARTY.md").read_text(encoding="utf-8")
FOR_DEVELOPERS = ("docs", "dev")
CORE = [Requirement(r) for r in PROJECT["dependencies"]]
EXTRAS = {e: [Requirement(r) for r in rs] for e, rs in PROJECT["optional-dependencies"].items()}
SHIPPED = (
    "report/viewer/niivue.umd.js",
    "priors/shipped/builtin/",
    "priors/shipped/builtin-global/",
    "workflows/demo_head.nii.gz",
)
OPTIONAL = [r for e, rs in EXTRAS.items() if e not in FOR_DEVELOPERS for r in rs]


def pins():
    lines = (TOP / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def named():
    """Names in the rows of the tables and in the list of what others bring."""
    rows = [row.split("|")[1] for row in THIRD_PARTY.splitlines() if row.startswith("| ")]
    brought = THIRD_PARTY.split("These bring others:")[1].split("##")[0]
    words = re.split(r"[,;:()\s]+", " ".join([*rows, brought]))
    return {canonicalize_name(word) for word in words if word}


def brought():
    """Names of all that an installation without extras installs, as found here."""
    found, left = set(), list(CORE)
    while left:
        wanted = left.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(wanted.name)
        if name in found:
            continue
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:  # pragma: no cover  (what another system would need)
            continue
        found.add(name)
        left += [Requirement(need) for need in needs]
    return found


@pytest.mark.parametrize("requirement", [*CORE, *OPTIONAL], ids=lambda r: r.name)
def test_each_dependency_is_named_with_its_licence(requirement):
    rows = [row for row in THIRD_PARTY.splitlines() if row.startswith("| ")]
    cells = [row for row in rows if requirement.name in re.split(r"[,\s]+", row.split("|")[1])]
    assert len(cells) == 1
    assert cells[0].split("|")[-2].strip()


def test_what_dependencies_bring_is_named_too():
    # triton and the libraries of CUDA come with builds of torch for a GPU
    assert {n for n in brought() if not n.startswith(("nvidia-", "cuda-", "triton"))} <= named()


@pytest.mark.parametrize("part", SHIPPED)
def test_each_shipped_part_is_named_and_there(part):
    assert (Path(inversesr.__file__).parent / part).exists()
    assert f"| `inversesr/{part}` |" in THIRD_PARTY


def test_no_other_large_file_is_shipped():
    folder = Path(inversesr.__file__).parent
    large = [p for p in folder.rglob("*") if p.is_file() and p.stat().st_size > 100_000]
    names = [path.relative_to(folder).as_posix() for path in large]
    assert not [name for name in names if not name.startswith(SHIPPED)]


@pytest.mark.parametrize(
    "requirement", [*CORE, *(r for rs in EXTRAS.values() for r in rs)], ids=lambda r: r.name
)
def test_the_tested_version_of_each_dependency_is_pinned_and_allowed(requirement):
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("file", ["Makefile", ".ci/wheel"])
def test_every_installation_takes_the_tested_versions(file):
    text = (TOP / file).read_text(encoding="utf-8").replace("\\\n", " ")
    installs = [line for line in text.splitlines() if re.search(r'pip"? install', line)]
    assert installs
    assert all(re.search(r"-c \S*(constraints|lowest)\.txt", line) for line in installs)


def test_an_image_takes_the_tested_versions():
    assert "pip install" not in (TOP / "docker" / "Dockerfile").read_text(encoding="utf-8")
    text = (TOP / "docker" / "packages").read_text(encoding="utf-8")
    before, _, _ = text.partition("pip install")
    assert "\nexport PIP_CONSTRAINT=constraints.txt\n" in before
