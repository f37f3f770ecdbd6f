"""What a derived series takes over from its source, and what it says of itself.

Taken over are patient, study, frame of reference and how the source was acquired, standard tags
only: private ones may say of the source what is not true of the result.

Reference: DICOM PS3.3 2024, A.4 (MR image), C.7.6.1 (derivation), C.7.5.1 and C.12.1.1.5
(contributing equipment), C.8.3.1 (MR image).
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydicom.config import RAISE
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage
from pydicom.valuerep import validate_value

from inversesr.io.dicom.elements import UNREADABLE, numbers, text, texts
from inversesr.io.dicom.header import MADE_HERE
from inversesr.io.dicom.series import Series

NOT_FOR_DIAGNOSIS = "NOT FOR DIAGNOSIS"
# Lengths that DICOM allows: LO and ST.
LONGEST_NAME, LONGEST_TEXT = 64, 1024
# Elements of the source; True: there, if empty, where the standard wants them.
PATIENT_AND_STUDY = {
    "PatientName": True, "PatientID": True, "IssuerOfPatientID": False, "PatientBirthDate": True,
    "PatientSex": True, "OtherPatientIDs": False, "PatientAge": False, "PatientSize": False,
    "PatientWeight": False, "EthnicGroup": False, "PatientIdentityRemoved": False,
    "DeidentificationMethod": False, "StudyInstanceUID": True, "StudyDate": True,
    "StudyTime": True, "ReferringPhysicianName": True, "StudyID": True, "AccessionNumber": True,
    "StudyDescription": False, "SpecificCharacterSet": False,
}  # fmt: skip
SERIES_AND_PLACE = {
    "SeriesDate": False, "SeriesTime": False, "AcquisitionDate": False, "AcquisitionTime": False,
    "ContentDate": False, "ContentTime": False, "AcquisitionNumber": True,
    "BodyPartExamined": False, "PatientPosition": True, "ProtocolName": False,
    "PositionReferenceIndicator": True, "ContrastBolusAgent": False,
}  # fmt: skip
MR = {
    "ScanningSequence": True, "SequenceVariant": True, "ScanOptions": True,
    "MRAcquisitionType": True, "SequenceName": False, "RepetitionTime": True, "EchoTime": True,
    "InversionTime": False, "EchoTrainLength": True, "EchoNumbers": False, "FlipAngle": False,
    "NumberOfAverages": False, "ImagingFrequency": False, "ImagedNucleus": False,
    "MagneticFieldStrength": False, "PixelBandwidth": False, "ReceiveCoilName": False,
    "TransmitCoilName": False, "NumberOfPhaseEncodingSteps": False, "PercentSampling": False,
    "PercentPhaseFieldOfView": False, "SAR": False,
}  # fmt: skip
LOSSY = {
    "LossyImageCompressionRatio": False, "LossyImageCompressionMethod": False,
}  # fmt: skip
# Values that the standard allows, of elements whose values it lists.
ALLOWED = {
    "ScanningSequence": ("SE", "IR", "GR", "EP", "RM"),
    "SequenceVariant": ("SK", "MTC", "SS", "TRSS", "SP", "MP", "OSP", "NONE"),
    "ScanOptions": ("PER", "RG", "CG", "PPG", "FC", "PFF", "PFP", "SP", "FS"),
    "MRAcquisitionType": ("2D", "3D"),
    "PatientSex": ("M", "F", "O"),
}
# What an enhanced object says in its frames, and a classic one in its header.
ECHO_PULSES = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["GR", "SE"]}


@dataclass(frozen=True)
class Told:
    """What a derived series says of itself.

    Attributes:
        number: Series number.
        description: Series description, as it is shown.
        derivation: How it was made, in a sentence.
        settings: Of the program that made it.
        version: Of that program.
    """

    number: int
    description: str
    derivation: str
    settings: str
    version: str


def template(source: Any, sources: Sequence[Series], told: Told) -> Dataset:  # noqa: ANN401
    """Return what all instances of a derived series have in common.

    Args:
        source: Header of the first source.
        sources: The series that it was made from.
        told: What it says of itself.
    """
    ds = Dataset()
    for wanted in (PATIENT_AND_STUDY, SERIES_AND_PLACE, MR):
        _take_over(ds, source, wanted)
    _of_enhanced(ds, source)
    ds.SOPClassUID = MRImageStorage
    ds.Modality, ds.ImageType = "MR", ["DERIVED", "SECONDARY", "OTHER"]
    ds.SeriesNumber, ds.SeriesDescription = told.number, told.description[:LONGEST_NAME]
    ds.Manufacturer = ds.ManufacturerModelName = MADE_HERE
    ds.SoftwareVersions = told.version
    ds.BurnedInAnnotation = "NO"
    ds.DerivationDescription = told.derivation[:LONGEST_TEXT]
    ds.ImageComments = "Research use only: not for diagnosis."
    ds.DerivationCodeSequence = [_code("113085", "Spatial resampling")]
    ds.SourceImageSequence = [_reference(i) for one in sources for i in one.instances]
    ds.ContributingEquipmentSequence = [_scanner(source), _program(told)]
    is_lossy = any(i.is_lossy for one in sources for i in one.instances)
    ds.LossyImageCompression = "01" if is_lossy else "00"
    if is_lossy:
        _take_over(ds, source, LOSSY)
    _fill(ds)
    return ds


def _take_over(ds: Dataset, source: Any, wanted: Mapping[str, bool]) -> None:  # noqa: ANN401
    """Copy elements that are valid; an empty one stands for what must be there."""
    for keyword, is_needed in wanted.items():
        if not _is_valid(source, keyword):
            if is_needed:
                setattr(ds, keyword, None)
            continue
        ds.add(deepcopy(source[keyword]))
        if keyword in ALLOWED:
            kept = [value for value in texts(source, keyword) if value in ALLOWED[keyword]]
            setattr(ds, keyword, kept[0] if len(kept) == 1 else kept or None)


def _is_valid(source: Any, keyword: str) -> bool:  # noqa: ANN401
    """Whether an element of a source is there and as the standard wants it."""
    if keyword not in source:
        return False
    try:
        element = source[keyword]
        if element.value in (None, ""):
            return False
        values = element.value if element.VM > 1 else [element.value]
        for value in values:
            validate_value(element.VR, str(value) if element.VR in ("DS", "IS") else value, RAISE)
    except UNREADABLE:
        return False
    return True


def _of_enhanced(ds: Dataset, source: Any) -> None:  # noqa: ANN401
    """Fill in what an enhanced object says in other words."""
    pulses = ECHO_PULSES.get(text(source, "EchoPulseSequence").upper())
    if not ds.ScanningSequence and pulses is not None:
        is_inverted = text(source, "InversionRecovery").upper() == "YES"
        ds.ScanningSequence = [*pulses, *(["IR"] if is_inverted else [])]
    groups = [
        inner.value[0]
        for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
        for item in list(source.get(keyword) or [])[:1]
        for inner in item
        if inner.VR == "SQ" and inner.value and not inner.tag.is_private
    ]
    for own, other in (("RepetitionTime",) * 2, ("EchoTime", "EffectiveEchoTime")):
        found = next((v for group in groups if (v := numbers(group, other))), None)
        if ds.get(own) in (None, "") and found is not None:
            setattr(ds, own, f"{found[0]:.10g}")


def _fill(ds: Dataset) -> None:
    """Give what the standard wants filled a value where the source has none."""
    if not ds.ScanningSequence:
        ds.ScanningSequence = "RM"
    if not ds.SequenceVariant:
        ds.SequenceVariant = "NONE"
    if not ds.get("BodyPartExamined"):
        ds.Laterality = None  # whether the part is one of a pair is not known


def _scanner(source: Any) -> Dataset:  # noqa: ANN401
    """Return the equipment that took the source."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [_code("109101", "Acquisition Equipment")]
    wanted = {"Manufacturer": True, "ManufacturerModelName": False, "SoftwareVersions": False}
    _take_over(item, source, wanted)
    item.Manufacturer = item.Manufacturer or "unknown"
    return item


def _program(told: Told) -> Dataset:
    """Return the program that made the result, with its settings."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [_code("109102", "Processing Equipment")]
    item.Manufacturer = item.ManufacturerModelName = MADE_HERE
    item.SoftwareVersions = told.version
    item.ContributionDescription = told.settings[:LONGEST_TEXT]
    return item


def _reference(instance: Any) -> Dataset:  # noqa: ANN401
    item = Dataset()
    item.ReferencedSOPClassUID = instance.sop_class_uid
    item.ReferencedSOPInstanceUID = instance.uid
    purpose = _code("121322", "Source image for image processing operation")
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
