"""A storm upon a node: callers, aborts, strangers, garbage, and kill -9 of node and workers.

`python -m tests.support.storm --series 40 --slices 50` prints what came of it as JSON. All of it
is on the loopback, and ends by itself.
"""

import argparse
import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from inversesr.node.database import open_database
from tests.support.nodes import (
    AE,
    CLOSED,
    HERE,
    ROOT,
    Archive,
    environment,
    free_port,
    is_open,
    node_command,
    small_head,
    status_of,
    wait_for,
)

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
LIMITS = ("--quiet", "6", "--tries", "1000", "--reserve", "0.2", "--keep", "24")


class Storm:
    """A node, those who call it, and those who harm it.

    Attributes:
        rng: Decides what happens when.
        confirmed: Series -> SOP Instance UIDs that the node said it has stored.
        counts: What happened how often.
    """

    def __init__(self, folder, choices):
        self.folder, self.choices = folder, choices
        self.rng = random.Random(choices.seed)
        self.queue, self.port, self.log = folder / "queue", free_port(), folder / "log"
        self.archive = Archive()
        self.confirmed, self.counts = {}, {}
        self.calm = threading.Event()  # set when the harm is over
        self.over = threading.Event()  # set when all is
        self.process = None
        self.memory = []
        self._lock = threading.Lock()

    def count(self, name, n=1):
        with self._lock:
            self.counts[name] = self.counts.get(name, 0) + n

    # the node, and who starts it again

    def start_node(self):
        command = node_command(
            self.queue, self.port, "--allow", "SCANNER@127.0.0.1", "--forward", self.archive.told,
            "--solver", "spline", "--spacing", "7.5", "--jobs", str(self.choices.jobs), *LIMITS,
        )  # fmt: skip
        with self.log.open("a") as stream:
            self.process = subprocess.Popen(command, env=environment(), cwd=ROOT, stderr=stream)

    def supervise(self):
        """Start the node again whenever it ends, and note its memory."""
        while not self.over.is_set():
            if self.process is None or self.process.poll() is not None:
                self.count("starts of the node")
                self.start_node()
            else:
                try:
                    rss = psutil.Process(self.process.pid).memory_info().rss
                    self.memory.append((time.monotonic(), self.process.pid, rss))
                except psutil.Error:
                    pass
            time.sleep(0.2)

    def harm(self, every, until):
        """Kill the node, or its worker, every few seconds until an event is set."""
        while not until.wait(self.rng.uniform(*every)):
            if self.rng.random() < 0.5:
                self.process.send_signal(signal.SIGKILL)
                self.count("node killed")
            else:
                self.kill_worker()

    def kill_worker(self):
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
            workers = [
                one for one in children if "resource_tracker" not in " ".join(one.cmdline())
            ]
            for one in workers:
                one.kill()
            self.count("worker killed", bool(workers))
        except psutil.Error:
            pass

    # callers

    def call(self, heads):
        """Send series until each of their instances is confirmed."""
        rng = random.Random(self.rng.random())
        left = [one for head in heads for one in head]
        for one in left:
            self.confirmed.setdefault(str(one.SeriesInstanceUID), set())
        while left and not self.over.is_set():
            left = self.send(left, rng)
            if left:
                time.sleep(rng.uniform(0.1, 1.0))

    def send(self, left, rng):
        """Send some instances in one association; return those that are not confirmed."""
        association = associate(self.port)
        if not association.is_established:
            self.count("no association")
            return left
        self.count("associations")
        last = rng.randrange(1, 2 * len(left) + 2)  # where it is aborted, if that is not the end
        done = 0
        try:
            for n, one in enumerate(left):
                if n == last and not self.calm.is_set():
                    self.count("aborted in the middle")
                    association.abort()
                    return left[done:]
                status = association.send_c_store(one).get("Status")
                if status is None:
                    self.count("connection lost")
                    return left[done:]
                if status != 0:
                    self.count(f"status 0x{status:04X}")
                    return left[done:]
                self.confirmed[str(one.SeriesInstanceUID)].add(str(one.SOPInstanceUID))
                done += 1
                self.count("confirmed")
        except (RuntimeError, ValueError, OSError):
            self.count("connection lost")
            return left[done:]
        finally:
            if association.is_established:
                association.release()
        return []

    def intrude(self, intruder):
        """Call under wrong names, with instances of another patient."""
        rng = random.Random(self.rng.random())
        while not self.calm.wait(rng.uniform(0.2, 1.0)):
            title, called = rng.choice(
                [("NOBODY", "INVERSESR"), ("scanner", "INVERSESR"), ("SCANNER", "OTHER"), ("", "")]
            )
            association = associate(self.port, title or "X", called or "INVERSES")
            if association.is_established:
                self.count("INTRUDERS LET IN")
                association.send_c_store(intruder)
                association.abort()
            self.count("intruders")

    def litter(self):
        """Send garbage, half a request, a huge length, or nothing."""
        rng = random.Random(self.rng.random())
        while not self.calm.wait(rng.uniform(0.1, 0.6)):
            garbage = rng.choice(
                [
                    rng.randbytes(rng.randrange(1, 5000)),
                    b"\x01\x00\xff\xff\xff\xff" + rng.randbytes(2000),
                    b"\x04\x00\x00\x00\x10\x00" + rng.randbytes(4096),
                    b"\x01\x00\x00\x00\x00\xd0" + rng.randbytes(100),
                    b"",
                ]
            )
            try:
                with socket.create_connection((HERE, self.port), 2) as one:
                    one.sendall(garbage)
                    time.sleep(rng.uniform(0.0, 0.3))
                self.count("garbage")
            except OSError:
                pass


def associate(port, title="SCANNER", called="INVERSESR"):
    ae = AE(ae_title=title)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 15
    ae.add_requested_context(MR_IMAGE, "1.2.840.10008.1.2.1")
    return ae.associate(HERE, port, ae_title=called, evt_handlers=CLOSED)


def heads_of(choices):
    """Return the series, each as its data sets."""
    return [small_head(choices.slices, series=f"storm {n}") for n in range(choices.series)]


def run(folder, choices):
    """Let a storm pass over a node; return what came of it."""
    storm = Storm(folder, choices)
    heads, intruder = heads_of(choices), small_head(1, study="stranger")[0]
    begin = time.monotonic()
    storm.archive.start()
    supervisor = threading.Thread(target=storm.supervise)
    supervisor.start()
    assert wait_for(lambda: is_open(storm.port), 60)
    callers = [
        threading.Thread(target=storm.call, args=(heads[n :: choices.associations],))
        for n in range(choices.associations)
    ]
    others = [
        threading.Thread(target=storm.harm, args=(choices.every, storm.calm)),
        threading.Thread(target=storm.litter),
        threading.Thread(target=storm.intrude, args=(intruder,)),
    ]
    for thread in (*callers, *others):
        thread.start()
    for thread in callers:
        thread.join(choices.seconds)
    sent = time.monotonic() - begin
    storm.calm.wait(max(0.0, choices.harm - sent))
    storm.calm.set()
    for thread in others:
        thread.join()
    calm = time.monotonic() - begin
    # works take longer than a few seconds: killed now and then, they come to an end
    half = threading.Event()
    late = threading.Thread(target=storm.harm, args=(choices.later, half))
    late.start()
    wait_for(lambda: n_done(storm) >= choices.series // 2, choices.seconds, 1.0)
    half.set()
    late.join()
    is_done = wait_for(lambda: n_done(storm) == choices.series, choices.seconds, 1.0)
    told, _ = status_of(storm.queue)
    storm.over.set()
    supervisor.join()
    storm.process.terminate()
    storm.process.wait(30)
    storm.archive.stop()
    return summary(storm, told, (sent, calm, time.monotonic() - begin), is_done=is_done)


def n_done(storm):
    try:
        return status_of(storm.queue)[0]["series"]["done"]
    except (ValueError, KeyError):
        return -1


def summary(storm, told, seconds, *, is_done):
    """Return what came of a storm, for people and for tests."""
    database = open_database(storm.queue)
    instances = {row["uid"] for row in database.rows("SELECT uid FROM instance")}
    works = [row["works"] for row in database.rows("SELECT works FROM series")]
    database.close()
    sent, calm, end = seconds
    confirmed = set().union(*storm.confirmed.values())
    last = [rss for _, pid, rss in storm.memory if pid == storm.process.pid]
    peak = max((rss for *_, rss in storm.memory), default=0)
    came = storm.archive.came
    return {
        "instances": len(confirmed),
        "lost": len(confirmed - instances),
        "not_sent": len(instances - confirmed),
        "series": len(storm.confirmed),
        "is_done": is_done,
        "states": {name: n for name, n in told["series"].items() if n},
        "works_of_a_series": sorted(set(works)),
        "series_in_the_archive": len(storm.archive.series),
        "instances_of_each": sorted({len(uids) for uids in storm.archive.series.values()}),
        "instances_in_the_archive": len(came),
        "sent_more_than_once": sum(n > 1 for n in came.values()),
        "callers_of_the_archive": sorted(storm.archive.callers),
        "intruders_let_in": storm.counts.get("INTRUDERS LET IN", 0),
        "memory_MiB": {"peak": peak >> 20, "last node, middle": middle(last) >> 20,
                       "last node, end": (last or [0])[-1] >> 20},
        "seconds": {"all sent": round(sent), "harm over": round(calm), "all done": round(end)},
        "counts": dict(sorted(storm.counts.items())),
    }  # fmt: skip


def middle(values):
    return sorted(values)[len(values) // 2] if values else 0


def options(arguments=None):
    """Return the size of a storm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=40)
    parser.add_argument("--slices", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--associations", type=int, default=10)
    parser.add_argument("--every", type=float, nargs=2, default=(2.0, 6.0), metavar="SECONDS")
    parser.add_argument("--later", type=float, nargs=2, default=(40.0, 120.0), metavar="SECONDS")
    parser.add_argument("--harm", type=float, default=60.0, help="seconds, at least")
    parser.add_argument("--seconds", type=float, default=3600.0, help="at most")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    place = Path(tempfile.mkdtemp(prefix="storm-"))
    sys.stdout.write(json.dumps({"folder": str(place), **run(place, options())}, indent=2) + "\n")
