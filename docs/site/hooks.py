"""What the site of the documentation has beyond the pages of docs/, made while it is built.

Tutorials come from notebooks/, the Python reference from the package, the model card of the
built-in prior from the prior itself. Equations become MathML.
"""

import ast
import html
import posixpath
import re
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "inversesr"
NOTEBOOKS = ROOT / "notebooks"
EXECUTED = ROOT / "build" / "notebooks"
SHIPPED = PACKAGE / "priors" / "shipped"
# model card of each built-in prior -> its page
CARDS = {
    SHIPPED / "builtin" / "README.md": "reference/builtin-prior.md",
    SHIPPED / "builtin-global" / "README.md": "reference/builtin-global-prior.md",
}
API = "reference/api"
# Modules of the public face, described by hand in reference/api/index.md.
FACE = ("api", "config", "errors", "result", "volume")
LINK = re.compile(r"(?<=\]\()([^):#]+)(?=[)#])")
EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages that are made here to the navigation."""
    for section in config.nav or []:
        ((title, pages),) = section.items()
        if title == "Tutorials":
            pages += [f"tutorials/{path.stem}.md" for path in _notebooks()]
        elif title == "Reference":
            pages[-1]["Python"] = [
                f"{API}/index.md",
                *({name: f"{API}/{name}.md"} for name in _rooms()),
            ]
        elif title == "Decisions":
            pages += [f"decisions/{path.name}" for path in _decisions()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add tutorials, the Python reference and the model cards."""
    made: dict[str, str | bytes] = {}
    for path in _notebooks():
        made |= _tutorial(path)
    made |= {f"{API}/{name}.md": _room(name) for name in _rooms()}
    made |= {page: card.read_text(encoding="utf-8") for card, page in CARDS.items()}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(text: str, page: Page, **_: Any) -> str:  # noqa: ANN401
    """Turn links to files beside docs/, which a reader of the source follows, into pages."""
    here = posixpath.dirname(page.file.src_uri)

    def to_page(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", here, match[1]))
        made = _page_of(target)
        return match[1] if made is None else posixpath.relpath(made, here or ".")

    return LINK.sub(to_page, text)


def on_page_content(content: str, **_: Any) -> str:  # noqa: ANN401 (what MkDocs passes on)
    """Turn LaTeX into MathML."""
    return EQUATION.sub(_mathml, content)


def _page_of(target: str) -> str | None:
    """Return the page that is made here of a file or folder of the repository."""
    top, _, rest = target.partition("/")
    if ROOT / target in CARDS:
        return CARDS[ROOT / target]
    if top == "notebooks":
        return f"tutorials/{Path(rest).stem}.md" if rest else "tutorials/index.md"
    if top == "inversesr":
        return f"{API}/{rest}.md" if rest else f"{API}/index.md"
    return None


def _mathml(match: re.Match[str]) -> str:
    display = "block" if match[2] == "[" else "inline"
    return convert(html.unescape(match[3]).strip(), display=display)


def _notebooks() -> list[Path]:
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def _decisions() -> list[Path]:
    return sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def _tutorial(path: Path) -> dict[str, str | bytes]:
    """Return a notebook as a page and its pictures; with its results if it has been run."""
    notebook = nbformat.read(path, as_version=4)
    executed = EXECUTED / path.name
    if executed.exists():
        ran = nbformat.read(executed, as_version=4)
        if [cell.source for cell in ran.cells] == [cell.source for cell in notebook.cells]:
            notebook = ran
    resources = {"output_files_dir": path.stem}
    text, resources = MarkdownExporter().from_notebook_node(notebook, resources)
    source = f"\n\n*This page is the notebook `notebooks/{path.name}`.*\n"
    made: dict[str, str | bytes] = {f"tutorials/{path.stem}.md": text + source}
    return made | {f"tutorials/{name}": data for name, data in resources["outputs"].items()}


def _rooms() -> list[str]:
    """Return the packages and modules at the top of the package, the public face left out."""
    names = [path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("_")]
    names += [path.parent.name for path in PACKAGE.glob("*/__init__.py")]
    return sorted(set(names) - set(FACE))


def _room(name: str) -> str:
    """Return the page of a package: every public name of every module in it."""
    folder = PACKAGE / name
    paths = sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{name}.py"]
    parts = [f"# inversesr.{name}\n"]
    for path in paths:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.name == "__init__.py":
            if path.parent == folder:
                parts.append(f"{ast.get_docstring(ast.parse(path.read_text('utf-8')))}\n")
            continue
        parts.append(f"## {module.removeprefix('inversesr.')}\n")
        parts.append(f"::: {module}\n    options:\n      show_root_heading: false\n")
    return "\n".join(parts)
