"""The notebooks run from top to bottom, and are kept without their outputs."""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECONDS_EACH = 300
LARGEST_BYTES = 50_000


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_four_notebooks_are_there():
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_starts_with_a_question_and_is_kept_without_outputs(path):
    cells = read(path)["cells"]
    opening = "".join(cells[0]["source"])
    assert opening.startswith("# ")
    assert "?*" in opening
    assert not any(cell.get("outputs") for cell in cells)
    assert path.stat().st_size < LARGEST_BYTES


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
    assert len(drawn) == sum("Figure" in o["data"].get("text/plain", "") for o in shown)
    assert bool(drawn) is ("plot" in path.read_text(encoding="utf-8"))
