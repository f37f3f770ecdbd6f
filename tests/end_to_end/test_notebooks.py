"""The notebooks run from top to bottom, and are kept without their outputs."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

import inversesr

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECONDS_EACH = 300
LARGEST_BYTES = 50_000


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_seven_notebooks_are_there():
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06", "07"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_starts_with_a_question_and_is_kept_without_outputs(path):
    cells = read(path)["cells"]
    opening = "".join(cells[0]["source"])
    assert opening.startswith("# ")
    assert "?*" in opening
    assert not any(cell.get("outputs") for cell in cells)
    assert path.stat().st_size < LARGEST_BYTES


@pytest.mark.parametrize("is_installed", [True, False])
def test_the_viewer_is_shown_where_it_is_installed_and_slices_otherwise(
    monkeypatch, tmp_path, is_installed
):
    class NiiVue:
        def load_volumes(self, volumes):
            self.volumes = volumes

    package = SimpleNamespace(NiiVue=NiiVue) if is_installed else None
    monkeypatch.setitem(sys.modules, "ipyniivue", package)
    sources = ["".join(cell["source"]) for cell in read(NOTEBOOKS[0])["cells"]]
    (cell,) = [source for source in sources if "ipyniivue import" in source]
    image = nibabel.Nifti1Image(np.arange(512, dtype=np.float32).reshape(8, 8, 8), np.eye(4))
    names = {"inversesr": inversesr, "result": SimpleNamespace(image=image), "folder": tmp_path}
    exec(cell, names)
    if is_installed:
        assert names["shown"].volumes == [{"path": str(tmp_path / "scan_thin.nii.gz")}]
    else:
        assert len(names["shown"].axes) == 6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_pictures_are_shown(path, tmp_path):
    pytest.importorskip("nilearn", reason="the extra [notebooks] is not installed")
    nbclient = pytest.importorskip("nbclient", reason="the extra [notebooks] is not installed")
    nbformat = pytest.importorskip("nbformat", reason="the extra [notebooks] is not installed")
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=SECONDS_EACH, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = [o for c in notebook.cells for o in c.get("outputs", []) if "data" in o]
    drawn = [o for o in shown if "image/png" in o["data"]]
    promised = [o["data"].get("text/plain", "") for o in shown]
    assert len(drawn) == sum("Figure" in text or "Image object" in text for text in promised)
    assert drawn
