"""Waybill on several machines: API nodes and workers with a data directory each, which share a real
PostgreSQL, radosgw and docker-registry. Each node reaches the database through a wire of its own, which a
test can cut."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from urllib.parse import quote

from conftest import Waybill, wait_for
from serving import Server
from wholeness import assert_timeline

SECRET_KEY = "ab" * 32
PROJECTS = ("amber", "basalt", "coral")


class Wire:
    """A node's way to the database: a socket in a directory, as libpq looks for one."""

    def __init__(self, where, server):
        self.where, self.target = where, str(server.where / ".s.PGSQL.5432")
        where.mkdir()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(where / ".s.PGSQL.5432"))
        self.listener.listen(64)
        self.lock, self.pairs, self.is_cut = threading.Lock(), [], False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.socket(socket.AF_UNIX)
                try:
                    far.connect(self.target)
                except OSError:
                    near.close()
                    continue
                with self.lock:
                    if self.is_cut:
                        near.close(), far.close()
                        continue
                    self.pairs.append((near, far))
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    @staticmethod
    def carry(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        with self.lock:
            self.is_cut, pairs, self.pairs = True, self.pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def mend(self):
        self.is_cut = False

    def close(self):
        self.cut()
        self.listener.close()


class Worker:
    """`waybill worker`."""

    def __init__(self, waybill, count, log):
        self.waybill, self.count, self.log = waybill, count, log
        self.start()

    def start(self):
        self.process = self.waybill.start("worker", "--workers", self.count, stderr=self.log, stdout=self.log)
        self.stopped = False

    def signal(self, what):
        self.process.send_signal(what)
        self.stopped = what == signal.SIGSTOP

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.stopped:
            self.signal(signal.SIGCONT)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


class Nodes:
    def __init__(self, where, short, postgres, rgw, registry, lease_seconds=60, settings=()):
        self.where, self.short, self.postgres, self.rgw, self.registry = where, short, postgres, rgw, registry
        self.database = postgres.create().rsplit("/", 1)[1]
        self.settings = {"STORE_LEASE_SECONDS": str(lease_seconds), **dict(settings)}
        self.wires, self.apis, self.workers, self.logs = [], [], [], []

    def node(self, name):
        """A machine: its own data directory, all else is shared."""
        wire = Wire(self.short / name, self.postgres)
        self.wires.append(wire)
        waybill = Waybill(self.where / name)
        waybill.environment |= {
            "WAYBILL_STORE_URL": f"postgresql://postgres@{quote(str(wire.where), safe='')}/{self.database}",
            "WAYBILL_IMAGES_URL": f"registry+http://{self.registry.host}/models",
            "WAYBILL_OBJECTS_ENDPOINT": self.rgw.endpoint, "AWS_ACCESS_KEY_ID": "AKalice",
            "AWS_SECRET_ACCESS_KEY": "SKalice", "WAYBILL_SECURITY_SECRET_KEY": SECRET_KEY}
        waybill.environment |= {f"WAYBILL_{key}": value for key, value in self.settings.items()}
        waybill.wire = wire
        return waybill

    def log(self, name):
        self.logs.append(open(self.where / f"{name}.log", "w+"))
        return self.logs[-1]

    def add_api(self):
        name = f"api{len(self.apis)}"
        server = Server(self.node(name), self.where, "--workers", "0", stderr=self.log(name))
        self.apis.append(server)
        return server

    def add_worker(self, count=1):
        name = f"worker{len(self.workers)}"
        self.workers.append(Worker(self.node(name), count, self.log(name)))
        return self.workers[-1]

    def prepare(self, base_layout):
        """A runtime, and each project's own keys of the bucket."""
        first = self.apis[0].waybill
        first.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
        for project in PROJECTS:
            subprocess.run([first.program, "credential", "add", "--for", "s3", "--host",
                            f"127.0.0.1:{self.rgw.port}", "--user", "AKalice", "--secret-stdin", "--project",
                            project], input="SKalice", text=True, check=True, env=first.environment,
                           capture_output=True)

    def sql(self, text):
        return self.postgres.ask(self.database, text)

    def open_jobs(self):
        return int(self.sql("SELECT count(*) FROM jobs WHERE state <> 'done'")[0])

    def stop(self):
        """A sanitizer that found something says so by the exit status."""
        statuses = {}
        try:
            for node in [*self.workers, *self.apis]:
                statuses[node.process.pid] = node.stop()
        finally:
            for node in [*self.workers, *self.apis]:
                if node.process.poll() is None:
                    node.process.kill()
                    node.process.wait()
            for wire in self.wires:
                wire.close()
            said = self.said()
            for log in self.logs:
                log.close()
        assert not any(statuses.values()), (statuses, said)

    def said(self):
        """What the nodes wrote on standard error, for a failing test to show."""
        parts = []
        for log in self.logs:
            log.flush()
            with open(log.name, errors="replace") as file:
                parts.append(f"-- {log.name}\n" + file.read()[-3000:])
        return "\n".join(parts)

    # -- imports --

    def submit(self, api, project, source, name, attempts=1):
        """The model's id. Asked again with the same key where the node was away: it is one import."""
        body = {"model_name": name, "model_version": "0.0.1", "model_type": "Custom", "source_location": source}
        for last in range(attempts - 1, -1, -1):
            try:
                answer = api.ask("POST", f"/v1/{project}/models", body, {"Idempotency-Key": f"{project}-{name}"})
                if answer.status == 200:
                    return answer.json["model_id"]
                assert last and answer.status >= 500, str(answer)
            except OSError:
                assert last
            time.sleep(0.5)
        raise AssertionError("not taken")

    def wait_for_all(self, seconds):
        wait_for(lambda: self.open_jobs() == 0, seconds)

    def events(self, model):
        return [json.loads(line) for line in self.sql(f"SELECT event FROM events WHERE model_id = '{model}' ORDER BY seq")]

    def outcomes(self):
        return dict(line.split("|") for line in self.sql(
            "SELECT m.id, a.outcome FROM models m JOIN attempts a ON a.model_id = m.id AND a.attempt = m.attempt"))

    def retry_failed(self, models, seconds):
        """What failed since a service was away says so, and that it may be tried again; then it succeeds."""
        failed = [model for model, outcome in self.outcomes().items() if outcome == "failed"]
        for model in failed:
            events = self.events(model)
            [cause] = [event for event in events if event["seq"] == events[-1]["cause"]]
            assert cause["retryable"], cause
            answer = self.apis[0].ask("POST", f"/v1/{models[model]}/models/{model}/retry", {})
            assert answer.status == 200, str(answer)
        self.wait_for_all(seconds)
        return failed

    def assert_whole(self, models):
        """Every import has ended well, with a timeline that is dense and complete, and an image that is there."""
        outcomes = self.outcomes()
        assert set(models) == set(outcomes)
        for model in models:
            events = self.events(model)
            assert outcomes[model] == "imported", events[-3:]
            assert_timeline(events)
        self.assert_images()

    def assert_images(self):
        """Each tag is the store's digest, and every blob of it is in the registry."""
        for line in self.sql("SELECT m.project, m.name, m.version, a.image_digest FROM models m JOIN attempts a ON "
                             "a.model_id = m.id AND a.attempt = m.attempt WHERE a.outcome = 'imported'"):
            project, name, version, digest = line.split("|")
            place = f"models/{project}/{name}"
            manifest = self.ask_registry(f"{place}/manifests/{version}")
            assert manifest["digest"] == digest, (place, manifest["digest"], digest)
            for blob in [manifest["json"]["config"], *manifest["json"]["layers"]]:
                assert self.ask_registry(f"{place}/blobs/{blob['digest']}", "HEAD")["size"] == blob["size"]

    def ask_registry(self, path, method="GET"):
        import http.client
        connection = http.client.HTTPConnection(self.registry.host, timeout=30)
        try:
            connection.request(method, f"/v2/{path}", headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, (path, answer.status, body)
            return {"digest": answer.headers["Docker-Content-Digest"], "size": int(answer.headers["Content-Length"]),
                    "json": json.loads(body) if method == "GET" else None}
        finally:
            connection.close()


def remove(path):
    shutil.rmtree(path, ignore_errors=True)
