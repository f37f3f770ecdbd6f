"""Judges the mutants of the table:  python -m tests.mutation [--only WORD] [--jobs N]."""

import argparse
import os
import sys

from tests.mutation.runner import Outcome, judge_all, run_in_copy
from tests.mutation.table import MUTANTS


def main() -> int:
    """Judge mutants; return 1 if one survived or could not be judged."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--only", default="", help="judge what has this in its file or promise")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time")
    parser.add_argument("--list", action="store_true", help="list the promises and do nothing")
    wanted = parser.parse_args()
    mutants = [m for m in MUTANTS if wanted.only in m.file or wanted.only in m.promise]
    if wanted.list or not mutants:
        for m in mutants:
            print(f"{m.file}: {m.promise}")
        return 0 if mutants else 1
    # several processes share the processor already
    os.environ["OMP_NUM_THREADS"] = "1"
    tests = tuple(dict.fromkeys(test for m in mutants for test in m.tests))
    status, seconds, detail = run_in_copy(tests)
    print(f"without a mutant: status {status}, {seconds:.0f} s", flush=True)
    if status != 0:
        print(f"expected: the tests pass on the project as it is\n{detail}")
        return 1
    outcomes = judge_all(mutants, wanted.jobs, show)
    wrong = [o for o in outcomes if o.status != "killed"]
    print(f"{len(outcomes) - len(wrong)} of {len(outcomes)} killed")
    return 1 if wrong else 0


def show(outcome: Outcome) -> None:
    """Print one line, and for what was not killed the reason."""
    m = outcome.mutant
    print(f"{outcome.status:9}{outcome.seconds:5.0f} s  {m.file}: {m.promise}", flush=True)
    if outcome.status == "survived":
        print(f"    {m.old!r} -> {m.new!r} was noticed by none of {', '.join(m.tests)}")
    elif outcome.status == "broken":
        print("    " + outcome.detail.replace("\n", "\n    "))


if __name__ == "__main__":
    sys.exit(main())
