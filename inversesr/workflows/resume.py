"""Which scans of a batch are done already."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inversesr.config import OLD_CHOICES, Config
from inversesr.io.dicom.taking import facts_of
from inversesr.io.json_text import json_text
from inversesr.priors.store import CARD_NAME, digest, find_prior
from inversesr.workflows.outputs import Outputs
from inversesr.workflows.record import file_facts, present_solver_of, read_record, sidecar_facts


def is_done(scans: Sequence[Path], outputs: Outputs, config: Config) -> bool:
    """Whether a result is whole, and of these very scans, sidecars, options, prior and version.

    Args:
        scans: Image files: one, or several that were fused.
        outputs: Names of its results.
        config: Choices of the run.
    """
    if not outputs.sidecar.is_file():
        return False
    record = read_record(outputs.sidecar)
    # a record of the version before has the solver that was chosen there
    asked = record.get("requested_solver", record["config"]["solver"])
    # nor does it know choices that were added since
    made_by = {**asdict(Config()), **record["config"], "solver": asked}
    wanted = json.loads(json_text(asdict(config)))
    return (
        _choices(made_by) == _choices(wanted)
        and _is_of(record, scans)
        and record["GeneratedBy"][0]["Version"] == version("inversesr")
        and _has_same_prior(record, config)
        and all((outputs.image.parent / name).is_file() for name in record["files"].values())
        and all(
            (outputs.image.parent / series["folder"]).is_dir()
            for series in record.get("dicom_series", {}).values()
        )
    )


def _is_of(record: dict[str, Any], scans: Sequence[Path]) -> bool:
    """Whether a result was made from these very scans, as they are now."""
    if len(record["inputs"]) != len(scans):
        return False
    together = zip(scans, record["inputs"], record["sidecars"], strict=True)
    return all(_is_same(scan, facts, sidecars) for scan, facts, sidecars in together)


def _is_same(scan: Path, facts: dict[str, Any], sidecars: list[dict[str, Any]]) -> bool:
    """Whether a scan is still what was noted of it."""
    series = facts_of(scan)
    if series is not None:
        return bool(facts == series)
    return bool(facts == file_facts(scan)) and sidecar_facts([scan])[0] == sidecars


def _has_same_prior(record: dict[str, Any], config: Config) -> bool:
    """Whether the prior that a result was made with is still the one of its name."""
    used = record["prior_card"]
    return used is None or bool(used["sha256"] == digest(find_prior(config.prior) / CARD_NAME))


def _choices(config: dict[str, Any]) -> dict[str, Any]:
    """Leave out what does not change a result but for rounding."""
    present = {OLD_CHOICES.get(name, name): value for name, value in config.items()}
    present["solver"] = present_solver_of(present["solver"])
    return {name: value for name, value in present.items() if name not in ("threads", "device")}
