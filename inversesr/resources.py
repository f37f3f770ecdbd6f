"""What this machine has: memory, threads, and what the process has used of them."""

import os
import resource
import sys
import time
from pathlib import Path

import psutil

from inversesr.errors import MachineError

# What may be asked for at the most; a system refuses far more only after it has begun.
LEAST_THREADS_ALLOWED, THREADS_PER_CORE = 64, 4
BUSY_PERCENT = 50.0
PROCESS_STATUS = Path("/proc/self/status")
# folder, limit, usage, and what of the usage is files that can be dropped at once
CGROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (
        Path("/sys/fs/cgroup/memory"),
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)
# quota and period of processor time, in one file or in two
CPU_QUOTAS = (
    (Path("/sys/fs/cgroup/cpu.max"),),
    (
        Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
        Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    ),
)


def available_memory_bytes() -> int:
    """Memory that can still be used: the machine's or, where it is less, the container's."""
    available = int(psutil.virtual_memory().available)
    for folder, limit, usage, cached in CGROUPS:
        try:
            left = int((folder / limit).read_text()) - int((folder / usage).read_text())
        except (OSError, ValueError):
            continue
        available = min(available, max(left + _cgroup_fact(folder, cached), 0))
    return available


def _cgroup_fact(folder: Path, name: str) -> int:
    """Return one line of a container's memory.stat, 0 where there is none."""
    try:
        lines = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return int(lines.get(name, 0))
    except (OSError, ValueError):
        return 0


def usable_cores() -> int:
    """Cores that this process may use: its own or, where it is less, the container's time.

    More threads than that wait for each other and are many times slower than few.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    for files in CPU_QUOTAS:
        try:
            quota, period = (int(n) for file in files for n in file.read_text().split())
        except (OSError, ValueError):
            continue
        if quota > 0 and period > 0:
            cores = min(cores, max(1, quota // period))
    return cores


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far."""
    if PROCESS_STATUS.is_file():
        # not getrusage: there the peak of the parent survives into a new process
        lines = [v for v in PROCESS_STATUS.read_text().splitlines() if v.startswith("VmHWM")]
        if lines:
            return int(lines[0].split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_memory_bytes() -> int:
    """Resident memory of this process now."""
    return int(psutil.Process().memory_info().rss)


def busy_cores(seconds: float = 0.3) -> int:
    """Return how many cores others are using, by watching for a moment."""
    return sum(share > BUSY_PERCENT for share in psutil.cpu_percent(seconds, percpu=True))


def cores_left(n_busy: int) -> int:
    """Return how many cores others leave to this process, at least 1."""
    return max(min(usable_cores(), (os.cpu_count() or 1) - n_busy), 1)


def process_seconds() -> float:
    """Wall-clock seconds since this process began."""
    return time.time() - psutil.Process().create_time()


def gibibytes(n_bytes: float) -> str:
    """Return a size in words, such as "1.5 GiB"."""
    return f"{n_bytes / 2**30:.1f} GiB"


def set_threads(n: int | None) -> None:
    """Set the threads of this process; None leaves them, but for more than it may use at once.

    Raises:
        MachineError: far more are asked for than this machine can run.
    """
    import torch

    most = max(LEAST_THREADS_ALLOWED, THREADS_PER_CORE * (os.cpu_count() or 1))
    if n is not None and n > most:
        message = (
            f"{n} threads cannot be run on this machine of {os.cpu_count()} cores; expected at "
            f"most {most}: give fewer --threads, more than cores make nothing faster"
        )
        raise MachineError(message)
    torch.set_num_threads(n or min(torch.get_num_threads(), usable_cores()))
