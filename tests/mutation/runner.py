"""Breaks promises one at a time, each in a copy of the project, and sees whether a test notices.

A mutant replaces one text of a module. The tests that are named for it run on the copy: where all
of them pass, nothing guards the promise.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("inversesr", "tests", "pyproject.toml")
# Larger files, such as weights, are linked.
LARGEST_COPIED_BYTES = 200_000
TIMEOUT_SECONDS = 600.0
# Slow to import and the same for all: loaded once, by the process that all others are forked from.
PRELOADED = ["pytest", "torch", "scipy.stats", "scipy.ndimage", "skimage.metrics", "SimpleITK",
             "nibabel", "monai.networks.nets"]  # fmt: skip
TOOK_TOO_LONG, FOREIGN_PACKAGE = -1, 70
LAST_LINES = 15


@dataclass(frozen=True)
class Mutant:
    """One promise that is broken on purpose.

    Attributes:
        file: Module, from the top of the project.
        old: Text in it, which stands there once.
        new: What is written in its place.
        promise: What is promised and no longer holds.
        tests: Files of tests, or tests as pytest names them, one of which should fail.
    """

    file: str
    old: str
    new: str
    promise: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant.

    Attributes:
        mutant: The mutant.
        status: "killed": a test failed. "survived": none did. "broken": nothing can be said.
        seconds: Time that its tests took.
        detail: The end of what pytest wrote, or what went wrong.
    """

    mutant: Mutant
    status: str
    seconds: float
    detail: str = ""


class StaleMutantError(Exception):
    """The text that a mutant replaces is not there, or there more than once."""


def mutated(mutant: Mutant, root: Path = ROOT) -> str:
    """Return the text of a module with a promise broken.

    Raises:
        StaleMutantError: the old text is not there exactly once, or the new one is the same.
    """
    path = root / mutant.file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    n_found = text.count(mutant.old)
    if n_found != 1 or mutant.old == mutant.new:
        message = (
            f"{mutant.file} has {mutant.old!r} {n_found} times; expected once, and another text "
            f"in its place: bring the mutant of {mutant.promise!r} up to date"
        )
        raise StaleMutantError(message)
    return text.replace(mutant.old, mutant.new)


def copy_project(folder: Path, root: Path = ROOT) -> None:
    """Copy what tests need of the project into an empty folder."""

    def copy(source: str, target: str) -> str:
        if Path(source).stat().st_size > LARGEST_COPIED_BYTES:
            Path(target).symlink_to(Path(source).resolve())
            return target
        return shutil.copy(source, target)

    for name in COPIED:
        if (root / name).is_dir():
            leave_out = shutil.ignore_patterns("__pycache__")
            shutil.copytree(root / name, folder / name, ignore=leave_out, copy_function=copy)
        elif (root / name).exists():
            shutil.copy(root / name, folder / name)


def judge(mutant: Mutant, root: Path = ROOT) -> Outcome:
    """Break a promise in a copy of the project and run its tests there."""
    try:
        text = mutated(mutant, root)
    except StaleMutantError as error:
        return Outcome(mutant, "broken", 0.0, str(error))
    status, seconds, detail = run_in_copy(mutant.tests, root, {mutant.file: text})
    names = {int(pytest.ExitCode.TESTS_FAILED): "killed", int(pytest.ExitCode.OK): "survived"}
    return Outcome(mutant, names.get(status, "broken"), seconds, detail)


def run_in_copy(
    tests: tuple[str, ...], root: Path = ROOT, changes: dict[str, str] | None = None
) -> tuple[int, float, str]:
    """Run tests on a copy of the project.

    Args:
        tests: Tests as pytest names them.
        root: Top of the project.
        changes: File -> text that the copy has in its place.

    Returns:
        Exit status of pytest, or TOOK_TOO_LONG; seconds; the end of its output.
    """
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name).resolve()
        copy_project(folder, root)
        for file, text in (changes or {}).items():
            (folder / file).write_text(text, encoding="utf-8")
        start = perf_counter()
        process = _context().Process(target=_run_here, args=(str(folder), tests))
        process.start()
        process.join(TIMEOUT_SECONDS)
        status = process.exitcode
        if status is None:
            status = TOOK_TOO_LONG
            process.kill()
            process.join()
        log = folder / "log.txt"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return status, perf_counter() - start, "\n".join(lines[-LAST_LINES:])


def judge_all(
    mutants: Iterable[Mutant], n_jobs: int, tell: Callable[[Outcome], None]
) -> list[Outcome]:
    """Judge mutants, several at a time, and tell each outcome as it comes."""

    def judge_and_tell(mutant: Mutant) -> Outcome:
        outcome = judge(mutant)
        tell(outcome)
        return outcome

    with ThreadPoolExecutor(n_jobs) as pool:
        return list(pool.map(judge_and_tell, mutants))


def _context():
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _run_here(folder: str, tests: tuple[str, ...]) -> None:
    """Run tests on the project in a folder; the process ends with pytest's exit status."""
    log = os.open(Path(folder) / "log.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(folder)
    # bytecode is kept by time and size, which a mutant need not change
    sys.dont_write_bytecode = True
    own = ("inversesr", "tests")
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
    sys.path.insert(0, folder)
    os.environ["PYTHONPATH"] = folder
    status = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "--rootdir", folder, *tests])
    used = sys.modules.get("inversesr")
    if used is not None and not str(used.__file__).startswith(folder):
        print(f"the package of {used.__file__} was tested in place of the copy")
        status = FOREIGN_PACKAGE
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(status))
