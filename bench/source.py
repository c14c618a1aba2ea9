#!/usr/bin/python3
"""What it costs to import a package from an object store (Ceph's radosgw, on the same cores).

  curl    the same objects, several at once, to /dev/null
  cp      the same files on the disk, copied and synced
  sha256  of the same files
  waybill import s3://BUCKET/DIR, into a layout; and with a bucket of its own (objects.url)

The slowest of the first three is the limit: the bytes have to come, be hashed and be kept. In turn,
medians count.
"""
import argparse
import os
import sys

sys.dont_write_bytecode = True
from measure import (ROOT, TIME, Series, machine, need, print_goal, print_table, program,  # noqa: E402
                     remove, run, say, scratch_directory)

sys.path.insert(0, str(ROOT / "tests/integration"))
import oci_layout  # noqa: E402
import radosgw  # noqa: E402

NEAR_LIMIT, PEAK_MIB, FILES = 2.0, 64, 4
LIMITS = ("curl, parallel GET", "cp + fsync", "sha256")


class Source:
    def __init__(self, options, scratch, rgw):
        self.scratch, self.waybill, self.rgw = scratch, program(options.waybill), rgw
        self.bucket = rgw.make("bench")
        self.make_package(options.mib << 20)
        self.base = scratch / "base"
        oci_layout.make_base(self.base)
        os.environ |= {"AWS_ENDPOINT_URL": rgw.endpoint, "AWS_ACCESS_KEY_ID": "AKalice",
                       "AWS_SECRET_ACCESS_KEY": "SKalice"}
        self.operations = {LIMITS[0]: self.curl, LIMITS[1]: self.cp, LIMITS[2]: self.sha256,
                           "waybill import": self.imports, "waybill import, own bucket": self.keeps}
        self.series = {name: Series(name) for name in self.operations}

    def make_package(self, size):
        self.package = self.scratch / "package"
        (self.package / "model").mkdir(parents=True)
        (self.package / "model/config.json").write_text('{"model_type": "Custom", '
                                                        '"model_algorithm": "bench"}')
        for number in range(FILES):
            with open(self.package / ("model/weights-%d.bin" % number), "wb") as file:
                for _ in range(size // FILES >> 20):
                    file.write(os.urandom(1 << 20))
        self.files = sorted((self.package / "model").iterdir())
        self.rgw.put_folder(self.bucket, "dir", self.package)
        for path in self.files:  # curl's own signature lacks a header that S3 wants
            self.rgw.request("PUT", "/%s/dir/model/%s" % (self.bucket, path.name), query={"acl": ""},
                             headers={"x-amz-acl": "public-read"})

    def curl(self, series):
        urls = [word for path in self.files for word in
                ("-o", "/dev/null", "%s/%s/dir/model/%s" % (self.rgw.endpoint, self.bucket, path.name))]
        run(["curl", "-sf", "--parallel", "--parallel-immediate", *urls], series)

    def cp(self, series):
        into = self.scratch / "copies"
        into.mkdir()
        run(["sh", "-c", 'cp "$@" && sync -f "$0"', into, *self.files, into], series)
        remove(into)

    def sha256(self, series):
        run(["openssl", "dgst", "-sha256", *self.files], series)

    def imports(self, series, *options):
        data = self.scratch / "data"
        run([self.waybill, "--data", data, "runtime", "add", "base", "--image",
             "oci:%s:latest" % self.base])
        run([self.waybill, "--data", data, "import", "s3://%s/dir" % self.bucket, "--name", "bench",
             "--json", *options], series)
        remove(data)

    def keeps(self, series):
        self.imports(series, "--set", "objects.url=s3://bench-own/kept")

    def rounds(self, count):
        names = list(self.operations)
        for number in range(count):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                os.sync()
                self.operations[name](self.series[name])
                say("round %d/%d  %-28s %8.2f s" % (number + 1, count, name,
                                                   self.series[name].seconds[-1]))


def print_goals(source):
    limit = max(source.series[name].median for name in LIMITS)
    ours = source.series["waybill import"]
    print_goal(ours.median / limit <= NEAR_LIMIT,
               "import from a bucket: at most %g x the slowest of GET, cp + fsync, sha256" % NEAR_LIMIT,
               "%.2f x" % (ours.median / limit))
    peak = max(one.peak_kib for name, one in source.series.items() if name.startswith("waybill")) / 1024
    print_goal(peak <= PEAK_MIB, "peak memory at most %d MiB" % PEAK_MIB, "%.1f MiB" % peak)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench source", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, metavar="N",
                        help="of the package (1024; the store keeps it, and a copy, in memory)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="(5)")
    parser.add_argument("--waybill", default=str(ROOT / "build/waybill"), metavar="PROGRAM",
                        help="(build/waybill)")
    parser.add_argument("--dir", default=str(ROOT / "build"), metavar="DIR",
                        help="on the disk to measure; what is written there is removed (build)")
    options = parser.parse_args()
    if options.rounds < 1 or not 64 <= options.mib <= 1536:
        parser.error("--rounds must be at least 1, --mib 64 to 1536")
    return options


def main():
    options = arguments()
    need(TIME, "curl", "openssl", *radosgw.PROGRAMS)
    with scratch_directory(options.dir) as scratch:
        rgw = radosgw.Rgw()
        try:
            for line in machine(scratch):
                print(line)
            print()
            source = Source(options, scratch, rgw)
            source.rounds(options.rounds)
            print_table(list(source.series.values()),
                        max(source.series[name].median for name in LIMITS))
            print_goals(source)
        finally:
            rgw.stop()


if __name__ == "__main__":
    main()
