#!/usr/bin/python3
"""How long the commands take that have next to nothing to do: what a person or a script waits for.

A package of two small files is imported into a data directory, then looked at; in turn, medians
count.
"""
import argparse
import sys

sys.dont_write_bytecode = True
from measure import (ROOT, TIME, Series, machine, need, program, remove, run,  # noqa: E402
                     scratch_directory)

CONFIG = '{"model_algorithm": "bench", "model_type": "Custom"}\n'


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench start", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21, metavar="N", help="(21)")
    parser.add_argument("--waybill", default=str(ROOT / "build/waybill"), metavar="PROGRAM",
                        help="(build/waybill)")
    parser.add_argument("--dir", default=str(ROOT / "build"), metavar="DIR",
                        help="on the disk to measure (build)")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def main():
    options = arguments()
    need(TIME)
    waybill = program(options.waybill)
    series = {}

    def measure(name, *command):
        run([waybill, "--data", data, *command], series.setdefault(name, Series(name)))

    with scratch_directory(options.dir) as scratch:
        base, data, model = scratch / "base", scratch / "data", scratch / "package/model"
        run([ROOT / "scripts/make-base-layout", base])
        model.mkdir(parents=True)
        (model / "config.json").write_text(CONFIG)
        (model / "weights.bin").write_text("weights\n")
        for _ in range(options.rounds):
            remove(data)
            measure("runtime add, a new data directory", "runtime", "add", "base", "--image",
                    "oci:%s:latest" % base)
            measure("import", "import", model.parent, "--name", "tiny", "--json")
            measure("import again", "import", model.parent, "--name", "tiny", "--json")
            measure("check", "check", model.parent)
            measure("events", "events", "tiny")
            measure("show", "show", "tiny")
            measure("models", "models")
            measure("explain", "explain")
        facts = machine(options.dir)
    print("A package of two small files, medians of %d rounds" % options.rounds)
    print("\n".join(facts) + "\n")
    print("%-34s %8s %10s %8s %10s" % ("command", "min ms", "median ms", "max ms", "peak MiB"))
    for one in series.values():
        print("%-34s %8.1f %10.1f %8.1f %10.1f" % (
            one.name, 1000 * min(one.seconds), 1000 * one.median, 1000 * max(one.seconds),
            one.peak_kib / 1024))


if __name__ == "__main__":
    main()
