#!/usr/bin/python3
"""What an environment image costs: an import whose environment is there already, one that builds it,
the bare `pip install` of the same wheels in the same kind of sandbox (runc over overlayfs), writing
the same layer, and `buildah bud` of an equal Containerfile. In turn, medians count. Needs root.
"""
import argparse
import json
import os
import shutil
import sys

sys.dont_write_bytecode = True
from measure import (ROOT, TIME, Series, machine, need, program, remove, run,  # noqa: E402
                     scratch_directory)

sys.path.insert(0, str(ROOT / "tests/integration"))
import environments  # noqa: E402
import python_base  # noqa: E402

PIP = ["python3", "-m", "pip", "install", "--no-cache-dir", "--no-compile", "--no-index",
       "--break-system-packages", "--root-user-action", "ignore", "--disable-pip-version-check",
       "--find-links", "/wheels"]


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench env", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="(7)")
    parser.add_argument("--wheels", type=int, default=12, metavar="N", help="(12)")
    parser.add_argument("--mib", type=int, default=4, metavar="N", help="of each wheel (4)")
    parser.add_argument("--waybill", default=str(ROOT / "build/waybill"), metavar="PROGRAM",
                        help="(build/waybill)")
    parser.add_argument("--dir", default=str(ROOT / "build"), metavar="DIR",
                        help="on the disk to measure (build)")
    options = parser.parse_args()
    if options.rounds < 1 or os.geteuid() != 0:
        parser.error("--rounds must be at least 1" if options.rounds < 1 else "it needs root")
    return options


def make_package(where, names):
    (where / "model").mkdir(parents=True)
    config = {"model_algorithm": "bench", "model_type": "Custom"}
    if names:
        config["dependencies"] = environments.dependencies(*names)
    (where / "model/config.json").write_text(json.dumps(config))
    (where / "model/weights.bin").write_text("weights\n")
    return where


class Bare:
    """pip in runc over overlayfs, by hand."""

    def __init__(self, scratch, lower, wheels, names):
        self.scratch, self.lower = scratch / "bare", lower
        bundle = self.scratch / "bundle"
        bundle.mkdir(parents=True)
        run(["runc", "spec", "--bundle", bundle])
        config = json.loads((bundle / "config.json").read_text())
        config["process"] |= {"terminal": False, "args": [*PIP, *names],
                              "env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                                      "LC_ALL=C.UTF-8", "HOME=/root"]}
        config["process"].pop("rlimits", None)
        few = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"]
        config["process"]["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"),
                                                          few)
        config["root"]["readonly"] = False
        config["mounts"].append({"destination": "/wheels", "type": "bind", "source": str(wheels),
                                 "options": ["bind", "ro"]})
        (bundle / "config.json").write_text(json.dumps(config))

    def begin(self):
        for name in ("upper", "work"):
            remove(self.scratch / name)
            (self.scratch / name).mkdir()
        root = self.scratch / "bundle/rootfs"
        root.mkdir(exist_ok=True)
        run(["mount", "-t", "overlay", "overlay", "-o",
             f"lowerdir={self.lower},upperdir={self.scratch}/upper,workdir={self.scratch}/work",
             root])

    def run(self, series):
        run(["runc", "--root", self.scratch / "state", "run", "--bundle", self.scratch / "bundle",
             "waybill-bench"], series)

    def end(self):
        run(["umount", self.scratch / "bundle/rootfs"])

    def write_layer(self, series):
        target = self.scratch / "layer.tar"
        run(["sh", "-c", f"tar -C {self.scratch}/upper -cf - usr | tee {target} | sha256sum && "
                         f"sync {target}"], series)


class Buildah:
    def __init__(self, scratch, layout, wheels, names):
        self.scratch, self.names = scratch / "buildah", names
        self.options = ["--root", self.scratch / "root", "--runroot", self.scratch / "run",
                        "--storage-driver", "overlay"]
        context = self.scratch / "context"
        context.mkdir(parents=True)
        shutil.copytree(wheels, context / "wheels")
        (context / "Containerfile").write_text(
            "FROM localhost/base\nCOPY wheels /wheels\n"
            "RUN %s\nCOPY Containerfile /home/mind/model/weights.bin\n" % " ".join(PIP + names))
        run(["buildah", *self.options, "pull", "--quiet", "oci:%s:latest" % layout])
        [image] = json.loads(os.popen("buildah %s images --json" % " ".join(
            map(str, self.options))).read())
        run(["buildah", *self.options, "tag", image["id"], "localhost/base"])

    def run(self, series):
        remove(self.scratch / "layout")
        run(["sh", "-c", "buildah {0} bud --isolation chroot --no-cache --quiet -t made {1}/context "
             "&& buildah {0} push --quiet made oci:{1}/layout:made".format(
                 " ".join(map(str, self.options)), self.scratch)], series)

    def end(self):
        run(["buildah", *self.options, "rmi", "--all", "--force"])


def main():
    options = arguments()
    need(TIME, "runc", "buildah", "mmdebstrap")
    waybill, layout = program(options.waybill), python_base.python_layout()
    names = ["bench%d" % number for number in range(options.wheels)]
    rows = {name: Series(name) for name in (
        "import without dependencies", "import, environment there", "import, environment built",
        "pip in runc, by hand", "the layer: tar, sha256, sync", "buildah bud and push")}
    with scratch_directory(options.dir) as scratch:
        wheels, data = scratch / "wheels", scratch / "data"
        wheels.mkdir()
        for name in names:
            files = {f"{name}/data{part}.py": "X = %r\n" % os.urandom(1 << 19).hex()
                     for part in range(options.mib)}
            file, content = environments.wheel(name, files=files)
            (wheels / file).write_bytes(content)
        plain = make_package(scratch / "plain", [])
        package = make_package(scratch / "package", [name + "==1.0" for name in names])
        common = [waybill, "--data", data, "--set", "build.network=none", "--set",
                  "build.pip_find_links=%s" % wheels]
        run([*common, "runtime", "add", "py", "--image", "oci:%s:latest" % layout])
        run([*common, "import", package, "--name", "warm"])
        [lower] = (data / "unpacked").iterdir()
        bare, buildah = Bare(scratch, lower, wheels, names), Buildah(scratch, layout, wheels, names)
        for number in range(options.rounds):
            def measure(row, *command):
                run([*common, *command], rows[row])
            measure("import without dependencies", "import", plain, "--name", "a%d" % number)
            measure("import, environment there", "import", package, "--name", "b%d" % number)
            measure("import, environment built", "import", package, "--name", "c%d" % number,
                    "--no-cache")
            bare.begin()
            bare.run(rows["pip in runc, by hand"])
            bare.end()
            bare.write_layer(rows["the layer: tar, sha256, sync"])
            buildah.run(rows["buildah bud and push"])
        buildah.end()
        facts = machine(options.dir)
    print("%d wheels of %d MiB of Python text, medians of %d rounds" % (
        options.wheels, options.mib, options.rounds))
    print("\n".join(facts) + "\n")
    print("%-30s %8s %10s %8s" % ("", "min s", "median s", "max s"))
    for one in rows.values():
        print("%-30s %8.3f %10.3f %8.3f" % (one.name, min(one.seconds), one.median,
                                            max(one.seconds)))
    without, there, built, pip, layer, peer = (one.median for one in rows.values())
    print("\nan environment that is there adds %.0f ms (at most 50)" % (1000 * (there - without)))
    print("a build costs %.2f x pip + the layer (at most 1.15 x pip, and the layer)"
          % ((built - without - layer) / pip))
    print("buildah takes %.1f x as long (at least 2)" % (peer / built))


if __name__ == "__main__":
    main()
