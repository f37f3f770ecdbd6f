"""The examples of CONTRIBUTING.md, carried out in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^## (Adding [^\n]*)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r'^```(?:python|text) title="([^"]*)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)
ENTRY = re.compile(r"(\S+), after `(.*)`")


@dataclass(frozen=True)
class Example:
    """What a section asks for.

    Attributes:
        files: Path of a new file -> its text.
        entries: (file, line that is there, what follows it).
        checks: Programs that must end without an error.
    """

    files: dict
    entries: list
    checks: list


def read(section):
    example = Example({}, [], [])
    for title, text in BLOCK.findall(section):
        entry = ENTRY.fullmatch(title)
        if title == "check":
            example.checks.append(text)
        elif entry:
            example.entries.append((*entry.groups(), text))
        else:
            example.files[title] = text
    return example


EXAMPLES = {title: read(section) for title, section in SECTION.findall(TEXT)}


def extend(package, example):
    """Make the new files and entries of an example."""
    for name, text in example.files.items():
        path = package / name
        assert not path.exists(), f"{name} exists already"
        path.write_text(text)
    for name, anchor, text in example.entries:
        path = package / name
        before = path.read_text()
        assert before.count(f"{anchor}\n") == 1, f"{name} has no line {anchor}"
        path.write_text(before.replace(f"{anchor}\n", f"{anchor}\n{text}"))


# each in a module of its own, but in one process: torch takes seconds to load
RUN_ALL = "import runpy, sys\nfor check in sys.argv[1:]: runpy.run_path(check)"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of the package with all examples; weights and the viewer are links."""
    folder = tmp_path_factory.mktemp("copy")

    def link(source, target):
        if Path(source).suffix in (".safetensors", ".js"):
            Path(target).symlink_to(source)
        else:
            shutil.copyfile(source, target)

    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "inversesr", folder / "inversesr", ignore=ignored, copy_function=link)
    (folder / "tests").symlink_to(ROOT / "tests")
    for example in EXAMPLES.values():
        extend(folder, example)
    return folder


def test_the_examples_work_as_they_stand(package):
    files = []
    for title, example in EXAMPLES.items():
        assert example.checks, f"without a check the example of {title} proves nothing"
        for check in example.checks:
            files.append(package / f"check {len(files)}, {title}.py")
            files[-1].write_text(check)
    environment = {**os.environ, "PYTHONPATH": str(package)}
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN_ALL, *files],
        cwd=package, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_is_one_file_and_at_most_one_entry(title):
    assert len(EXAMPLES[title].files) == 1
    assert len(EXAMPLES[title].entries) <= 1


@pytest.mark.parametrize("what", ["solver", "operator", "prior", "file format", "executor"])
def test_there_is_an_example_of_every_kind(what):
    assert f"Adding a {what}" in EXAMPLES or f"Adding an {what}" in EXAMPLES


def test_the_examples_keep_the_style_of_the_package(package):
    files = [package / name for example in EXAMPLES.values() for name in example.files]
    for command in (["check", "--ignore", "ANN401"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--config", ROOT / "pyproject.toml"]
        ended = subprocess.run([*ruff, *files], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout


def test_every_file_of_the_ten_wishes_exists():
    wishes = TEXT.split("## Ten wishes")[1].split("## ")[0]
    rows = [line for line in wishes.splitlines() if line.startswith("| a")]
    assert len(rows) == 10
    for row in rows:
        names = re.findall(r"`([^`]*)`", row)
        assert names, row
        assert all((ROOT / "inversesr" / name).exists() for name in names), row
