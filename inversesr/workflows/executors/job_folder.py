"""The files by which a batch and jobs elsewhere know what is to be done, and what was.

work.pickle      the work and its conditions
array-N.json     which scans each job of the N-th array does
begun/I-K        the K-th try of scan I has begun, and has not ended or was killed
ended/I.json     scan I has ended, and how
log-*.txt        what jobs print
"""

import json
import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path

from inversesr.workflows.executors.protocol import Conditions, Failure
from inversesr.workflows.executors.work_file import WORK_NAME, Work, read_work, write_work


@dataclass
class JobFolder:
    """A folder of such files.

    Attributes:
        path: The folder.
        seen: Names of results that were given already.
    """

    path: Path
    seen: set[str] = field(default_factory=set)

    def begin(self, work: Work, conditions: Conditions) -> None:
        """Write what is to be done into an empty folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        write_work(self.path, work, conditions)
        for name in ("begun", "ended"):
            (self.path / name).mkdir()

    def work(self) -> tuple[Work, Conditions]:
        """Return what is to be done."""
        return read_work(self.path / WORK_NAME)

    def write_parts(self, n_array: int, scans: Mapping[int, Path], n_most: int) -> int:
        """Divide scans among the jobs of an array; return how many jobs there are.

        Args:
            n_array: Which array.
            scans: Number -> scan.
            n_most: Jobs at the most.
        """
        numbers = sorted(scans)
        size = ceil(len(numbers) / n_most)
        starts = range(0, len(numbers), size)
        parts = [[(n, str(scans[n])) for n in numbers[start : start + size]] for start in starts]
        (self.path / f"array-{n_array}.json").write_text(json.dumps(parts))
        return len(parts)

    def parts(self, n_array: int) -> list[list[tuple[int, str]]]:
        """Return the scans of each job of an array, with their numbers."""
        parts = json.loads((self.path / f"array-{n_array}.json").read_text())
        return [[(number, scan) for number, scan in part] for part in parts]

    def largest_part(self, n_array: int) -> int:
        """Return how many scans a job of an array has at the most."""
        return max(map(len, self.parts(n_array)))

    def note_begin(self, number: int) -> int:
        """Note that a try of a scan begins; return how many there were before."""
        n_before = 0
        while True:
            try:
                (self.path / "begun" / f"{number}-{n_before}").touch(exist_ok=False)
            except FileExistsError:
                n_before += 1
            else:
                return n_before

    def take_back(self, number: int, n_before: int) -> None:
        """Forget that a try of a scan began, as nothing killed it."""
        (self.path / "begun" / f"{number}-{n_before}").unlink(missing_ok=True)

    def n_begun(self) -> int:
        """Return how many tries have begun."""
        return sum(1 for _ in (self.path / "begun").iterdir())

    def has_ended(self, number: int) -> bool:
        """Whether there is a result of a scan."""
        return self._result(number).is_file()

    def note_end(self, number: int, failure: Failure | None) -> None:
        """Note how the work on a scan has ended."""
        file = self._result(number)
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(None if failure is None else asdict(failure)))
        partial.replace(file)

    def new_results(self, numbers: Container[int]) -> Iterator[tuple[int, Failure | None]]:
        """Give what has ended since this was last asked for, of some scans."""
        place = self.path / "ended"
        for name in sorted({file.name for file in place.iterdir()} - self.seen):
            number = int(name.partition(".")[0])
            if name.endswith(".json") and number in numbers:
                self.seen.add(name)
                told = json.loads((place / name).read_text())
                yield number, None if told is None else Failure(**told)

    def last_words(self) -> str:
        """Return the last line that a job printed."""
        lines = [_last_line(log) for log in self.path.glob("log-*.txt")]
        return next((line for line in lines if line), "they printed nothing")

    def _result(self, number: int) -> Path:
        return self.path / "ended" / f"{number}.json"


def _last_line(log: Path) -> str:
    lines: Sequence[str] = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
