"""Writes a result as a DICOM series of MR images, one file a slice.

It lies in the frame of reference and the study of its source, and says that it is derived, from
what, by what, and that it is not for diagnosis.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from inversesr.errors import InputError
from inversesr.io.dicom.attributes import Told, template
from inversesr.io.dicom.elements import text
from inversesr.io.dicom.header import read_dataset, tolerant
from inversesr.io.dicom.planes import Planes, directions_of, planes_of
from inversesr.io.dicom.series import Series
from inversesr.io.dicom.stored import Stored, decimal, store
from inversesr.io.dicom.uids import derived_uid
from inversesr.volume import Volume


def check_source(series: Series) -> None:
    """Refuse a source in whose study a result cannot be written.

    Raises:
        InputError: its slices are not placed one by one, or its study has no UID.
    """
    if series.layout is None or not series.first.study_uid:
        what = "has no Study Instance UID" if series.layout is not None else "is a mosaic"
        message = (
            f"{series.label} {what}: no DICOM series can be derived from it, leave --dicom out"
        )
        raise InputError(message)


def write_series(
    folder: Path,
    volume: Volume,
    sources: Sequence[Series],
    told: Told,
    facts: Any,  # noqa: ANN401
) -> int:
    """Write an image as a series.

    Args:
        folder: An empty folder.
        volume: The image, with the axes of the first source.
        sources: The series that it was made from.
        told: What it says of itself.
        facts: Plain data that tell this result from every other: its UIDs follow from them.

    Returns:
        The number of instances.

    Raises:
        InputError: the image has other axes than its source.
        OSError: the source cannot be read, or the disk not written to.
    """
    first = sources[0]
    planes = planes_of(volume, *directions_of(first.instances))
    stored = store(planes.data)
    source, _ = read_dataset(first.first.path)
    with tolerant():
        common = template(source, sources, told)
        common.SeriesInstanceUID = derived_uid("series", facts)
        frame = text(source, "FrameOfReferenceUID")
        common.FrameOfReferenceUID = frame or derived_uid("frame", first.first.series_uid)
        _describe_pixels(common, planes, stored)
        for k, pixels in enumerate(stored.data):
            slice_k = _instance(common, planes, k, UID(derived_uid("instance", k, facts)))
            slice_k.PixelData = np.ascontiguousarray(pixels.astype("<u2")).tobytes()
            slice_k["PixelData"].VR = "OW"
            slice_k.save_as(folder / f"{k + 1:04d}.dcm", enforce_file_format=True)
    return len(planes.data)


def _describe_pixels(ds: Dataset, planes: Planes, stored: Stored) -> None:
    """Fill in what is the same of all slices: size, scaling, window."""
    between_slices, between_rows, between_columns = planes.spacing_mm
    ds.Rows, ds.Columns = planes.data.shape[1:]
    ds.PixelSpacing = [decimal(between_rows), decimal(between_columns)]
    ds.SliceThickness = ds.SpacingBetweenSlices = decimal(between_slices)
    ds.ImageOrientationPatient = [f"{v + 0.0:.10f}" for v in (*planes.row, *planes.column)]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 0
    ds.RescaleSlope, ds.RescaleIntercept = decimal(stored.slope), decimal(stored.intercept)
    ds.RescaleType = "US"
    centre, width = stored.window
    ds.WindowCenter, ds.WindowWidth = decimal(centre), decimal(width)
    ds.WindowCenterWidthExplanation = "tissue"


def _instance(ds: Dataset, planes: Planes, k: int, uid: UID) -> Dataset:
    """Make what is the same of all slices one of them: a copy of each would take seconds."""
    ds.SOPInstanceUID, ds.InstanceNumber = uid, k + 1
    ds.ImagePositionPatient = [f"{v + 0.0:.6f}" for v in planes.positions[k]]
    normal = np.cross(planes.row, planes.column)
    ds.SliceLocation = f"{float(planes.positions[k] @ normal) + 0.0:.6f}"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = uid
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds
