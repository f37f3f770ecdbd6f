import errno
import io
import json
import os
import resource
import signal
import sys
import time

import pytest
import torch
import typer

from inversesr.cli.console import (
    failing_in_one_sentence,
    print_json,
    progress_bar,
    training_bar,
    warn,
)
from inversesr.errors import OUT_OF_MEMORY, InputError, InverseSRError
from inversesr.training.loop import TrainingProgress


class Terminal(io.StringIO):
    """What is written to a terminal."""

    def isatty(self):
        return True


def terminal_for(monkeypatch):
    """Put a wide terminal in the place of standard error."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (InputError("no such file: check the name"), 2, "no such file: check the name"),
        (InverseSRError("the solver gave up: try tv"), 1, "the solver gave up: try tv"),
        (OSError(28, "No space left on device", "/out"), 1, "No space left on device: /out"),
        (OSError("/out/a cannot be written"), 1, "/out/a cannot be written"),
    ],
    ids=["input", "failure", "disk", "disk in other words"],
)
def test_a_failure_is_one_sentence_on_standard_error_and_a_status(error, status, sentence, capsys):
    with pytest.raises(typer.Exit) as found, failing_in_one_sentence():
        raise error
    assert found.value.exit_code == status
    assert found.value.__cause__ is error
    assert capsys.readouterr() == ("", f"inversesr: {sentence}\n")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory: 9 bytes")])
def test_too_little_memory_is_one_sentence(error, capsys):
    with pytest.raises(typer.Exit) as found, failing_in_one_sentence():
        raise error
    assert found.value.exit_code == 1
    assert capsys.readouterr().err == f"inversesr: {OUT_OF_MEMORY}\n"


def test_other_failures_are_not_taken_for_that():
    with pytest.raises(ZeroDivisionError), failing_in_one_sentence():
        _ = 1 / 0
    with pytest.raises(RuntimeError, match="size of tensor"), failing_in_one_sentence():
        torch.ones(2) + torch.ones(3)
    with pytest.raises(BrokenPipeError), failing_in_one_sentence():
        raise BrokenPipeError


def test_where_nothing_fails_nothing_is_said(capsys):
    with failing_in_one_sentence():
        pass
    assert capsys.readouterr() == ("", "")


def moments():
    """60 steps and three tenths of the work in one minute."""
    return TrainingProgress(10, 0.1, 0.5, 1.0), TrainingProgress(70, 0.4, 0.25, 2.0)


def test_where_nobody_watches_there_is_no_bar(capsys):
    with progress_bar() as show:
        show("solve", 1, 3)
    with training_bar("denoiser") as show:
        show(moments()[0])
    assert capsys.readouterr() == ("", "")


def test_each_phase_has_a_bar_that_ends_where_the_work_did(monkeypatch, capsys):
    terminal = terminal_for(monkeypatch)
    with progress_bar() as show:
        for done in (1, 2, 3):
            show("solve", done, 7)
        show("consistency", 1, 1)
    assert capsys.readouterr().out == ""
    for words in ("solve", "3/7", "consistency", "1/1"):
        assert words in terminal.getvalue()


def test_the_time_left_is_what_the_rest_takes_at_the_speed_since_the_first_moment(
    monkeypatch, capsys
):
    terminal = terminal_for(monkeypatch)
    with training_bar("denoiser") as show:
        for moment in moments():
            show(moment)
    assert capsys.readouterr().out == ""
    # six tenths are left
    for words in ("denoiser", " 40%  step 70", "loss 0.25", "1.00 steps/s", "2 min left"):
        assert words in terminal.getvalue()


def test_a_single_moment_promises_nothing(monkeypatch):
    terminal = terminal_for(monkeypatch)
    with training_bar("denoiser") as show:
        show(moments()[0])
    for words in ("0.00 steps/s", "0 min left"):
        assert words in terminal.getvalue()


def test_each_warning_is_a_line_on_standard_error(capsys):
    warn(("thin", "small"))
    assert capsys.readouterr() == ("", "warning: thin\nwarning: small\n")


def test_an_object_is_one_line_on_standard_output(capsys):
    print_json({"a": [1.5, float("nan")], "b": "two\nlines"})
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    assert json.loads(line) == {"a": [1.5, None], "b": "two\nlines"}
    assert err == ""


def test_a_fault_that_speaks_of_memory_is_not_taken_for_too_little_of_it():
    fault = RuntimeError("unsupported memory format option")
    with pytest.raises(RuntimeError, match="memory format"), failing_in_one_sentence():
        raise fault


def test_an_interrupt_is_told_in_one_line(capsys):
    with pytest.raises(typer.Exit) as found, failing_in_one_sentence():
        raise KeyboardInterrupt
    assert found.value.exit_code == 130
    assert capsys.readouterr().err == "inversesr: interrupted\n"


def test_sigterm_is_an_interrupt_with_a_status_of_its_own(capsys):
    def be_terminated():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:  # a second one does not disturb the end
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(typer.Exit) as found, failing_in_one_sentence():
        be_terminated()
    assert found.value.exit_code == 143
    assert capsys.readouterr().err == "inversesr: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_name_that_is_too_long_is_the_users_to_change(capsys):
    with pytest.raises(typer.Exit) as caught, failing_in_one_sentence():
        raise OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300)
    assert caught.value.exit_code == 2
    assert "give a shorter name" in capsys.readouterr().err


@pytest.mark.parametrize("gibibytes", [0.3, 0.7, 0.99])
def test_too_small_an_address_space_is_told_before_anything_is_loaded(
    monkeypatch, capsys, gibibytes
):
    allowed = int(gibibytes * 2**30)
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (allowed, allowed))
    with pytest.raises(typer.Exit) as caught, failing_in_one_sentence():
        pytest.fail("went on")
    assert caught.value.exit_code == 1
    assert "address space (`ulimit -v`); expected at least 1 GiB" in capsys.readouterr().err


@pytest.mark.parametrize("allowed", [resource.RLIM_INFINITY, 2**30, 2**40])
def test_an_address_space_that_may_do_is_no_reason_to_stop(monkeypatch, allowed):
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (allowed, allowed))
    with failing_in_one_sentence():
        pass
