#!/usr/bin/python3
"""How long Waybill takes to pack a model, beside what bounds it and what its peers take.

One package (one large random file and 200 small ones, in the page cache) is packed by each of
them, round after round in turn, so that a slow moment of the disk meets all of them; medians count.
The limit is the slower of
  cp + fsync      cp -r, then fsync of every file and directory of the copy (sync FILE…): the disk
  openssl sha256  one process over all files: the processor
because an importer has to write every byte once, durably, and to hash it.
"""
import argparse
import os
import sys
import time

sys.dont_write_bytecode = True
from measure import (ROOT, TIME, Series, machine, need, print_goal, print_table,  # noqa: E402
                     program, remove, run, say, scratch_directory)

MIB = 1 << 20
SMALL_FILES = 200
NEAR_LIMIT, BEYOND_BUILDAH, PEAK_MIB, AGAIN_SECONDS = 1.25, 6, 40, 0.3
CONFIG = b'{"model_algorithm": "bench", "model_type": "Custom"}\n'


def size_of(text):
    for unit, factor in {"KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30}.items():
        if text.endswith(unit):
            return int(float(text[:-len(unit)]) * factor)
    return int(text)


def size_text(size):
    return "%g GiB" % (size / (1 << 30)) if size >= 1 << 30 else "%g MiB" % (size / MIB)


def write_package(where, size, sparse=False):
    model = where / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_bytes(CONFIG)
    with open(model / "weights.bin", "wb") as file:
        if sparse:
            file.truncate(size)
        for _ in range(0 if sparse else size // MIB):
            file.write(os.urandom(MIB))
        file.write(b"" if sparse else os.urandom(size % MIB))
    for number in range(SMALL_FILES):
        directory = model / ("part-%02d" % (number % 10))
        directory.mkdir(exist_ok=True)
        (directory / ("vocabulary-%03d.txt" % number)).write_bytes(os.urandom(4 + 61 * number))
    return where


class Bench:
    def __init__(self, options, scratch):
        self.waybill = program(options.waybill)
        self.scratch = scratch
        self.package = scratch / "package"
        self.base = scratch / "base"
        # The order of the rounds' first; each round begins one further.
        self.operations = {
            "cp + fsync": self.copy, "openssl sha256": self.hash,
            "waybill import": self.import_new, "umoci insert (gzip)": self.umoci,
            "buildah copy + commit": self.buildah}
        self.series = {name: Series(name) for name in
                       [*self.operations, "waybill import, unchanged"]}

    def copy(self, series):
        where = self.scratch / "copy"
        run(["sh", "-c", 'cp -r "$1" "$2" && find "$2" -exec sync {} +', "sh", self.package, where],
            series)
        remove(where)

    def hash(self, series):
        run(["find", self.package, "-type", "f", "-exec", "openssl", "dgst", "-sha256", "{}", "+"],
            series)

    def data_directory(self):
        data = self.scratch / "data"
        run([self.waybill, "--data", data, "runtime", "add", "base", "--image",
             "oci:%s:latest" % self.base])
        return data

    def import_new(self, series):
        data = self.data_directory()
        command = [self.waybill, "--data", data, "import", self.package, "--name", "bench",
                   "--json"]
        run(command, series)
        os.sync()
        run(command, self.series["waybill import, unchanged"])
        remove(data)

    def umoci(self, series):
        layout = self.scratch / "umoci"
        run(["umoci", "init", "--layout", layout])
        run(["umoci", "new", "--image", "%s:bench" % layout])
        rootless = [] if os.geteuid() == 0 else ["--rootless"]
        run(["umoci", "insert", *rootless, "--image", "%s:bench" % layout, self.package / "model",
             "/home/mind/model"], series)
        remove(layout)

    def buildah(self, series):
        store = self.scratch / "buildah"
        call = 'buildah --root "$1/root" --runroot "$1/run" '
        try:
            run(["sh", "-ec", call + "from --name bench scratch; "
                 + call + 'copy bench "$2" /home/mind/model; '
                 + call + 'commit --disable-compression bench "oci:$1/layout:bench"',
                 "sh", store, self.package / "model"], series)
        finally:
            run(["sh", "-c", call + "rm --all; " + call + "rmi --all --force; true", "sh", store])
            remove(store)

    def rounds(self, count, wanted):
        names = [name for name in self.operations if name.split()[0] in wanted]
        for number in range(count):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                os.sync()  # nobody pays for what the one before has left to write
                self.operations[name](self.series[name])
                say("round %d/%d  %-24s %8.2f s" % (number + 1, count, name,
                                                   self.series[name].seconds[-1]))

    def peak(self, size):
        """Peak memory of one import, in KiB. The source is sparse: only its size matters here."""
        source = write_package(self.scratch / "sparse", size, sparse=True)
        data, series = self.data_directory(), Series("")
        os.sync()
        run([self.waybill, "--data", data, "import", source, "--name", "bench", "--json"], series)
        remove(data)
        remove(source)
        say("peak memory at %s: %.1f MiB" % (size_text(size), series.peak_kib / 1024))
        return series.peak_kib


def print_goals(bench, limit, peaks):
    pack, again = bench.series["waybill import"], bench.series["waybill import, unchanged"]
    ratio = pack.median / limit
    print_goal(ratio <= NEAR_LIMIT, "import: at most %g x the limit" % NEAR_LIMIT, "%.2f x" % ratio)
    peer = bench.series["buildah copy + commit"]
    if peer.seconds:
        faster = peer.median / pack.median
        print_goal(faster >= BEYOND_BUILDAH, "import: at least %g x faster than buildah"
                   % BEYOND_BUILDAH, "%.1f x" % faster)
    print_goal(again.median <= AGAIN_SECONDS, "unchanged package again: at most %g s"
               % AGAIN_SECONDS, "%.3f s" % again.median)
    highest = max([pack.peak_kib, *peaks.values()]) / 1024
    print_goal(highest <= PEAK_MIB, "import: peak memory at most %d MiB" % PEAK_MIB,
               "%.1f MiB" % highest)
    if len(peaks) > 1:
        spread = (max(peaks.values()) - min(peaks.values())) / 1024
        print_goal(spread <= 2, "import: the same memory at %s (within 2 MiB)"
                   % " and ".join(size_text(size) for size in peaks),
                   " and ".join("%.1f" % (peak / 1024) for peak in peaks.values()) + " MiB")


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench pack", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=size_of, default="2GiB", metavar="SIZE",
                        help="of the large file (2GiB)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="(5)")
    parser.add_argument("--only", default="cp,openssl,waybill,umoci,buildah", metavar="NAMES",
                        help="comma-separated, of cp,openssl,waybill,umoci,buildah; the first "
                             "three are always measured")
    parser.add_argument("--memory", default="256MiB,4GiB", metavar="SIZES",
                        help="packages whose import's peak memory is compared; '' leaves it out "
                             "(256MiB,4GiB)")
    parser.add_argument("--waybill", default=str(ROOT / "build/waybill"), metavar="PROGRAM",
                        help="(build/waybill)")
    parser.add_argument("--dir", default=str(ROOT / "build"), metavar="DIR",
                        help="on the disk to measure; what is written there is removed (build)")
    options = parser.parse_args()
    if options.rounds < 1 or options.size < 1:
        parser.error("--rounds and --size must be at least 1")
    options.memory = [size_of(size) for size in options.memory.split(",") if size]
    options.only = set(options.only.split(",")) | {"cp", "openssl", "waybill"}
    return options


def check_room(options):
    need(TIME, "cp", "sync", "openssl", *options.only & {"umoci", "buildah"})
    os.makedirs(options.dir, exist_ok=True)
    about = os.statvfs(options.dir)
    free, wanted = about.f_bavail * about.f_frsize, 6 * max([options.size, *options.memory])
    if free < wanted:
        sys.exit("bench: %s has %.0f GiB free and this needs %.0f: a smaller --size, or another "
                 "--dir" % (options.dir, free / (1 << 30), wanted / (1 << 30)))
    if os.geteuid() != 0 and "buildah" in options.only:
        say("bench: without root buildah uses its user-namespace mode, which is slower")


def main():
    options = arguments()
    check_room(options)
    facts = machine(options.dir)
    with scratch_directory(options.dir) as scratch:
        bench = Bench(options, scratch)
        run([ROOT / "scripts/make-base-layout", bench.base])
        say("writing %s + %d small files" % (size_text(options.size), SMALL_FILES))
        write_package(bench.package, options.size)
        os.sync()
        time.sleep(3)  # a file's digest is kept only when its ctime is 2 s old at the read
        run(["find", bench.package, "-type", "f", "-exec", "cat", "{}", "+"])  # a warm cache
        bench.rounds(options.rounds, options.only)
        peaks = {size: bench.peak(size) for size in options.memory}
    limit = max(bench.series["cp + fsync"].median, bench.series["openssl sha256"].median)
    print("%s random file + %d small ones, medians of %d interleaved rounds" % (
        size_text(options.size), SMALL_FILES, options.rounds))
    print("\n".join(facts) + "\n")
    print_table(bench.series.values(), limit)
    print_goals(bench, limit, peaks)


if __name__ == "__main__":
    main()
