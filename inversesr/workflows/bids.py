"""A BIDS dataset, subject by subject: what a BIDS App does at the level of participants.

Results, records and reports lie in a derivative dataset. What became of each scan is noted in
`logs/sub-X[_ses-Y].csv`, a table for each visit, so that commands that know nothing of each other
can restore many subjects at a time.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from inversesr.errors import InputError
from inversesr.io.atomic import check_output
from inversesr.io.checks import stem
from inversesr.io.names import SESSION, SUBJECT, entities_of
from inversesr.workflows.batch import Batch, check_choices, describe_dataset, restored
from inversesr.workflows.batch_table import Entry, growing_table
from inversesr.workflows.scan_folder import DESCRIPTION_NAME, find_scans

LOGS = "logs"
# Entities in which the planes of one visit differ.
OF_A_PLANE = ("acq", "run", "rec")
MOST_ISSUES_TOLD = 3


@dataclass(frozen=True)
class Study:
    """A BIDS dataset, and which scans of it are to be restored how.

    Attributes:
        batch: Dataset, results and how.
        subjects: Labels of subjects, with or without "sub-"; none for all.
        sessions: Labels of sessions, with or without "ses-"; none for all.
        is_fusing: Whether several scans of one contrast and visit are fused.
    """

    batch: Batch
    subjects: Sequence[str] = ()
    sessions: Sequence[str] = ()
    is_fusing: bool = False


def restore_participants(
    study: Study, progress: Callable[[Entry, int, int], None] = lambda _entry, _done, _total: None
) -> list[Entry]:
    """Restore the scans of a study, each by itself or fused with those of the same visit.

    Args:
        study: The dataset, and how.
        progress: Called with each entry as it is done, their number so far and the total.

    Raises:
        InputError: it is no BIDS dataset, there is no such subject or session, or results cannot
            be written.
    """
    batch = study.batch
    check_choices(batch.config)
    _check_dataset(batch.folder)
    scans = _chosen(study)
    check_output([batch.output / LOGS / "table.csv"], force=True)
    (batch.output / LOGS).mkdir(parents=True, exist_ok=True)
    describe_dataset(batch.folder, batch.output)
    groups = planes_together(scans) if study.is_fusing else [(scan,) for scan in scans]
    batch = replace(batch, fused={group[0]: group[1:] for group in groups if len(group) > 1})
    done: list[Entry] = []
    with ExitStack() as tables, closing(restored(batch, [g[0] for g in groups])) as ended:
        notes: dict[str, Callable[[Entry], None]] = {}
        for scan, entry in ended:
            for one in (entry, *_fused_with(entry, batch, scan)):
                visit = visit_of(scan)
                if visit not in notes:
                    table = batch.output / LOGS / f"{visit}.csv"
                    notes[visit] = tables.enter_context(growing_table(table))
                notes[visit](one)
                done.append(one)
                progress(one, len(done), len(scans))
    return sorted(done, key=lambda entry: entry.scan)


def _fused_with(entry: Entry, batch: Batch, scan: Path) -> Iterator[Entry]:
    """Give the entries of the scans that were fused with one: they share its image."""
    for other in batch.fused.get(scan, ()):
        name = str(other.relative_to(batch.folder))
        reason = entry.reason or f"fused with {scan.name}"
        yield replace(entry, scan=name, reason=reason)


def visit_of(scan: Path) -> str:
    """Return subject and session of a scan as names have them: sub-01_ses-a."""
    entities = entities_of(stem(scan)) or {}
    names = [f"{key}-{entities[key]}" for key in (SUBJECT, SESSION) if key in entities]
    return "_".join(names) or "others"


def planes_together(scans: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Return scans in groups of one visit and contrast, which differ in plane or run only."""
    groups: dict[object, list[Path]] = {}
    for scan in scans:
        entities = entities_of(stem(scan))
        same = {k: v for k, v in (entities or {}).items() if k not in OF_A_PLANE}
        key = (scan.parent, tuple(sorted(same.items()))) if entities else scan
        groups.setdefault(key, []).append(scan)
    return [tuple(group) for group in groups.values()]


def _chosen(study: Study) -> list[Path]:
    """Return the scans of the subjects and sessions that were asked for."""
    scans = find_scans(study.batch.folder, study.batch.patterns, study.batch.output)
    for key, labels in ((SUBJECT, study.subjects), (SESSION, study.sessions)):
        wanted = {label.removeprefix(f"{key}-") for label in labels}
        there = {(entities_of(stem(scan)) or {}).get(key, "") for scan in scans} - {""}
        if missing := sorted(wanted - there):
            known = ", ".join(sorted(there)) or "none"
            message = f"no scan of {key}-{missing[0]}; the dataset has {known}"
            raise InputError(message)
        if wanted:
            scans = [s for s in scans if (entities_of(stem(s)) or {}).get(key) in wanted]
    return scans


def _check_dataset(folder: Path) -> None:
    if not (folder / DESCRIPTION_NAME).is_file():
        message = (
            f"{folder} is no BIDS dataset: it has no {DESCRIPTION_NAME}; `inversesr batch` takes "
            "any folder"
        )
        raise InputError(message)


def validate(folder: Path) -> str:
    """Check a dataset by the validator of BIDS; content that is not here is no fault of it.

    Returns:
        Why it was not checked; nothing where it was.

    Raises:
        InputError: the dataset is not valid.
    """
    if find_spec("bids_validator_deno") is None:
        return "the dataset was not validated: bids-validator-deno is not installed"
    program = Path(sys.executable).with_name("bids-validator-deno")
    command = [str(program), str(folder), "--format", "json"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
    except (OSError, ValueError, KeyError):
        return f"the dataset was not validated: {program.name} did not work"
    # a link without content is a row of the table, and no reason to refuse the others
    errors = [i for i in issues if i["severity"] == "error" and _is_here(folder, i)]
    if errors:
        told = "; ".join(f"{i['code']} {i.get('location', '')}" for i in errors[:MOST_ISSUES_TOLD])
        message = (
            f"{folder} is no valid BIDS dataset: {len(errors)} errors, such as {told}: put them "
            "right, or give --skip-bids-validation"
        )
        raise InputError(message)
    return ""


def _is_here(folder: Path, issue: Mapping[str, str]) -> bool:
    """Whether the file that an issue is about is there, and not only a link to it."""
    place = folder / issue.get("location", "").lstrip("/")
    return not (place.is_symlink() and not place.exists())
