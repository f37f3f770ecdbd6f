"""What the documentation says is so: its commands run, its links lead somewhere."""

import ast
import re
import shlex
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.report.html import has_report_packages
from tests.support.command_reference import REFERENCE, reference

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Blocks with these names are executed; a block without a name is only to be read.
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [
    pytest.param(page, id=str(page.relative_to(ROOT)))
    for page in PAGES
    if BLOCK.search(page.read_text(encoding="utf-8"))
]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)")


def phantom(shape, spacing):
    """A ball with a smaller one inside, in noise."""
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    radius, inner = (np.sqrt(sum(np.square(g - c) for g in grid)) for c in (0.0, 2.0))
    data = 100.0 * (radius < 11.0) + 60.0 * (inner < 4.0)
    data = data + np.random.default_rng(0).normal(10, 1, shape)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [axis[0] for axis in axes]
    return nibabel.Nifti1Image(data.astype(np.float32), affine)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the files that the documentation speaks of."""
    for name, axis in (("scan", 2), ("axial", 2), ("coronal", 1), ("sagittal", 0)):
        shape, spacing = [28, 28, 28], [1.0, 1.0, 1.0]
        shape[axis], spacing[axis] = 7, 4.0
        nibabel.save(phantom(shape, spacing), tmp_path / f"{name}.nii.gz")
    (tmp_path / "scans").mkdir()
    nibabel.save(phantom([28, 28, 7], [1.0, 1.0, 4.0]), tmp_path / "scans" / "head.nii.gz")
    nibabel.save(phantom([28, 28, 30], [1.0, 1.0, 1.0]), tmp_path / "thin.nii.gz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_command(line):
    words = shlex.split(line, comments=True)
    if words:
        assert words[0] == "inversesr", f"only inversesr is run here: {line}"
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, f"{line}\n{result.output}"


@pytest.mark.skipif(not has_report_packages(), reason="the extra [report] is not installed")
@pytest.mark.parametrize("page", BLOCKS)
def test_a_reader_who_types_every_block_of_a_page_in_order_gets_through(page, desk):
    for language, content in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "bash":
            for line in content.splitlines():
                run_command(line)
        else:
            exec(compile(ast.parse(content), str(page), "exec"), {})
    if page.name == "README.md":
        made = {path.name for path in desk.iterdir()}
        assert {"scan_desc-sr.nii.gz", "scan_report.html", "scan_thin.nii.gz"} <= made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_command_reference_is_current():
    assert REFERENCE.read_text(encoding="utf-8") == reference(), (
        "run `python -m tests.support.command_reference`"
    )


def test_every_option_that_the_pages_name_exists():
    known = set(re.findall(r"--[a-z][a-z-]+", reference())) | {"--install-completion", "--prior"}
    foreign = {"--local-dir", "--force-reinstall", "--nproc-per-node"}
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            if "inversesr" in line or line.startswith("| `--"):
                named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", line))
                assert named <= known | foreign, (page.name, named - known)
