"""Packages import only downwards; what is slow or foreign has one owner; files stay short."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import inversesr

PACKAGE = Path(inversesr.__file__).parent
# One row a package or module at the top; imports go to earlier rows only.
LAYERS = (
    "errors",
    "config",
    "volume",
    "resources",
    "protocols",
    "parallel",
    "io",
    "operators",
    "acquisition",
    "measurements",
    "priors",
    "uncertainty",
    "solvers",
    "evaluation",
    "result",
    "explain",
    "dwi",
    "training",
    "report",
    "workflows",
    "node",
    "api",
    "benchmarks",
    "",
    "cli",
    "__main__",
)
# Packages that only some modules may import, even inside a function.
OWNERS = {
    "nibabel": ("io", "report.display"),
    "jinja2": ("report.html", "report.group", "report.dwi", "report.explain"),
    "typer": ("cli",),
    "rich": ("cli",),
    "dipy": ("dwi.maps",),
    "sklearn": ("dwi.grade",),
    "deepbet": ("acquisition.brain_mask",),
    "pydicom": ("io.dicom",),
    "dcm2niix": ("io.dicom.convert",),
    "pynetdicom": ("node",),
    "dask": ("workflows.executors.dask", "benchmarks.many_workers"),
    "distributed": (
        "workflows.executors.dask",
        "benchmarks.executor_load",
        "benchmarks.many_workers",
    ),
}
# The command line starts without these; a function imports them when it needs them.
SLOW = {"torch", "numpy", "scipy", "nibabel", "monai", "SimpleITK", "skimage", "rich"}
QUICK = ("errors", "config", "solvers.options", "cli", "__main__")
MOST_LINES, MOST_TOP_MODULES = 300, 10
# Modules without a test of their name; the list may only shrink.
UNMIRRORED = {
    "solvers.latent.needs",  # protocols only
    "__main__",
    "acquisition.foreground",
    "cli.batch",
    "protocols",
}


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree(name):
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def is_for_types_only(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def walk(node, *, into_functions):
    """Visit the statements that run, without those for type checkers."""
    for child in ast.iter_child_nodes(node):
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if is_for_types_only(child) or (is_function and not into_functions):
            continue
        yield child
        yield from walk(child, into_functions=into_functions)


@cache
def imported(name, *, into_functions=True):
    """Dotted names of what a module imports."""
    return tuple(find_imports(name, into_functions=into_functions))


def find_imports(name, *, into_functions):
    for node in walk(tree(name), into_functions=into_functions):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full.removeprefix("inversesr.") in MODULES else node.module


def own_imports(name):
    """Names of the package's modules that a module imports."""
    for full in imported(name):
        if full == "inversesr" or full.startswith("inversesr."):
            yield full.removeprefix("inversesr").removeprefix(".")


def top(name):
    return name.partition(".")[0]


def is_in(name, places):
    return any(name == place or name.startswith(f"{place}.") for place in places)


def row(name):
    if top(name) not in LAYERS:
        return pytest.fail(f"{top(name)} stands in no row of LAYERS: give it one")
    return LAYERS.index(top(name))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_its_own_room_and_earlier_rows(name):
    later = {other for other in own_imports(name) if row(other) > row(name)}
    assert not later


def test_no_modules_import_one_another_in_a_circle():
    TopologicalSorter({name: set(own_imports(name)) for name in MODULES}).prepare()


def test_the_top_of_the_package_holds_few_modules():
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_TOP_MODULES


def test_no_module_is_long():
    n_lines = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert not {name for name, n in n_lines.items() if n > MOST_LINES}


def test_every_module_has_a_test_of_its_name():
    tests = Path(__file__).parent
    files = [name for name, path in MODULES.items() if path.name != "__init__.py"]
    parts = {name: name.split(".") for name in files}
    missing = {
        name
        for name, (*room, last) in parts.items()
        if not tests.joinpath(*room, f"test_{last}.py").is_file()
    }
    assert missing <= UNMIRRORED


@pytest.mark.parametrize(("package", "owners"), OWNERS.items())
def test_a_foreign_package_has_one_owner(package, owners):
    users = {name for name in MODULES if package in {n.split(".")[0] for n in imported(name)}}
    assert not {name for name in users if not is_in(name, owners)}


@pytest.mark.parametrize("name", [name for name in MODULES if not name or is_in(name, QUICK)])
def test_what_the_command_line_starts_with_imports_nothing_slow(name):
    tops = {n.split(".")[0] for n in imported(name, into_functions=False)}
    assert not tops & SLOW


@cache
def called(name):
    """Dotted names of what a module calls."""
    return {ast.unparse(node.func) for node in ast.walk(tree(name)) if isinstance(node, ast.Call)}


def calls(name, function):
    return function in called(name)


@pytest.mark.parametrize("function", ["torch.load", "pickle.load", "pickle.loads"])
def test_only_one_module_unpickles(function):
    # what a batch wrote a moment ago, into a folder that only its user may write to, is no import
    allowed = {"priors.conversion.unpickling", "workflows.executors.work_file"}
    assert {name for name in MODULES if calls(name, function)} <= allowed


@pytest.mark.parametrize("function", ["print", "typer.echo", "input"])
def test_only_the_command_line_prints(function):
    users = {name for name in MODULES if calls(name, function)}
    assert not {name for name in users if not is_in(name, ("cli",))}


def test_nothing_seeds_the_global_generators():
    for function in ("torch.manual_seed", "np.random.seed", "random.seed"):
        assert not [name for name in MODULES if calls(name, function)]
