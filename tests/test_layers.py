"""A module imports only from earlier rows of LAYERS; what is slow or foreign has one owner."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import inversesr

PACKAGE = Path(inversesr.__file__).parent
# A name ending in a dot stands for all modules of a subpackage. Modules of one row may import one
# another, but not in a circle.
LAYERS = (
    ("errors", "config", "solver_options", "json_text"),
    ("machine", "child_process", "csv_table", "volume"),
    ("protocols", "scan_checks", "nifti", "weights"),
    ("operators.", "metrics", "calibration"),
    (
        "acquisition",
        "alignment",
        "brain_mask",
        "noise",
        "consistency",
        "plausibility",
        "priors.",
        "solvers.",
        "fusion",
        "simulation",
        "evaluation",
        "null_space",
    ),
    ("pipeline",),
    ("plot", "display", "prior_words", "training."),
    ("report", "prior_pictures"),
    ("job",),
    (
        "batch",
        "files",
        "notebook",
        "plan",
        "demo",
        "doctor",
        "benchmark",
        "benchmark_case",
        "benchmark_robustness",
        "benchmark_rows",
        "benchmark_tasks",
        "benchmark_default_run",
        "benchmark_calibration",
        "benchmark_networks",
        "benchmark_prior",
        "benchmark_picture",
    ),
    (
        "",
        "cli_output",
        "cli_options",
        "cli_plan",
        "cli_prior",
        "cli_picture",
        "cli_batch",
        "cli_bench_tables",
        "cli_bench_options",
        "cli_bench",
        "cli",
    ),
    ("__main__",),
)
COMMAND_LINE = {
    "cli",
    "cli_output",
    "cli_options",
    "cli_plan",
    "cli_prior",
    "cli_picture",
    "cli_batch",
    "cli_bench_tables",
    "cli_bench_options",
    "cli_bench",
}
# Packages that only some modules may import, even inside a function.
OWNERS = {
    "nibabel": {"nifti", "display", "training.scans"},
    "matplotlib": {"plot", "training.curves"},
    "jinja2": {"report"},
    "typer": COMMAND_LINE,
    "rich": COMMAND_LINE,
    "nilearn": {"demo"},
    "deepbet": {"brain_mask"},
}
# The command line starts without these; a function imports them when it needs them.
SLOW = {"torch", "numpy", "scipy", "nibabel", "monai", "SimpleITK", "skimage", "rich"}
QUICK_MODULES = (
    "",
    "errors",
    "config",
    "cli_output",
    "cli_options",
    "cli_plan",
    "cli_prior",
    "cli_picture",
    "cli_batch",
    "cli_bench_tables",
    "cli_bench_options",
    "cli_bench",
    "solver_options",
    "cli",
    "__main__",
)


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


def imported(name, *, into_functions=True):
    """Dotted names of what a module imports."""
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


def row(name):
    for number, names in enumerate(LAYERS):
        if any(name == n or (n.endswith(".") and f"{name}.".startswith(n)) for n in names):
            return number
    return pytest.fail(f"{name} stands in no row of LAYERS: give it one")


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_its_own_row_and_earlier_ones(name):
    later = {other for other in own_imports(name) if row(other) > row(name)}
    assert not later


def test_no_modules_import_one_another_in_a_circle():
    TopologicalSorter({name: set(own_imports(name)) for name in MODULES}).prepare()


@pytest.mark.parametrize(("package", "owners"), OWNERS.items())
def test_a_foreign_package_has_one_owner(package, owners):
    users = {name for name in MODULES if package in {n.split(".")[0] for n in imported(name)}}
    assert users <= owners


@pytest.mark.parametrize("name", QUICK_MODULES)
def test_what_the_command_line_starts_with_imports_nothing_slow(name):
    tops = {n.split(".")[0] for n in imported(name, into_functions=False)}
    assert not tops & SLOW


def calls(name, function):
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func) == function
        for node in ast.walk(tree(name))
    )


@pytest.mark.parametrize("function", ["torch.load", "pickle.load", "pickle.loads"])
def test_only_weights_unpickles(function):
    assert {name for name in MODULES if calls(name, function)} <= {"weights"}


@pytest.mark.parametrize("function", ["print", "typer.echo", "input"])
def test_only_the_command_line_prints(function):
    assert {name for name in MODULES if calls(name, function)} <= COMMAND_LINE


def test_nothing_seeds_the_global_generators():
    for function in ("torch.manual_seed", "np.random.seed", "random.seed"):
        assert not [name for name in MODULES if calls(name, function)]
