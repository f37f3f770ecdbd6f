"""Choices that the named solver would not heed are refused, not left without effect."""

from dataclasses import fields

from inversesr.config import AUTOMATIC, BUILTIN_PRIOR, Config
from inversesr.errors import InputError
from inversesr.solvers import registry
from inversesr.solvers.entry import SolverEntry


def refuse_ignored(config: Config) -> None:
    """Refuse what the solver that is named would not heed.

    Raises:
        InputError: such an option was given, or there is no such solver.
    """
    if config.solver == AUTOMATIC:
        return
    entry = registry.find(config.solver)
    refuse_samples(entry, config)
    if config.motion != "off" and not entry.fuses_scans:
        names = " and ".join(known.name for known in registry.fusers())
        message = (
            f"motion is {config.motion} and the solver {entry.name}; only {names} bring slices "
            "together: leave out --motion, or give another --solver"
        )
        raise InputError(message)
    if not entry.is_consistent and config.consistency in ("exact", "noise"):
        message = (
            f"consistency is {config.consistency} and the solver {entry.name}, which is plain "
            "interpolation and not made consistent with the scan: leave out --consistency, or "
            "give another --solver"
        )
        raise InputError(message)
    if entry.has_prior:
        return
    given = {
        "--protect": config.protect is not None,
        "--keep-unprotected": config.keep_unprotected,
        "--prior": config.prior != BUILTIN_PRIOR,
        "--condition": bool(config.condition),
        "--set": bool(config.settings) and not fields(entry.options),
    }
    for name, is_given in given.items():
        if is_given:
            message = f"{entry.name} has no prior and {name} no effect on it: leave it out"
            raise InputError(message)


def refuse_samples(entry: SolverEntry, config: Config) -> None:
    """Refuse samples of a solver that draws none.

    Raises:
        InputError: they were asked for.
    """
    if config.samples is not None and not entry.draws_samples:
        message = (
            f"samples were asked for of the solver {entry.name}, which draws none: leave out "
            f"--samples, or give --solver {registry.DEFAULT_NAME}"
        )
        raise InputError(message)
