#!/usr/bin/python3
"""What it costs to get an image into docker-registry and out of Waybill's own registry.

  push  a package folder (two large files, some small ones) imported, the registry being the image
        store; the copy of one that was imported into a layout; beside
        `skopeo copy` of the same layout, buildah (from scratch, copy, push), and curl that uploads the
        same bytes as one blob: the limit, for the registry hashes what comes
  pull  the image by `podman pull` from `waybill serve` and from docker-registry

Each push goes to an empty registry. In turn, medians count.
"""
import argparse
import os
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from measure import (ROOT, TIME, Series, environment, machine, need, print_goal,  # noqa: E402
                     print_table, program, remove, run, say, scratch_directory)

sys.path.insert(0, str(ROOT / "tests/integration"))
import oci_layout  # noqa: E402
import registries  # noqa: E402

NEAR_LIMIT, BEYOND_BUILDAH, PEAK_MIB = 1.15, 3, 40
UPLOAD = r'''
location() { tr -d '\r' | sed -n 's/^[Ll]ocation: //p'; }
upload() {
    at=$(curl -sf -D - -o /dev/null -X POST "http://$1/v2/bench/$2/blobs/uploads/" | location)
    at=$(curl -sf -D - -o /dev/null -X PATCH -H 'Content-Type: application/octet-stream' \
        -H 'Expect:' -T "$3" "$at" | location)
    curl -sf -o /dev/null -X PUT "$at&digest=$4"
}
'''


class Push:
    def __init__(self, options, scratch):
        self.scratch, self.waybill = scratch, program(options.waybill)
        self.package, self.size = scratch / "package", options.mib << 20
        self.make_package()
        self.base = scratch / "base"
        oci_layout.make_base(self.base)
        self.data = scratch / "data"
        self.import_into(self.data)
        run([self.waybill, "--data", self.data, "copy", "bench", "oci:%s:bench" % (scratch / "layout")])
        self.operations = {
            "curl, one blob (the limit)": self.curl, "curl, two blobs at once": self.curl_both,
            "waybill import": self.import_straight, "waybill copy": self.copy,
            "skopeo copy": self.skopeo, "buildah copy + push": self.buildah}
        self.series = {name: Series(name) for name in self.operations}
        self.pulls = {name: Series(name) for name in ("podman pull, waybill",
                                                      "podman pull, docker-registry")}

    def make_package(self):
        (self.package / "model").mkdir(parents=True)
        (self.package / "model/config.json").write_text('{"model_type": "Custom", '
                                                        '"model_algorithm": "bench"}')
        for number in range(200):
            (self.package / ("model/small-%03d" % number)).write_bytes(os.urandom(1000))
        self.blobs = {}
        for name in ("one", "two"):
            path = self.package / "model" / name
            with open(path, "wb") as file:
                for _ in range(self.size >> 21):
                    file.write(os.urandom(1 << 20))
            digest = subprocess.run(["openssl", "dgst", "-sha256", "-r", path], check=True,
                                    capture_output=True, text=True).stdout.split()[0]
            self.blobs[path] = "sha256:" + digest
        self.whole = self.scratch / "whole"
        run(["sh", "-c", 'cat "$1" "$2" > "$3"', "sh", *self.blobs, self.whole])
        digest = subprocess.run(["openssl", "dgst", "-sha256", "-r", self.whole], check=True,
                                capture_output=True, text=True).stdout.split()[0]
        self.whole_digest = "sha256:" + digest

    def import_into(self, data, series=None, *options):
        run([self.waybill, "--data", data, "runtime", "add", "base", "--image",
             "oci:%s:latest" % self.base, *options])
        run([self.waybill, "--data", data, "import", self.package, "--name", "bench", "--json", *options],
            series)

    # -- pushing --

    def target(self):
        return "registry+http://127.0.0.1:%s/bench/image:1" % self.registry.port

    def curl(self, series):
        run(["bash", "-ec", UPLOAD + 'upload "$@"', "bash", "127.0.0.1:%s" % self.registry.port, "x",
             self.whole, self.whole_digest], series)

    def curl_both(self, series):
        (one, first), (two, second) = self.blobs.items()
        run(["bash", "-ec", UPLOAD + 'upload "$1" x "$2" "$3" & upload "$1" y "$4" "$5"; wait $!',
             "bash", "127.0.0.1:%s" % self.registry.port, one, first, two, second], series)

    def copy(self, series):
        run([self.waybill, "--data", self.data, "copy", "bench", self.target()], series)

    def import_straight(self, series):
        """From the folder, with the registry as the image store."""
        data = self.scratch / "new"
        self.import_into(data, series, "--set",
                         "images.url=registry+http://127.0.0.1:%s/bench" % self.registry.port)
        remove(data)

    def skopeo(self, series):
        run(["skopeo", "copy", "--dest-tls-verify=false", "oci:%s:bench" % (self.scratch / "layout"),
             "docker://127.0.0.1:%s/bench/image:1" % self.registry.port], series)

    def buildah(self, series):
        store = self.scratch / "buildah"
        call = 'buildah --root "$1/root" --runroot "$1/run" '
        try:
            run(["sh", "-ec", call + "from --name bench scratch; "
                 + call + 'copy bench "$2" /home/mind/model; '
                 + call + "commit bench bench; "
                 + call + 'push --tls-verify=false bench "docker://$3/bench/image:1"',
                 "sh", store, self.package / "model", "127.0.0.1:%s" % self.registry.port], series)
        finally:
            run(["sh", "-c", call + "rm --all; " + call + "rmi --all --force; true", "sh", store])
            remove(store)

    def with_registry(self, work):
        where = self.scratch / "registry"
        self.registry = registries.Registry(where)
        try:
            work()
        finally:
            self.registry.stop()
            remove(where)

    def push_rounds(self, count, wanted):
        names = [name for name in self.operations if name.split()[0].strip(",") in wanted]
        for number in range(count):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                os.sync()
                self.with_registry(lambda name=name: self.operations[name](self.series[name]))
                say("round %d/%d  %-28s %8.2f s" % (number + 1, count, name,
                                                   self.series[name].seconds[-1]))

    # -- pulling --

    def pull(self, name, image):
        storage = self.scratch / "podman"
        with tempfile.TemporaryDirectory(prefix="wb-", dir="/tmp") as short:  # podman wants it so
            call = ["podman", "--root", storage, "--runroot", short]
            try:
                run([*call, "pull", "--quiet", "--tls-verify=false", image], self.pulls[name])
            finally:
                run(["sh", "-c", '"$@" rmi --all --force; true', "sh", *call])
                remove(storage)

    def pull_rounds(self, count):
        serve = subprocess.Popen([self.waybill, "--data", self.data, "serve", "--listen",
                                  "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 text=True, env=environment())
        try:
            netloc = serve.stdout.readline().split()[-1].split("//")[1].rstrip("/")
            for number in range(count):
                def theirs():
                    self.copy(None)
                    os.sync()
                    self.pull("podman pull, docker-registry",
                              "127.0.0.1:%s/bench/image:1" % self.registry.port)
                turns = [lambda: self.pull("podman pull, waybill", netloc + "/default/bench:0.0.1"),
                         lambda: self.with_registry(theirs)]
                for turn in turns if number % 2 else turns[::-1]:
                    os.sync()
                    turn()
                say("round %d/%d  %s" % (number + 1, count, "  ".join(
                    "%s %.2f s" % (name, one.seconds[-1]) for name, one in self.pulls.items())))
        finally:
            serve.send_signal(signal.SIGTERM)
            serve.wait()


def print_goals(push):
    limit = push.series["curl, one blob (the limit)"].median
    copy, whole = push.series["waybill copy"], push.series["waybill import"]
    buildah = push.series["buildah copy + push"]
    for one, what in ((copy, "copy"), (whole, "folder to registry")):
        print_goal(one.median / limit <= NEAR_LIMIT, "%s: at most %g x the limit" % (what, NEAR_LIMIT),
                   "%.2f x" % (one.median / limit))
    if buildah.seconds:
        print_goal(buildah.median / whole.median >= BEYOND_BUILDAH,
                   "folder to registry: at least %g x faster than buildah" % BEYOND_BUILDAH,
                   "%.1f x" % (buildah.median / whole.median))
    peak = max(copy.peak_kib, whole.peak_kib) / 1024
    print_goal(peak <= PEAK_MIB, "peak memory at most %d MiB" % PEAK_MIB, "%.1f MiB" % peak)
    ours, theirs = push.pulls.values()
    if ours.seconds:
        print_goal(ours.median <= theirs.median, "pull: at least as fast as from docker-registry",
                   "%.2f x its time" % (ours.median / theirs.median))


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench push", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=2048, metavar="N", help="of the package (2048)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="(5)")
    parser.add_argument("--pulls", type=int, default=5, metavar="N", help="(5; 0 leaves them out)")
    parser.add_argument("--only", default="curl,waybill,skopeo,buildah", metavar="NAMES",
                        help="comma-separated; curl and waybill are always measured")
    parser.add_argument("--waybill", default=str(ROOT / "build/waybill"), metavar="PROGRAM",
                        help="(build/waybill)")
    parser.add_argument("--dir", default=str(ROOT / "build"), metavar="DIR",
                        help="on the disk to measure; what is written there is removed (build)")
    options = parser.parse_args()
    if options.rounds < 1 or options.mib < 256:
        parser.error("--rounds must be at least 1, --mib at least 256")
    options.only = set(options.only.split(",")) | {"curl", "waybill"}
    return options


def main():
    options = arguments()
    need(TIME, "curl", "openssl", "docker-registry", *options.only & {"skopeo", "buildah"},
         *(["podman"] if options.pulls else []))
    with scratch_directory(options.dir) as scratch:
        for line in machine(scratch):
            print(line)
        print()
        push = Push(options, scratch)
        push.push_rounds(options.rounds, options.only)
        if options.pulls:
            push.pull_rounds(options.pulls)
        print_table([*push.series.values(), *push.pulls.values()],
                    push.series["curl, one blob (the limit)"].median)
        print_goals(push)


if __name__ == "__main__":
    main()
