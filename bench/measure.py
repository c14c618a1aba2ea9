"""What the benchmarks share: a scratch directory that is gone afterwards, the measuring of a
command, and the words for the machine."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TIME = "/usr/bin/time"  # a small process between: what Python forks is charged Python's memory


@dataclass
class Series:
    """The measurements of one operation."""
    name: str
    seconds: list = field(default_factory=list)
    peak_kib: int = 0

    @property
    def median(self):
        ordered = sorted(self.seconds)
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def need(*programs):
    """Ends the benchmark when something that it calls is not installed."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        sys.exit("bench: not installed: %s (scripts/setup installs what is needed)"
                 % ", ".join(missing))


def program(path):
    if not os.access(path, os.X_OK):
        sys.exit("bench: there is no program %s: run scripts/build, or name one with --waybill"
                 % path)
    return str(Path(path).resolve())


def environment():
    """Nothing of the user's own settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WAYBILL")}
    return kept | {"LC_ALL": "C.UTF-8", "WAYBILL_CONFIG_FILE": "/dev/null"}


def run(command, series=None, **options):
    """Runs a command to its end; its output goes to /dev/null, and is shown when it fails. Counts
    towards series, when given."""
    with tempfile.TemporaryFile() as errors, tempfile.NamedTemporaryFile() as peak:
        wrapped = [TIME, "-q", "-f", "%M", "-o", peak.name, *map(str, command)]
        began = time.perf_counter()
        child = subprocess.Popen(wrapped if series else wrapped[6:], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=errors, env=environment(),
                                 process_group=0, **options)
        try:
            status = child.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        seconds = time.perf_counter() - began
        if status != 0:
            errors.seek(0)
            sys.exit("bench: %s ended with status %d\n%s" % (
                " ".join(map(str, command)), status, errors.read().decode(errors="replace")))
        if series:
            series.seconds.append(seconds)
            series.peak_kib = max(series.peak_kib, int(peak.read().split()[-1]))
    return seconds


@contextlib.contextmanager
def scratch_directory(parent):
    """Gone on every path: an error, Ctrl-C, SIGTERM, SIGHUP."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("bench: stopped"))
    os.makedirs(parent, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="waybill-bench-", dir=parent))
    try:
        yield scratch
    finally:
        remove(scratch)


def remove(path):
    shutil.rmtree(path, ignore_errors=True)


def first_line(path, otherwise="unknown"):
    try:
        return Path(path).read_text().splitlines()[0].strip()
    except (OSError, IndexError):
        return otherwise


def cpu_facts():
    facts = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines()
                 if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    sha = "sha_ni" in facts.get("flags", facts.get("Features", "")).split()
    return "%s, %d cores, %s" % (facts.get("model name", os.uname().machine),
                                 len(os.sched_getaffinity(0)), "sha_ni" if sha else "no sha_ni")


def disk_facts(directory):
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    at = os.path.realpath(directory)
    inside = [mount for mount in mounts if os.path.commonpath([at, mount[1]]) == mount[1]]
    device, where, kind = max(inside, key=lambda mount: len(mount[1]))[:3]
    block = os.path.basename(os.path.realpath(device)).rstrip("0123456789")
    spins = first_line("/sys/block/%s/queue/rotational" % block)
    if block.startswith(("vd", "xvd")):
        spins = "virtual"  # what such a disk says of itself means nothing
    return kind + {"0": " on a disk that does not turn", "1": " on a disk that turns",
                   "virtual": " on a virtual disk"}.get(spins, "")


def machine(directory):
    ram = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    return ["%s, %.0f GiB RAM" % (cpu_facts(), ram),
            "Linux %s, %s, load %s" % (os.uname().release, disk_facts(directory),
                                       " ".join("%.1f" % load for load in os.getloadavg()))]


def say(text):
    print(text, file=sys.stderr, flush=True)


def print_table(series, limit):
    """limit: the seconds of what bounds them all."""
    print("%-30s %8s %8s %8s %8s %10s" % ("operation", "min s", "median s", "max s", "x limit",
                                          "peak MiB"))
    for one in series:
        if one.seconds:
            print("%-30s %8.2f %8.2f %8.2f %8.2f %10.1f" % (
                one.name, min(one.seconds), one.median, max(one.seconds), one.median / limit,
                one.peak_kib / 1024))
    print()


def print_goal(met, goal, measured):
    print("%-7s %-56s %s" % ("met" if met else "MISSED", goal, measured))
