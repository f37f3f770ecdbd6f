"""Raw data as scanners export it: headers and readouts of ISMRMRD."""

import h5py
import numpy as np

HEADER = """<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<encoding><encodedSpace><matrixSize><x>{x}</x><y>{y}</y><z>{z}</z></matrixSize>
<fieldOfView_mm><x>{fx}</x><y>28</y><z>5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{rx}</x><y>{y}</y><z>{z}</z></matrixSize>
<fieldOfView_mm><x>16</x><y>28</y><z>5</z></fieldOfView_mm></reconSpace>
<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{y}</maximum>
<center>{centre}</center></kspace_encoding_step_1></encodingLimits>
<trajectory>{trajectory}</trajectory></encoding></ismrmrdHeader>"""

COUNTERS = (
    "kspace_encode_step_1", "kspace_encode_step_2", "average", "slice", "contrast", "phase",
    "repetition", "set", "segment",
)  # fmt: skip
IDX = np.dtype([*((name, "<u2") for name in COUNTERS), ("user", "<u2", (8,))])
HEAD = np.dtype(
    [
        ("version", "<u2"), ("flags", "<u8"), ("measurement_uid", "<u4"), ("scan_counter", "<u4"),
        ("acquisition_time_stamp", "<u4"), ("physiology_time_stamp", "<u4", (3,)),
        ("number_of_samples", "<u2"), ("available_channels", "<u2"), ("active_channels", "<u2"),
        ("channel_mask", "<u8", (16,)), ("discard_pre", "<u2"), ("discard_post", "<u2"),
        ("center_sample", "<u2"), ("encoding_space_ref", "<u2"),
        ("trajectory_dimensions", "<u2"), ("sample_time_us", "<f4"), ("position", "<f4", (3,)),
        ("read_dir", "<f4", (3,)), ("phase_dir", "<f4", (3,)), ("slice_dir", "<f4", (3,)),
        ("patient_table_position", "<f4", (3,)), ("idx", IDX), ("user_int", "<i4", (8,)),
        ("user_float", "<f4", (8,)),
    ]
)  # fmt: skip
RECORD = np.dtype(
    [
        ("head", HEAD),
        ("traj", h5py.vlen_dtype(np.dtype("<f4"))),
        ("data", h5py.vlen_dtype(np.dtype("<f4"))),
    ]
)


def header(x=8, y=14, z=1, recon_x=8, centre=7, trajectory="cartesian"):
    """Return the XML header; 2 mm voxels once the readout is cut."""
    fx = 16.0 * x / recon_x
    return HEADER.format(x=x, y=y, z=z, rx=recon_x, fx=fx, centre=centre, trajectory=trajectory)


def readout(samples, **facts):
    """Return one record; `facts` are fields of the head or counters."""
    records = np.zeros(1, dtype=RECORD)
    head = records["head"]
    head["number_of_samples"], head["active_channels"] = samples.shape[1], samples.shape[0]
    head["center_sample"] = samples.shape[1] // 2
    head["read_dir"], head["phase_dir"], head["slice_dir"] = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    for name, value in facts.items():
        (head["idx"] if name in COUNTERS else head)[name] = value
    records["traj"][0] = np.zeros(0, dtype=np.float32)
    whole = np.ascontiguousarray(samples, dtype=np.complex64)
    records["data"][0] = whole.view(np.float32).ravel()
    return records[0]


def save_ismrmrd(path, xml, records):
    """Write a file of ISMRMRD."""
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group.create_dataset("xml", data=[xml], dtype=h5py.string_dtype())
        stored = group.create_dataset("data", (len(records),), dtype=RECORD)
        for n, record in enumerate(records):
            stored[n] = record
    return path
