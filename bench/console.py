#!/usr/bin/python3
"""The console in a browser: its size, and a timeline of 10,000 events beside one of 100.

Each is opened in Debian's Chromium until its first hundred rows are painted, then scrolled down and
up again with the wheel; frames are counted from the browser's own trace. In turn, medians count.
"""
import argparse
import gzip
import json
import re
import sqlite3
import subprocess
import sys
import urllib.request

sys.dont_write_bytecode = True
from measure import (ROOT, Series, environment, machine, need, program, run,  # noqa: E402
                     scratch_directory)

FEW, MANY = 100, 10000
BUNDLE_BYTES, OPEN_RATIO = 120_000, 1.5
CONFIG = '{"model_algorithm": "bench", "model_type": "Custom"}\n'


def fill(store, model_id, count):
    """Lengthens a model's timeline by copies of its own events, newer ones behind older."""
    with sqlite3.connect(store, timeout=60) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(events)")]
        rows = [dict(zip(columns, row)) for row in db.execute(
            "SELECT * FROM events WHERE model_id = ? ORDER BY seq", (model_id,))]
        middle, last = rows[1:-1], rows[-1]
        for seq in range(len(rows), count + 1):
            row = last if seq == count else middle[seq % len(middle)]
            event = json.loads(row["event"]) | {"seq": seq, "event_id": "bench-%s-%d" % (model_id, seq),
                                                "occur_time": last["occur_time"]}
            made = row | {"seq": seq, "event": json.dumps(event), "occur_time": last["occur_time"]}
            if "event_id" in made:
                made["event_id"] = event["event_id"]
            db.execute("INSERT OR REPLACE INTO events (%s) VALUES (%s)" % (
                ", ".join(columns), ", ".join("?" * len(columns))), [made[name] for name in columns])
        db.execute("UPDATE models SET last_seq = ? WHERE id = ?", (count, model_id))


class Server:
    def __init__(self, waybill, data):
        self.process = subprocess.Popen(
            [waybill, "--data", data, "serve", "--set", "server.listen=127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment(), text=True)
        self.url = self.process.stdout.readline().split()[-1]

    def get(self, path, **headers):
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()


def bundle_bytes(server):
    """What a browser loads, packed."""
    page = server.get("/", **{"Accept-Encoding": "gzip"})
    names = re.findall(r'(?:src|href)="([^"]+)"', gzip.decompress(page).decode())
    return len(page) + sum(len(server.get("/" + name, **{"Accept-Encoding": "gzip"}))
                           for name in names)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench console", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="(9)")
    parser.add_argument("--waybill", default=str(ROOT / "build/waybill"), metavar="PROGRAM",
                        help="(build/waybill)")
    parser.add_argument("--dir", default=str(ROOT / "build"), metavar="DIR",
                        help="where it writes; removed again (build)")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def prepare(waybill, scratch):
    """A data directory with a timeline of each length: {length: model_id}."""
    base, data, model = scratch / "base", scratch / "data", scratch / "package/model"
    run([ROOT / "scripts/make-base-layout", base])
    model.mkdir(parents=True)
    (model / "config.json").write_text(CONFIG)
    (model / "weights.bin").write_text("weights\n")
    run([waybill, "--data", data, "runtime", "add", "base", "--image", "oci:%s:latest" % base])
    models = {}
    for count in (FEW, MANY):
        name = "events-%d" % count
        run([waybill, "--data", data, "import", model.parent, "--name", name])
        shown = subprocess.run([waybill, "--data", data, "show", name, "--json"], check=True,
                               capture_output=True, env=environment())
        models[count] = json.loads(shown.stdout)["model_id"]
        fill(data / "waybill.db", models[count], count)
    return data, models


def measure_pages(server, models, rounds):
    pages = ["%d=%s/#/default/models/%s/events" % (count, server.url, model_id)
             for count, model_id in models.items()]
    done = subprocess.run(["node", ROOT / "console/bench/timeline.mjs", str(rounds), *pages],
                          stdout=subprocess.PIPE, check=True)
    return {int(name): figures for name, figures in json.loads(done.stdout).items()}


def median(values):
    series = Series("")
    series.seconds = values
    return series.median


def main():
    options = arguments()
    need("node", "chromium")
    waybill = program(options.waybill)
    with scratch_directory(options.dir) as scratch:
        data, models = prepare(waybill, scratch)
        server = Server(waybill, data)
        try:
            size = bundle_bytes(server)
            figures = measure_pages(server, models, options.rounds)
        finally:
            server.stop()
        facts = machine(options.dir)
    print("A timeline in Chromium, medians of %d interleaved rounds" % options.rounds)
    print("\n".join(facts) + "\n")
    print("%-10s %10s %10s %10s %10s %10s" % ("events", "min ms", "open ms", "max ms", "frames",
                                              "dropped"))
    for count, seen in figures.items():
        opened = seen["open_ms"]
        print("%-10d %10.0f %10.0f %10.0f %10.0f %10.0f" % (
            count, min(opened), median(opened), max(opened), median(seen["frames"]),
            median(seen["dropped"])))
    ratio = median(figures[MANY]["open_ms"]) / median(figures[FEW]["open_ms"])
    few, many = (median(figures[count]["dropped"]) for count in (FEW, MANY))
    print()
    for met, goal, figure in (
            (size <= BUNDLE_BYTES, "bundle: at most %d KB gzipped" % (BUNDLE_BYTES / 1000),
             "%.1f KB" % (size / 1000)),
            (ratio <= OPEN_RATIO, "10,000 events open in at most %.1f x the time of 100" % OPEN_RATIO,
             "%.2f x" % ratio),
            (many <= few, "scrolling them drops no more frames", "%d and %d" % (many, few))):
        print("%-7s %-58s %s" % ("met" if met else "MISSED", goal, figure))


if __name__ == "__main__":
    main()
