"""The documentation is true: its commands run or parse, its links lead somewhere."""

import ast
import re
import shlex
from pathlib import Path

import nibabel
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from inversesr.cli.app import app
from tests.support.command_reference import REFERENCE, reference

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "docker", "data", "inversesr")
PAGES = [ROOT / "README.md", *(p for name in FOLDERS for p in sorted((ROOT / name).rglob("*.md")))]
# Blocks with these names are executed; of other blocks the commands are only parsed.
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# Pages whose blocks take only a few seconds.
FAST = ("lesion.md", "priors.md")
LONGEST_LINE = 100
ANY_BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# A command at the start of a line or statement, or after `docker run` and others.
COMMAND = re.compile(r"(?:^|; |do |^(?:docker run|torchrun) .*)inversesr ([a-z][^;#]*)")
INLINE = re.compile(r"(?<!`)`inversesr ([a-z][^`]*)`(?!`)")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)")
BLOCKS = [
    pytest.param(
        page,
        id=str(page.relative_to(ROOT)),
        marks=[pytest.mark.slow] if page.name not in FAST else [],
    )
    for page in PAGES
    if BLOCK.search(page.read_text(encoding="utf-8"))
]


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
    known = set(re.findall(r"--[a-z][a-z-]+", reference())) | {
        "--install-completion",
        "--prior",
        "--help",
    }
    build = (ROOT / "docker" / "build").read_text(encoding="utf-8")
    known |= set(re.findall(r"^ {8}(--[a-z-]+)\)", build, re.MULTILINE))
    foreign = {"--local-dir", "--force-reinstall", "--nproc-per-node", "--dependency", "--wrap"}
    foreign |= {"--build-arg", "--index-url", "--no-index", "--find-links", "--upgrade"}
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            if "inversesr" in line or line.startswith("| `--"):
                named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", line))
                assert named <= known | foreign, (page.name, named - known)


def commands_in_blocks(text):
    """Yield the words after `inversesr` of every command in the blocks of a page."""
    for block in ANY_BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from COMMAND.findall(line)


def commands_in_prose(text):
    """Yield the words after `inversesr` of commands in the prose of a page, cut short or not."""
    for inline in INLINE.findall(ANY_BLOCK.sub("", text)):
        # STAGE and SUB stand for words of the command line
        if not re.search(r"\.\.\.|\b(STAGE|SUB)\b", inline):
            yield " ".join(inline.split())


def parse(words):
    """Parse words as the command line does, and run nothing."""
    command, name, parent = typer.main.get_command(app), "inversesr", None
    while True:
        context = command.make_context(name, list(words), parent=parent)
        if not hasattr(command, "commands"):
            return
        left = [*context._protected_args, *context.args]
        name, command, words = command.resolve_command(context, left)
        parent = context


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_command_line_takes_every_command_of_a_page(page):
    text = page.read_text(encoding="utf-8")
    for line in commands_in_blocks(text):
        if "STAGE" not in line:
            parse(shlex.split(line, comments=True))
    for line in commands_in_prose(text):
        try:
            # the name of a choice stands for one of them
            parse(shlex.split(line.replace(" LEVEL", " participant")))
        except Exception as error:
            # prose may name a command without its arguments
            if "missing" not in str(error).lower():
                raise


def test_commands_are_found_in_blocks_loops_containers_and_prose():
    text = (
        "`inversesr doctor` and `inversesr run\nscan.nii.gz`, not `inversesr bench SUB ...`\n"
        "```\ndocker run --rm \\\n    inversesr batch /scans -o /results\n"
        "for scan in *; do inversesr run $scan; done\ninversesr demo  # a comment\n```\n"
    )
    in_blocks = [line.strip() for line in commands_in_blocks(text)]
    assert in_blocks == ["batch /scans -o /results", "run $scan", "demo"]
    assert list(commands_in_prose(text)) == ["doctor", "run scan.nii.gz"]


def test_a_command_that_the_command_line_does_not_take_is_noticed():
    for wrong in (["run", "scan.nii.gz", "--no-such-option"], ["no-such-command"], ["run"]):
        with pytest.raises(Exception, match=r"(?i)no such|missing"):
            parse(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_are_short_but_for_tables(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    long = [n for n, line in enumerate(lines, 1) if len(line) > LONGEST_LINE and line[0] != "|"]
    assert not long, f"lines above {LONGEST_LINE} letters: {long}"


def test_every_decision_is_in_the_index():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "index.md").read_text(encoding="utf-8")
    for path in folder.glob("[0-9]*.md"):
        title = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        title = re.sub(r"^\d+: ", "", title)
        assert f"[{title}]({path.name})" in index, path.name


def test_every_message_that_troubleshooting_explains_is_one_of_the_program():
    page = ROOT / "docs" / "howto" / "troubleshooting.md"
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "inversesr").rglob("*.py")
    )
    told = re.sub(r'"\s*\n\s*f?"', "", source)
    text = page.read_text(encoding="utf-8")
    quoted = re.findall(r'the warning "([^"]+)"', text)
    quoted += re.findall(r"^\| `([^`-][^`]+)` \|", text, re.MULTILINE)
    assert len(quoted) > 6
    for message in quoted:
        for part in message.split(" ... "):
            assert part in told, message
