#!/usr/bin/python3
"""Several machines on one PostgreSQL, all of them on this one.

  imports   small packages from a bucket, imported by one server and 1, 2 and 4 workers (processes)
            beside PostgreSQL, radosgw and docker-registry
  appends   events to many models at once, each committed durably, beside pgbench running the same
            statements with as many clients
  latency   from a commit on one node to the event in a stream of a server that is another node

Peers take turns, round after round; medians count.
"""
import argparse
import http.client
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
from measure import ROOT, environment, machine, need, print_goal, program, remove, say, scratch_directory  # noqa: E402

sys.path.insert(0, str(ROOT / "tests/integration"))
os.environ.setdefault("WAYBILL", str(ROOT / "build/waybill"))
import oci_layout  # noqa: E402
import postgres  # noqa: E402
import radosgw  # noqa: E402
from registries import Registry  # noqa: E402

# Of the tests, under another name than this file's.
cluster = importlib.util.module_from_spec(found := importlib.util.spec_from_file_location(
    "cluster", ROOT / "tests/integration/nodes.py"))
found.loader.exec_module(cluster)

APPEND_SHARE, P50_MS, P99_MS = 0.8, 50, 200
STATEMENTS = """
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_advisory_xact_lock_shared(8602290226836827136), pg_advisory_xact_lock(1836016748, :client_id);
UPDATE models SET last_seq = last_seq + 1, last_time = CASE WHEN last_time > 7 THEN last_time ELSE 7 END,
    changed = (SELECT number FROM model_changes) + pg_current_xact_id()::text::bigint
    WHERE id = 'bench-' || :client_id RETURNING last_seq AS seq, last_time AS at, name, version \\gset
INSERT INTO events(model_id, seq, attempt, occur_time, event_type, reason, stage, event, kind, project)
    VALUES ('bench-' || :client_id, :seq, 1, :at, 'normal', 'ImageBuildStatus', 'build', '%s', NULL,
    (SELECT project FROM models WHERE id = 'bench-' || :client_id));
COMMIT;
"""


def quantile(values, part):
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


class Bench:
    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.waybill = program(options.waybill)
        self.served = program(Path(self.waybill).parent / "bench/events/bench-served")
        self.short = Path(tempfile.mkdtemp(prefix="n-", dir="/tmp"))  # sockets want a short path
        self.server = postgres.Postgres(durable=True)
        self.appends = {"waybill": [], "pgbench": []}
        self.imports = {count: [] for count in options.workers}
        self.latencies = []

    def close(self):
        self.server.remove()
        remove(self.short)

    def call(self, *command):
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, env=environment())
        if done.returncode:
            sys.exit("bench: %s ended with status %d" % (command[0], done.returncode))
        return done.stdout

    # -- appends --

    def append(self):
        url = self.server.create()
        data = self.scratch / "append"
        events, seconds = self.call(self.served, "append", data, url, self.options.clients, self.options.events).split()
        remove(data)
        return url, int(events) / float(seconds)

    def pgbench(self, url):
        """On the same database, so that its tables and statistics are those of the other."""
        clients = self.options.clients
        text = self.server.of(url, "SELECT event FROM events WHERE reason = 'ImageBuildStatus' LIMIT 1")[0]
        script = self.server.where / "append.sql"
        script.write_text(STATEMENTS % text.replace("'", "''").replace(":", ": "))
        script.chmod(0o644)
        self.server.of(url, "INSERT INTO models SELECT 'bench-' || n, 'default', 'bench-' || n, '0.0.1', 1, NULL, '', "
                            "'', 1, NULL, 1, 0, 1 FROM generate_series(0, %d) n" % (clients - 1))
        printed = self.server.run("pgbench", "-n", "-M", "prepared", "-c", clients, "-j", clients, "-t",
                                  self.options.events // clients, "-f", script, "-d", url, timeout=600)
        return float(printed.split("tps = ")[1].split()[0])

    def append_rounds(self):
        for number in range(self.options.rounds):
            url, rate = self.append()
            self.appends["waybill"].append(rate)
            self.appends["pgbench"].append(self.pgbench(url))
            self.server.ask("postgres", "DROP DATABASE " + url.rsplit("/", 1)[1])
            say("round %d/%d  appends %.0f /s, pgbench %.0f /s" % (
                number + 1, self.options.rounds, rate, self.appends["pgbench"][-1]))

    # -- imports --

    def import_all(self, workers, number, sources, rgw, registry, base):
        where = self.scratch / ("imports-%d-%d" % (workers, number))
        short = self.short / where.name
        where.mkdir()
        short.mkdir()
        nodes = cluster.Nodes(where, short, self.server, rgw, registry, settings={"BUILD_MAX_QUEUED_PER_PROJECT": "1000"})
        try:
            nodes.add_api()
            nodes.prepare(base)
            for _ in range(workers):
                nodes.add_worker()
            time.sleep(1)
            began = time.monotonic()
            for at, source in enumerate(sources):
                nodes.submit(nodes.apis[0], cluster.PROJECTS[at % 3], source, "m%d" % at)
            nodes.wait_for_all(600)
            return 60 * len(sources) / (time.monotonic() - began)
        finally:
            nodes.stop()

    def import_rounds(self):
        base = self.scratch / "base"
        oci_layout.make_base(base)
        rgw, registry = radosgw.Rgw(), Registry(self.scratch / "registry")
        try:
            bucket = rgw.make("bench")
            sources = []
            for number in range(self.options.imports):
                folder = self.scratch / "package"
                (folder / "model").mkdir(parents=True)
                (folder / "model/config.json").write_text('{"model_type": "Custom", "model_algorithm": "bench"}')
                (folder / "model/weights.bin").write_text("%d " % number * 2000)
                rgw.put_folder(bucket, "p%d" % number, folder)
                remove(folder)
                sources.append("s3://%s/p%d" % (bucket, number))
            for number in range(self.options.rounds):
                for workers in self.options.workers:
                    rate = self.import_all(workers, number, sources, rgw, registry, base)
                    self.imports[workers].append(rate)
                    say("round %d/%d  %d workers: %.0f imports a minute" % (
                        number + 1, self.options.rounds, workers, rate))
        finally:
            registry.stop()
            rgw.stop()

    # -- latency --

    def arrivals(self, netloc, model, found, count):
        connection = http.client.HTTPConnection(netloc, timeout=60)
        connection.request("GET", "/v1/default/models/%s/events/stream" % model)
        for line in connection.getresponse():
            if line.startswith(b"id: "):
                found[int(line[4:])] = time.monotonic() * 1000
                if len(found) == count:
                    break
        connection.close()

    def latency(self):
        model, count = "00000000-0000-4000-8000-0000000000bb", self.options.ticks
        url = self.server.create()
        settings = environment() | {"WAYBILL_STORE_URL": url, "WAYBILL_IMAGES_URL": "registry+http://127.0.0.1:1/models"}
        server = subprocess.Popen([self.waybill, "--data", self.scratch / "there", "serve", "--listen", "127.0.0.1:0",
                                   "--workers", "0", "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  text=True, env=settings)
        ticker = subprocess.Popen([self.served, "tick", self.scratch / "here", url, model, str(count)], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
        try:
            netloc = server.stdout.readline().split()[-1].removeprefix("http://")
            assert ticker.stdout.readline() == "ready\n"
            found = {}
            reader = threading.Thread(target=self.arrivals, args=(netloc, model, found, count))
            reader.start()
            time.sleep(1)
            ticker.stdin.write("\n")
            ticker.stdin.flush()
            sent = dict(map(float, line.split()) for line in ticker.stdout)
            reader.join()
            self.latencies = [found[int(seq)] - at for seq, at in sent.items()]
        finally:
            for child in (server, ticker):
                child.kill()
                child.wait()


def print_results(bench):
    print("%-44s %9s %9s %9s %8s" % ("", "min", "median", "max", "x peer"))

    def row(name, values, peer):
        print("%-44s %9.0f %9.0f %9.0f %8.2f" % (name, min(values), quantile(values, 0.5), max(values),
                                                 quantile(values, 0.5) / quantile(peer, 0.5)))
    for count, rates in bench.imports.items():
        row("imports a minute, %d worker%s" % (count, "s" * (count > 1)), rates, bench.imports[bench.options.workers[0]])
    for name, rates in bench.appends.items():
        row("events a second, %d clients: %s" % (bench.options.clients, name), rates, bench.appends["pgbench"])
    print("commit on one node to the stream of another: p50 %.1f ms, p99 %.1f ms, most %.1f ms, of %d events\n" % (
        quantile(bench.latencies, 0.5), quantile(bench.latencies, 0.99), max(bench.latencies), len(bench.latencies)))
    share = quantile(bench.appends["waybill"], 0.5) / quantile(bench.appends["pgbench"], 0.5)
    print_goal(share >= APPEND_SHARE, "appends: at least %g of pgbench" % APPEND_SHARE, "%.2f" % share)
    print_goal(quantile(bench.latencies, 0.5) <= P50_MS, "latency: p50 at most %d ms" % P50_MS,
               "%.1f ms" % quantile(bench.latencies, 0.5))
    print_goal(quantile(bench.latencies, 0.99) <= P99_MS, "latency: p99 at most %d ms" % P99_MS,
               "%.1f ms" % quantile(bench.latencies, 0.99))


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench nodes", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waybill", default=ROOT / "build/waybill", help="the program (build/waybill)")
    parser.add_argument("--dir", default="/var/tmp", help="where gigabytes fit (/var/tmp)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--imports", type=int, default=60, help="of each run (60)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--clients", type=int, default=8, help="that append at once (8)")
    parser.add_argument("--events", type=int, default=8000, help="of each run (8000)")
    parser.add_argument("--ticks", type=int, default=500, help="events whose way is timed (500)")
    options = parser.parse_args()
    need("docker-registry", "radosgw", "ceph-mon")
    facts = machine(options.dir)
    with scratch_directory(options.dir) as scratch:
        bench = Bench(options, scratch)
        try:
            bench.latency()
            bench.append_rounds()
            bench.import_rounds()
        finally:
            bench.close()
    print("Several machines, %d interleaved rounds, medians" % options.rounds)
    print("\n".join(facts) + "\n")
    print_results(bench)


if __name__ == "__main__":
    main()
