"""A small BIDS dataset, and what the validator of BIDS says of one."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.batches import write_scan

NAMES = (
    "sub-01/ses-a/anat/sub-01_ses-a_acq-axial_run-1_T2w",
    "sub-01/ses-a/anat/sub-01_ses-a_acq-coronal_run-1_T2w",
    "sub-01/ses-b/anat/sub-01_ses-b_acq-axial_run-1_T2w",
    "sub-02/ses-a/anat/sub-02_ses-a_acq-axial_run-1_part-mag_T2w",
)
LINK = "sub-02/ses-b/anat/sub-02_ses-b_acq-axial_run-1_T2w"


def write_dataset(folder, names=NAMES):
    """Write phantoms with sidecars, and a link whose content is elsewhere."""
    folder.mkdir(parents=True)
    facts = {"Name": "Phantoms", "BIDSVersion": "1.10.0", "License": "CC0", "Authors": ["A", "B"]}
    (folder / "dataset_description.json").write_text(json.dumps(facts))
    (folder / "README.md").write_text("Phantoms of random numbers. " * 8)
    for n, name in enumerate(names):
        write_scan(folder / f"{name}.nii.gz", seed=n)
        (folder / f"{name}.json").write_text('{"SliceThickness": 4.0}')
    link = folder / f"{LINK}.nii.gz"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../../.git/annex/objects/aa/bb/MD5E-s9--c.nii.gz/MD5E-s9--c.nii.gz")
    return folder


def errors_of(folder):
    """Return the errors that the validator finds in a dataset."""
    program = Path(sys.executable).with_name("bids-validator-deno")
    told = subprocess.run(
        [program, folder, "--format", "json"], capture_output=True, text=True, check=False
    ).stdout
    issues = json.loads(told)["issues"]["issues"]
    return [(i["code"], i.get("location")) for i in issues if i["severity"] == "error"]
