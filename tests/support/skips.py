"""Which skipped tests are as they should be: a plugin of pytest with the switch --strict-skips."""

import re
from pathlib import Path

import pytest

LIST = Path(__file__).parents[1] / "allowed_skips.txt"


def read_patterns(text):
    """Return the regular expressions of a list: one a line, with comments after '# '."""
    lines = [re.split(r"(?:^|\s)# ", line)[0].strip() for line in text.splitlines()]
    return tuple(re.compile(line) for line in lines if line)


def is_allowed(reason, patterns):
    """Whether a list has a pattern that a reason begins with."""
    return any(pattern.match(reason) for pattern in patterns)


def reason_of(report):
    """Return why a test was skipped; what was expected to fail is not skipped."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return None
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


class Skips:
    """Collects the skips of a run, and fails it for those that are not in the list."""

    def __init__(self, patterns):
        self.patterns = patterns
        self.unexpected = []

    def note(self, report):
        reason = reason_of(report)
        if reason is not None and not is_allowed(reason, self.patterns):
            self.unexpected.append(f"{report.nodeid}: {reason}")

    pytest_runtest_logreport = note
    pytest_collectreport = note

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        if self.unexpected and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if not self.unexpected:
            return
        terminalreporter.section("skips that are not allowed", red=True)
        for line in self.unexpected:
            terminalreporter.write_line(line)
        terminalreporter.write_line(
            f"expected none but those of {LIST.name}: install what is missing, or add the reason"
        )


def pytest_addoption(parser):
    parser.addoption(
        "--strict-skips",
        action="store_true",
        help="fail if a test is skipped for a reason that tests/allowed_skips.txt does not have",
    )


def pytest_configure(config):
    # a worker of xdist reports to the main process, which judges
    if config.getoption("--strict-skips") and not hasattr(config, "workerinput"):
        patterns = read_patterns(LIST.read_text(encoding="utf-8"))
        config.pluginmanager.register(Skips(patterns), "strict-skips")
