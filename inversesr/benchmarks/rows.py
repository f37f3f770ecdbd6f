"""Rows of a comparison of solvers, and the time that each needed to a given quality."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inversesr.solvers.registry import REFERENCE_NAME

# What a prior does: a benchmark counts it.
PASSES = ("encode", "decode", "denoise")


@dataclass(frozen=True)
class Row:
    """What one run gave; None stands for what is not known.

    Attributes:
        image: Name of the image.
        solver: Name of the solver.
        thickness_mm: Slice thickness.
        gap_mm: Gap between slices.
        profile: Slice profile.
        noise_percent: Noise in percent of the brightest intensity.
        axis: Anatomical direction across the slices, R, A or S.
        n_voxels: Voxels of the result.
        psnr_db: Against the truth, inside its foreground.
        ssim: Likewise.
        nmse: Squared error over squared truth, likewise.
        spectral_error_db: Root mean square difference of the power spectra of image and truth
            across the slices, in dB.
        null_space_psnr_db: PSNR of the part of the error that no slice has measured.
        before_consistency_largest: Largest |A x - y| before data consistency, as a share of the
            scan's range.
        before_consistency_rms: Root mean square of A x - y before data consistency, likewise.
        after_consistency_largest: Largest |A x - y| of the result, likewise.
        after_consistency_rms: Root mean square of A x - y of the result, likewise.
        solver_seconds: Wall clock of the solver alone, loading of its prior included.
        consistency_seconds: Wall clock of data consistency alone.
        process_seconds: Wall clock of the whole process, start of Python and report included.
        seconds_until: Wall clock of the solver until it had the quality of the reference.
        encode: Passes through the encoder.
        encode_backward: Backward passes through the encoder.
        decode: Passes through the decoder.
        decode_backward: Backward passes through the decoder.
        denoise: Passes through the denoiser.
        denoise_backward: Backward passes through the denoiser.
        peak_gib: Peak resident memory of the process.
        note: What the run warned of.
        failure: Why there are no figures, in a sentence.
        trace: (seconds, null-space PSNR in dB) of every image that the solver went through.
    """

    image: str
    solver: str
    thickness_mm: float | None = None
    gap_mm: float | None = None
    profile: str | None = None
    noise_percent: float | None = None
    axis: str | None = None
    n_voxels: int | None = None
    psnr_db: float | None = None
    ssim: float | None = None
    nmse: float | None = None
    spectral_error_db: float | None = None
    null_space_psnr_db: float | None = None
    before_consistency_largest: float | None = None
    before_consistency_rms: float | None = None
    after_consistency_largest: float | None = None
    after_consistency_rms: float | None = None
    solver_seconds: float | None = None
    consistency_seconds: float | None = None
    process_seconds: float | None = None
    seconds_until: float | None = None
    encode: int | None = None
    encode_backward: int | None = None
    decode: int | None = None
    decode_backward: int | None = None
    denoise: int | None = None
    denoise_backward: int | None = None
    peak_gib: float | None = None
    note: str = ""
    failure: str = ""
    trace: tuple[tuple[float, float], ...] = ()

    @property
    def task(self) -> str:
        """Image and degradation in words."""
        return self.image if self.thickness_mm is None else f"{self.image}, {self.degradation}"

    @property
    def degradation(self) -> str:
        """How thick slices were made, in words."""
        noise = f", {self.noise_percent:g} % noise" if self.noise_percent else ""
        axis = f" along {self.axis}" if self.axis not in (None, "S") else ""
        size = f"{self.thickness_mm:g}|{self.gap_mm:g} mm"
        return f"{size} {self.profile}{axis}{noise}"


def with_time_to_quality(rows: Sequence[Row]) -> list[Row]:
    """Fill in when each solver first had the final null-space PSNR of the reference.

    Tasks whose reference failed, and solvers that never get there, stay without a time.
    """
    wanted = {
        row.task: row.null_space_psnr_db
        for row in rows
        if row.solver == REFERENCE_NAME and row.null_space_psnr_db is not None
    }
    return [
        replace(row, seconds_until=_first_time(row, wanted[row.task]))
        if row.task in wanted
        else row
        for row in rows
    ]


def _first_time(row: Row, wanted_db: float | None) -> float | None:
    if wanted_db is None:
        return None
    times = [seconds for seconds, found_db in row.trace if found_db >= wanted_db]
    return min(times, default=None)
