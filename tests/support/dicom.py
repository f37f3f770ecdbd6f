"""Series of DICOM files made from an image and its place: what a scanner would have written."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0])
PATIENT = "Roentgen^Wilhelmine"


def stack(shape=(12, 10, 6), seed=0, top=900):
    """Return whole numbers of shape (columns, rows, slices)."""
    return np.random.default_rng(seed).integers(0, top, shape).astype(np.int16)


def affine_of(spacing=(0.9, 0.8, 5.0), turn=(0.0, 0.0, 0.0), origin=(-40.0, -30.0, 10.0)):
    """Return the place of voxels (column, row, slice), right-anterior-superior mm."""
    from scipy.spatial.transform import Rotation

    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec(turn).as_matrix() * np.array(spacing)
    affine[:3, 3] = origin
    return affine


def header(series="1", study="1", number=4, description="T2 TSE axial"):
    """Return what all files of a series state."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = MRImageStorage
    ds.StudyInstanceUID = generate_uid(entropy_srcs=["study", study])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["series", study, series])
    ds.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", study])
    ds.Modality, ds.Manufacturer, ds.SeriesNumber = "MR", "Unknown", number
    ds.SeriesDescription = description
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = PATIENT, "PID-4711-x", "19230327"
    ds.PatientSex, ds.PatientPosition = "F", "HFS"
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = "ACC99213", "77123", "Doctor^Who"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240229"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "134501"
    ds.StudyDescription, ds.InstitutionName = "Brain of Roentgen", "Physics Institute"
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "SE", "SK", ""
    ds.MRAcquisitionType = "2D"
    ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength, ds.FlipAngle = 4000.0, 98.0, 12, 90.0
    ds.MagneticFieldStrength = 1.5
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    return ds


def slices(data, affine, **facts):
    """Return the files of a classic series as data sets, one a slice, in the order of slices.

    Args:
        data: Whole numbers, shape (columns, rows, slices).
        affine: World from (column, row, slice), right-anterior-superior mm.
        **facts: See `header`; "thickness" in mm.
    """
    thickness = facts.pop("thickness", 4.0)
    lps = LPS_FROM_RAS @ affine[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    made = []
    for k in range(data.shape[2]):
        ds = header(**facts)
        ds.Rows, ds.Columns = data.shape[1], data.shape[0]
        ds.PixelSpacing = [float(f"{spacing[1]:.8g}"), float(f"{spacing[0]:.8g}")]
        ds.SliceThickness = thickness
        directions = np.concatenate([lps[:, 0] / spacing[0], lps[:, 1] / spacing[1]])
        ds.ImageOrientationPatient = [float(f"{v:.9f}") for v in directions]
        ds.ImagePositionPatient = [float(f"{v:.6f}") for v in lps @ [0, 0, k, 1]]
        ds.InstanceNumber = k + 1
        ds.SOPInstanceUID = generate_uid(entropy_srcs=[ds.SeriesInstanceUID, str(k)])
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.PixelData = np.ascontiguousarray(data[:, :, k].T.astype("<u2")).tobytes()
        made.append(ds)
    return made


def write(folder, made, *, suffix=".dcm", preamble=True, compress=None):
    """Write data sets to files of a folder; return the folder.

    Args:
        folder: Made if need be.
        made: Data sets.
        suffix: Ending of names.
        preamble: Whether files begin as the standard wants it.
        compress: UID of a transfer syntax to compress by.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for n, ds in enumerate(made):
        if compress is not None:
            ds.compress(compress, generate_instance_uid=False)
        path = folder / f"IM{n:04d}{suffix}"
        if preamble:
            pydicom.dcmwrite(path, ds, enforce_file_format=True)
        else:
            ds.file_meta = FileMetaDataset()
            pydicom.dcmwrite(path, ds, implicit_vr=True, little_endian=True)
    return folder


def implicit(made):
    """Return data sets that are written without the types of their values."""
    for ds in made:
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return made


def enhanced(data, affine, *, echoes=(98.0,), **facts):
    """Return an enhanced multi-frame object of the same image, one for each echo after another."""
    classic = slices(data, affine, **facts)
    ds = classic[0]
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = EnhancedMRImageStorage
    ds.ImageType = ["ORIGINAL", "PRIMARY", "T2", "NONE"]
    frames = [(one, echo) for echo in echoes for one in classic]
    ds.PerFrameFunctionalGroupsSequence = [_groups(one, echo) for one, echo in frames]
    ds.NumberOfFrames = len(frames)
    ds.PixelData = b"".join(one.PixelData for one, _ in frames)
    for keyword in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient",
                    "ImagePositionPatient", "EchoTime"):  # fmt: skip
        delattr(ds, keyword)
    return ds


def _groups(one, echo):
    """Return the functional groups of one frame."""
    group = Dataset()
    place, turn, size, content, te, kind = (Dataset() for _ in range(6))
    place.ImagePositionPatient = one.ImagePositionPatient
    turn.ImageOrientationPatient = one.ImageOrientationPatient
    size.PixelSpacing, size.SliceThickness = one.PixelSpacing, one.SliceThickness
    content.StackID, content.InStackPositionNumber = "1", int(one.InstanceNumber)
    content.DimensionIndexValues = [1, int(one.InstanceNumber)]
    te.EffectiveEchoTime = float(echo)
    kind.FrameType, kind.ComplexImageComponent = ["ORIGINAL", "PRIMARY", "T2", "NONE"], "MAGNITUDE"
    group.PlanePositionSequence, group.PlaneOrientationSequence = [place], [turn]
    group.PixelMeasuresSequence, group.FrameContentSequence = [size], [content]
    group.MREchoSequence, group.MRImageFrameTypeSequence = [te], [kind]
    return group


def worlds(image):
    """Return the intensity at each place of an image: {(x, y, z) rounded to 0.05 mm: value}."""
    index = np.stack(np.meshgrid(*map(np.arange, image.shape[:3]), indexing="ij"), -1)
    places = index.reshape(-1, 3) @ image.affine[:3, :3].T + image.affine[:3, 3]
    values = np.asarray(image.dataobj, dtype=np.float64).reshape(-1)
    return dict(zip(map(tuple, np.round(places / 0.05).astype(int)), values, strict=True))
