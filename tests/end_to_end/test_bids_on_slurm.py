"""The script docker/bids.sbatch on a real Slurm."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bids import LINK, NAMES, write_dataset
from tests.support.slurm import wait_until

ROOT = Path(__file__).parents[2]
# what a test's nodes have; the script asks for more
SMALL = ("--cpus-per-task=1", "--mem=3G", "--time=10")

ONE_EACH = (NAMES[0], NAMES[-1])


@pytest.mark.slow
def test_the_script_restores_each_subject_in_a_job_of_its_own(tmp_path, real_slurm):
    raw = write_dataset(tmp_path / "raw data", ONE_EACH)
    environment = {
        **os.environ,
        **real_slurm.environment,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    words = [*SMALL, "--array=1-3", ROOT / "docker" / "bids.sbatch", raw.name, "out"]
    job = subprocess.run(
        ["sbatch", "--parsable", *words, "--solver", "spline"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    wait_until(lambda: not real_slurm.ask("squeue", "-h", "-j", job).strip(), 300.0)
    logs = {n: (tmp_path / f"inversesr-{job}_{n}.log").read_text() for n in (1, 2, 3)}
    rows = []
    for table in sorted((tmp_path / "out" / "logs").glob("*.csv")):
        with table.open(newline="") as file:
            rows += list(csv.DictReader(file))
    expected = sorted(f"{name}.nii.gz" for name in (*ONE_EACH, LINK))
    assert sorted(row["scan"] for row in rows) == expected, logs
    assert [row["status"] for row in rows].count("done") == len(ONE_EACH), rows
    assert len(list((tmp_path / "out").rglob("*_desc-sr*_T2w.nii.gz"))) == len(ONE_EACH)
    assert "no subject 3 in raw data, which has 2: see --array" in logs[3]
