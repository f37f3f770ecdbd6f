"""What was not measured is taken as zero: x = C' F' S' y, as the scanner shows it at first."""

from dataclasses import dataclass

from inversesr.measurements.kspace import KSpaceMeasurement
from inversesr.solvers.kspace.protocol import Entry, Reconstruction, Request


@dataclass(frozen=True)
class ZeroFilling:
    """Zero filling has no options."""


def reconstruct(measurement: KSpaceMeasurement, _request: Request) -> Reconstruction:
    """Return the coils' images, combined by their sensitivities."""
    return Reconstruction(measurement.A.adjoint(measurement.y), "closed form")


METHOD = Entry("What was not measured is zero.", ZeroFilling, reconstruct)
