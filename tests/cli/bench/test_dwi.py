import json

import numpy as np

from inversesr.benchmarks import dwi
from tests.support.diffusion import fine_head, write_series


def test_figures_are_rows(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(dwi, "RADIUS_MM", 8.0)
    path = write_series(tmp_path, fine_head((18, 18, 16), 3), affine=np.diag([3.0, 3, 3, 1]))
    found = bench("dwi", str(path), "--directions", "2", "--json")
    assert found.exit_code == 0, found.output
    parts = {row["part"] for row in json.loads(found.stdout)["rows"]}
    assert parts == {"maps", "radiomics"}


def test_a_series_without_b_values_is_refused(bench, tmp_path):
    path = write_series(tmp_path, fine_head((8, 8, 8), 2))
    path.with_name("sub-01_dwi.bval").unlink()
    found = bench("dwi", str(path))
    assert found.exit_code == 2
    assert "bval" in found.stderr
