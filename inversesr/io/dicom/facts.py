"""What a record keeps of a DICOM series: how it was taken, and by what it is known again.

Only what is listed here is kept: descriptions of studies, names of institutions, serial numbers
and dates may tell a patient.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inversesr.io.dicom.header import Instance
from inversesr.io.dicom.privacy import short_hash
from inversesr.io.dicom.series import Series

# Keys of BIDS and dcm2niix that say how a scan was taken.
ACQUISITION = (
    "Modality", "MagneticFieldStrength", "ImagingFrequency", "Manufacturer",
    "ManufacturersModelName", "SoftwareVersions", "PatientPosition", "BodyPart",
    "MRAcquisitionType", "ScanningSequence", "SequenceVariant", "ScanOptions", "SequenceName",
    "PulseSequenceType", "ImageType", "SeriesNumber", "EchoNumber", "EchoTime", "RepetitionTime",
    "InversionTime", "FlipAngle", "EchoTrainLength", "NumberOfAverages", "PixelBandwidth",
    "SliceThickness", "PercentPhaseFOV", "PercentSampling", "PhaseEncodingSteps",
    "AcquisitionMatrixPE", "ReconMatrixPE", "InPlanePhaseEncodingDirectionDICOM",
    "ImageOrientationPatientDICOM", "ParallelReductionFactorInPlane", "MTState", "SpoilingState",
    "ReceiveCoilName", "NonlinearGradientCorrection", "PhilipsRescaleSlope",
    "PhilipsRescaleIntercept", "PhilipsScaleSlope", "UsePhilipsFloatNotDisplayScaling",
    "ConversionSoftware", "ConversionSoftwareVersion",
)  # fmt: skip


def sidecar_of(series: Series, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a series was taken, with the keys of a BIDS sidecar.

    The distance between slices is that of their positions, whatever the header says.

    Args:
        series: The series.
        facts: What dcm2niix says of it.
    """
    kept = {key: facts[key] for key in ACQUISITION if key in facts}
    thickness = series.first.frames[0].thickness
    if thickness is not None and thickness > 0.0:
        kept["SliceThickness"] = thickness
    if series.layout is not None:
        kept["SpacingBetweenSlices"] = round(series.layout.spacing_mm[2], 6)
        if series.layout.missing:
            kept["MissingSlices"] = list(facts["MissingSlices"])
    return kept


def input_facts(series: Series, name: str) -> dict[str, Any]:
    """Return name, size and sha256 of a series: enough to know it again, and not whose it is.

    Args:
        series: The series.
        name: What results are named by.

    Raises:
        OSError: a file cannot be read.
    """
    n_bytes, digest = _content(series.instances)
    return {
        "name": name,
        "bytes": n_bytes,
        "sha256": digest,
        "dicom": {
            "series": short_hash(series.first.series_uid),
            "part": series.part,
            "instances": len(series.instances),
        },
    }


def _content(instances: Sequence[Instance]) -> tuple[int, str]:
    """Return the size of files together, and a digest of them in the order of the series."""
    digests, n_bytes = [], 0
    for instance in instances:
        with instance.path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        n_bytes += Path(instance.path).stat().st_size
    return n_bytes, hashlib.sha256("".join(digests).encode()).hexdigest()
