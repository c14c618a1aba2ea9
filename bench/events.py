#!/usr/bin/python3
"""How fast events are recorded and read, and what who waits for them costs.

  appends   timeline_append, each commit durable, beside a bare loop of SQLite that puts the same rows
            into the same tables with the same pragmas and commits
  reads     GET of a timeline of 50 events, models picked at random, with few and with many models in
            the store, beside a server on libmicrohttpd that answers with a constant of the same size;
            one client for all of them
  streams   from a commit of another process to the last of the clients that follow the model
  memory    of an idle server, and for each idle stream

Peers take turns, round after round, so that a slow moment of the machine meets all of them; medians
count.
"""
import argparse
import contextlib
import os
import resource
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True
from measure import (ROOT, environment, machine, need, print_goal, program, remove,  # noqa: E402
                     say, scratch_directory)

TIMELINE = 50  # events; SAMPLE_EVENTS of events/sample.h
APPEND_SHARE, READ_SHARE, READ_SPREAD = 0.8, 0.25, 1.3
LAST_CLIENT_MS, STREAM_KIB, IDLE_MIB = 100, 8, 20
GROUPINGS = {"import": "10 events in 7 commits, as an import", "one": "each event its own commit"}


class Rates:
    """What was done in a second, in each round."""

    def __init__(self, name):
        self.name, self.each = name, []

    @property
    def median(self):
        return quantile(self.each, 0.5)


def quantile(values, part):
    ordered = sorted(values)
    at = part * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def output(*command):
    """What a command of this benchmark prints; ends the benchmark when it fails."""
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, env=environment(), text=True)
    if done.returncode != 0:
        sys.exit("bench: %s ended with status %d" % (command[0], done.returncode))
    return done.stdout


@contextlib.contextmanager
def process(*command):
    """A child that talks; it is ended on every path."""
    child = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(),
                             text=True)
    try:
        yield child
    finally:
        child.stdin.close()
        child.terminate()
        child.wait()
        child.stdout.close()


def first_word(child, what):
    line = child.stdout.readline().split()
    if not line:
        sys.exit("bench: %s did not start" % what)
    return line[-1].removeprefix("http://")


def resident_kib(pid):
    for line in Path("/proc/%d/status" % pid).read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


class Bench:
    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.waybill = program(options.waybill)
        self.tools = Path(self.waybill).parent / "bench/events"
        program(self.tools / "bench-get")
        self.appends = {(how, grouping): Rates(how) for grouping in GROUPINGS
                        for how in ("bare", "waybill")}
        self.reads = {}
        self.timeline_bytes = 0

    def serve(self, data):
        return process(self.waybill, "--data", data, "serve", "--listen", "127.0.0.1:0")

    # -- appends --

    def append(self, how, grouping):
        data = self.scratch / "append"
        events, seconds = output(self.tools / "bench-append", how, data, self.options.imports,
                                 grouping).split()
        remove(data)
        self.appends[how, grouping].each.append(int(events) / float(seconds))

    def append_rounds(self):
        for number in range(self.options.rounds):
            order = ["bare", "waybill"]
            for grouping in GROUPINGS:
                for how in order if number % 2 else reversed(order):
                    os.sync()
                    self.append(how, grouping)
                say("round %d/%d  appends, %-8s %8.0f /s, bare %8.0f /s" % (
                    number + 1, self.options.rounds, grouping,
                    self.appends["waybill", grouping].each[-1],
                    self.appends["bare", grouping].each[-1]))

    # -- reads --

    def fill(self, name, models, whole):
        data, paths = self.scratch / name, self.scratch / (name + ".paths")
        began = time.monotonic()
        output(self.tools / "bench-fill", data, models, whole, paths)
        size = (data / "waybill.db").stat().st_size
        say("a store of %d models, %d with %d events: %.0f MiB in %.0f s" % (
            models, whole, TIMELINE, size / (1 << 20), time.monotonic() - began))
        return data, paths, size

    def check_timeline(self, address, paths):
        """One answer is what it should be; its size is the constant of the peer."""
        path = paths.read_text().split("\n", 1)[0]
        with urllib.request.urlopen("http://%s%s" % (address, path)) as answer:
            body = answer.read()
        if body.count(b'"event_id"') != TIMELINE:
            sys.exit("bench: %s does not have %d events" % (path, TIMELINE))
        return len(body)

    def get(self, series, address, paths, number):
        answers, seconds, _ = output(self.tools / "bench-get", address, self.options.connections,
                                     self.options.seconds, paths, number + 1).split()
        series.each.append(int(answers) / float(seconds))

    def read_rounds(self, few, many):
        threads = len(os.sched_getaffinity(0))
        with contextlib.ExitStack() as stack:
            peers = {}
            for data, paths, name in (few, many):
                address = first_word(stack.enter_context(self.serve(data)), "waybill serve")
                self.timeline_bytes = self.check_timeline(address, paths)
                peers[name] = (address, paths)
            hello = process(self.tools / "bench-hello", self.timeline_bytes, threads)
            peers["hello"] = (first_word(stack.enter_context(hello), "bench-hello"), many[1])
            self.reads = {name: Rates(name) for name in peers}
            for name, (address, paths) in peers.items():  # warms caches, twice as long
                self.get(Rates(name), address, paths, self.options.rounds)
                self.get(Rates(name), address, paths, self.options.rounds + 1)
            for number in range(self.options.rounds):
                names = list(peers)
                turn = number % len(names)
                for name in names[turn:] + names[:turn]:
                    self.get(self.reads[name], *peers[name], number)
                say("round %d/%d  reads     " % (number + 1, self.options.rounds) + ", ".join(
                    "%s %.0f /s" % (name, series.each[-1]) for name, series in self.reads.items()))

    # -- streams --

    def streams(self, data, paths, count, events):
        """(KiB of the idle server, of each stream, [(half, last) ms of each event])"""
        model = paths.read_text().split("/models/", 1)[1].split("/", 1)[0]
        with self.serve(data) as server:
            address = first_word(server, "waybill serve")
            time.sleep(0.3)  # its threads have opened what they open
            idle = resident_kib(server.pid)
            with process(self.tools / "bench-streams", data, address, model, count,
                         events) as client:
                if client.stdout.readline() != "open\n":
                    sys.exit("bench: bench-streams could not open %d streams" % count)
                grown = resident_kib(server.pid) - idle
                client.stdin.write("\n")
                client.stdin.flush()
                lines = client.stdout.read().splitlines()
                if len(lines) != events or client.wait() != 0:
                    sys.exit("bench: bench-streams stopped after %d of %d events" % (
                        len(lines), events))
        say("%d streams: %.1f KiB each" % (count, grown / count))
        return idle, grown / count, [tuple(map(float, line.split())) for line in lines]


def print_rates(series, peer):
    print("%-44s %9.0f %9.0f %9.0f %8.2f" % (series.name, min(series.each), series.median,
                                             max(series.each), series.median / peer.median))


def print_table(bench, sizes, lasts, halves):
    options = bench.options
    print("%-44s %9s %9s %9s %8s" % ("durable appends", "min /s", "median /s", "max /s", "x bare"))
    for grouping, words in GROUPINGS.items():
        for how, label in (("bare", "SQLite"), ("waybill", "waybill")):
            series = bench.appends[how, grouping]
            series.name = "%s, %s" % (label, words)
            print_rates(series, bench.appends["bare", grouping])
    print("\n%-44s %9s %9s %9s %8s" % ("GET of %d events, %d bytes" % (
        TIMELINE, bench.timeline_bytes), "min /s", "median /s", "max /s", "x hello"))
    for name, label in (("hello", "libmicrohttpd, a constant"), ("few", "waybill"),
                        ("many", "waybill")):
        series = bench.reads[name]
        if name in sizes:
            label += ", %d models, %.0f MiB" % (sizes[name][0], sizes[name][1] / (1 << 20))
        series.name = label
        print_rates(series, bench.reads["hello"])
    print("\n%-44s %9s %9s %9s %8s" % ("from commit to receipt, %d streams" % options.streams,
                                       "min ms", "p50 ms", "p99 ms", "max ms"))
    for label, values in (("half of the clients", halves), ("the last client", lasts)):
        print("%-44s %9.1f %9.1f %9.1f %8.1f" % (label, min(values), quantile(values, 0.5),
                                                 quantile(values, 0.99), max(values)))
    print()


def print_goals(bench, lasts, per_stream, idle):
    for grouping, words in GROUPINGS.items():
        share = (bench.appends["waybill", grouping].median
                 / bench.appends["bare", grouping].median)
        print_goal(share >= APPEND_SHARE, "appends, %s: at least %g of SQLite" % (
            grouping, APPEND_SHARE), "%.2f" % share)
    few, many = bench.reads["few"].median, bench.reads["many"].median
    share = min(few, many) / bench.reads["hello"].median
    print_goal(share >= READ_SHARE, "reads: at least %g of the constant" % READ_SHARE,
               "%.2f" % share)
    spread = max(few, many) / min(few, many)
    print_goal(spread <= READ_SPREAD, "reads: few and many models within %g x" % READ_SPREAD,
               "%.2f x" % spread)
    p99 = quantile(lasts, 0.99)
    print_goal(p99 <= LAST_CLIENT_MS, "streams: the last client's p99 at most %d ms"
               % LAST_CLIENT_MS, "%.1f ms" % p99)
    print_goal(per_stream <= STREAM_KIB, "streams: at most %d KiB for each of %d" % (
        STREAM_KIB, bench.options.idle_streams), "%.1f KiB" % per_stream)
    print_goal(idle <= IDLE_MIB << 10, "idle server: at most %d MiB resident" % IDLE_MIB,
               "%.1f MiB" % (idle / 1024))


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench events", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="(7)")
    parser.add_argument("--imports", type=int, default=300, metavar="N",
                        help="appended in a round, ten events each (300)")
    parser.add_argument("--models", type=int, default=100000, metavar="N",
                        help="in the large store (100000)")
    parser.add_argument("--few-models", type=int, default=100, metavar="N",
                        help="in the small store (100)")
    parser.add_argument("--timelines", type=int, default=20000, metavar="N",
                        help="models of the large store with %d events, which are asked for; the "
                             "others have 3 (20000)" % TIMELINE)
    parser.add_argument("--seconds", type=float, default=2, metavar="S", help="of a read (2)")
    parser.add_argument("--connections", type=int, default=32, metavar="N", help="(32)")
    parser.add_argument("--streams", type=int, default=2000, metavar="N",
                        help="that an event goes to (2000)")
    parser.add_argument("--events", type=int, default=200, metavar="N",
                        help="that go to all streams (200)")
    parser.add_argument("--idle-streams", type=int, default=5000, metavar="N",
                        help="whose memory is measured (5000)")
    parser.add_argument("--quick", action="store_true",
                        help="one round of next to nothing: whether it runs, not how fast")
    parser.add_argument("--waybill", default=str(ROOT / "build/waybill"), metavar="PROGRAM",
                        help="(build/waybill)")
    parser.add_argument("--dir", default=str(ROOT / "build"), metavar="DIR",
                        help="on the disk to measure; what is written there is removed (build)")
    options = parser.parse_args()
    if options.quick:
        quick = {"rounds": 1, "imports": 5, "models": 200, "few_models": 20, "timelines": 40,
                 "seconds": 0.2, "connections": 4, "streams": 40, "events": 5, "idle_streams": 60}
        vars(options).update(quick)
    if min(value for value in vars(options).values() if isinstance(value, (int, float))
           and not isinstance(value, bool)) <= 0:
        parser.error("every number must be more than 0")
    options.timelines = min(options.timelines, options.models)
    return options


def check_room(options):
    """About 1 KiB for each event with its index, and the write-ahead log while it is filled."""
    os.makedirs(options.dir, exist_ok=True)
    about = os.statvfs(options.dir)
    events = options.timelines * TIMELINE + (options.models - options.timelines) * 3
    free, wanted = about.f_bavail * about.f_frsize, (2 * events + 100 * 1024) * 1024
    if free < wanted:
        sys.exit("bench: %s has %.1f GiB free and this needs %.1f: fewer --models, or another "
                 "--dir" % (options.dir, free / (1 << 30), wanted / (1 << 30)))


def check_files(options):
    """A stream is a descriptor of the server's and one of its client's."""
    wanted = max(options.streams, options.idle_streams) + 200
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < wanted:
        sys.exit("bench: a process may have %d files open and this needs %d: fewer --streams and "
                 "--idle-streams, or a higher hard limit (ulimit -Hn)" % (hard, wanted))


def main():
    options = arguments()
    check_room(options)
    check_files(options)
    facts = machine(options.dir)
    with scratch_directory(options.dir) as scratch:
        bench = Bench(options, scratch)
        bench.append_rounds()
        few = bench.fill("few", options.few_models, options.few_models)
        many = bench.fill("many", options.models, options.timelines)
        bench.read_rounds((*few[:2], "few"), (*many[:2], "many"))
        idle, per_stream, _ = bench.streams(*few[:2], options.idle_streams, 1)
        _, _, receipts = bench.streams(*many[:2], options.streams, options.events)
    halves, lasts = zip(*receipts)
    print("Events, %d interleaved rounds, medians" % options.rounds)
    print("\n".join(facts) + "\n")
    print_table(bench, {"few": (options.few_models, few[2]), "many": (options.models, many[2])},
                lasts, halves)
    print_goals(bench, lasts, per_stream, idle)


if __name__ == "__main__":
    main()
