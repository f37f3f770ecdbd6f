"""A Slurm of two nodes on this machine, for tests: its real programs, on the loopback alone.

    python -m tests.support.slurm FOLDER        starts one and prints the name of its SLURM_CONF

Needs root, and Debian's packages slurm-wlm and munge (apt-get install slurm-wlm munge).
"""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel")
NODES = ("node1", "node2")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
SlurmdTimeout=20
SlurmctldTimeout=10
KillWait=2
MinJobAge=10
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={node1} CPUs=1 RealMemory=4000
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={node2} CPUs=1 RealMemory=4000
PartitionName=short Nodes=ALL Default=YES MaxTime=60 State=UP
"""


def why_not():
    """Return why there can be no Slurm here; nothing where there can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no Slurm: {', '.join(missing)} not installed"
    return "" if os.geteuid() == 0 else "no Slurm: only root may start its programs"


@dataclass
class Slurm:
    """A running Slurm.

    Attributes:
        folder: Where all its files are.
        processes: Name -> process of the controller, of each node and of munge.
    """

    folder: Path
    processes: dict = field(default_factory=dict)

    @property
    def environment(self):
        """What its commands need to know."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self):
        """Start all of it, and wait until both nodes are idle."""
        for name in ("munge", "state", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        (self.folder / "munge").chmod(0o755)
        self._write_configuration()
        self._start_munge()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait_until_idle()

    def _write_configuration(self):
        facts = {name: free_port() for name in ("controller", *NODES)}
        text = CONFIGURATION.format(folder=self.folder, host=socket.gethostname(), **facts)
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\nConstrainCores=no\n")

    def _start_munge(self):
        key, place = self.folder / "munge" / "key", self.folder / "munge"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        words = [f"--{name}={place / name}" for name in ("socket", "pid-file", "log-file")]
        seed = [f"--seed-file={place / 'seed'}", f"--key-file={key}"]
        self._start("munge", "munged", "--foreground", "--force", *words, *seed)
        wait_until((place / "socket").exists)

    def start_controller(self):
        """Start the controller."""
        self._start("controller", "slurmctld", "-D")

    def start_node(self, name):
        """Start a node."""
        self._start(name, "slurmd", "-D", "-N", name)

    def _start(self, name, *command):
        log = (self.folder / f"{name}.out").open("a")
        with log:
            self.processes[name] = subprocess.Popen(
                command, env={**os.environ, **self.environment}, stdout=log, stderr=log
            )

    def kill(self, name):
        """Kill one of its programs at once."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def kill_node(self, name):
        """Let a node vanish with all that runs on it."""
        self.kill(name)
        for pid in steps_of(name, self.folder):
            kill_session(pid)

    def wait_until_idle(self):
        """Wait until all nodes wait for work."""
        wait_until(lambda: self.ask("sinfo", "-h", "-N", "-o", "%t").split() == ["idle"] * 2)

    def ask(self, *command):
        """Return what a command of Slurm prints."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        ).stdout

    def stop(self):
        """End all of it, jobs first."""
        self.ask("scancel", f"--user={getpass.getuser()}")
        for name in (*NODES, "controller", "munge"):
            if name in self.processes:
                self.processes[name].terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def steps_of(node, folder):
    """Return the processes that a node started for jobs."""
    import psutil

    spool = str(folder / f"spool-{node}")
    found = []
    for process in psutil.process_iter(["cmdline", "name"]):
        words = " ".join(process.info["cmdline"] or ())
        if spool in words or (process.info["name"] == "slurmstepd" and node in words):
            found.append(process.pid)
    return found


def kill_session(pid):
    """Kill a process with all that it started."""
    import psutil

    try:
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for one in family:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


def free_port():
    """Return a port that nothing listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until(is_so, seconds=60.0):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(str(is_so))
        time.sleep(0.2)


if __name__ == "__main__":
    slurm = Slurm(Path(sys.argv[1]).resolve())
    slurm.start()
    sys.stdout.write(f"{slurm.environment['SLURM_CONF']}\n")
    sys.stdout.flush()
    try:
        slurm.processes["controller"].wait()
    finally:
        slurm.stop()
