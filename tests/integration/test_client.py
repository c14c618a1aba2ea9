"""clients/python/waybill.py, as the server hands it out: the module and its command line."""
import http.server
import importlib.util
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from attempts import SOUND
from wholeness import assert_timeline, event_names

MIB = 1 << 20


@pytest.fixture
def script(server, tmp_path):
    path = tmp_path / "downloaded.py"
    path.write_bytes(server.ask("GET", "/client/waybill.py").body)
    return path


@pytest.fixture
def module(script):
    spec = importlib.util.spec_from_file_location("waybill_client", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(module, server):
    return module.Waybill(f"http://{server.netloc}", patience=20)


@pytest.fixture
def broken(package):
    return package({"model/config.json": {"model_type": "Custom", "runtime": "base",
                                          "model_algorithm": 3}}, name="broken")


def test_a_model_is_imported_and_its_events_are_there(client, package):
    model = client.import_model(f"file://{package()}", "m", description="by a program")
    assert (model["model_status"], model["model_version"], model["model_type"]) == \
        ("published", "0.0.1", "Custom")
    assert model["description"] == "by a program"
    events = client.events(model["model_id"])
    assert event_names(events) == SOUND
    assert list(client.follow(model["model_id"])) == events
    assert list(client.follow(model["model_id"], after=8)) == events[8:]
    assert list(client.follow(model["model_id"], after=10)) == []
    assert [event["seq"] for event in client.events(model["model_id"], event_type="abnormal")] == []


def test_versions_follow_each_other(client, package):
    source = f"file://{package()}"
    versions = [client.import_model(source, "m", version)["model_version"]
                for version in (None, None, "0.0.99", None)]
    assert versions == ["0.0.1", "0.0.2", "0.0.99", "0.1.0"]


def test_a_failed_import_says_what_where_and_what_to_do(client, module, server, broken):
    with pytest.raises(module.ImportFailed) as caught:
        client.import_model(f"file://{broken}", "m", model_type="Custom")
    failed = caught.value
    assert (failed.reason, failed.kind, failed.fix_by) == ("ConfigValueInvalid", "value", "you")
    assert failed.place == "model/config.json:4:22"
    assert failed.summary and failed.steps and str(failed) == f"{failed.place}: {failed.summary}"
    assert failed.steps == failed.event["advice"]
    assert failed.link == \
        f"http://{server.netloc}/#/default/models/{failed.model_id}/events/{failed.event['seq']}"
    (broken / "model/config.json").write_text('{"model_type": "Custom", "model_algorithm": "x"}')
    assert client.retry(failed.model_id)["model_status"] == "published"
    timeline = list(client.follow(failed.model_id))
    assert_timeline(timeline)
    assert timeline[-1]["attempt"] == 2


def test_texts_are_in_the_language_that_is_asked_for(module, server, broken):
    client = module.Waybill(f"http://{server.netloc}", language="zh")
    with pytest.raises(module.ImportFailed) as caught:
        client.import_model(f"file://{broken}", "m", model_type="Custom")
    assert re.search("[一-鿿]", caught.value.summary) and re.search("[一-鿿]", caught.value.steps[0])


def test_a_check_finds_all_and_stores_nothing(client, server, broken, package):
    answer = client.check(f"file://{broken}")
    assert not answer["ok"] and answer["findings"][0]["reason"] == "ConfigValueInvalid"
    assert client.check(f"file://{package()}")["ok"]
    assert server.get("/models").json["total_count"] == 0


def test_a_key_of_ones_own_imports_once(client, server, package):
    source = f"file://{package()}"
    ids = {client.submit(source, "m", "0.0.1", idempotency_key="run-7") for _ in range(2)}
    assert len(ids) == 1
    client.wait(ids.pop())
    assert server.get("/models").json["total_count"] == 1


def test_refusals_are_told_in_the_server_s_words(client, module, package, tmp_path):
    with pytest.raises(module.ApiError) as caught:
        client.submit("file:///etc", "m", model_type="Custom")
    assert (caught.value.status, caught.value.code) == (400, "ModelArts.3017")
    with pytest.raises(module.ApiError) as caught:
        client.submit(f"file://{package()}", "bad name", "1", "Nothing")
    assert len(caught.value.details) == 3
    with pytest.raises(module.ApiError) as caught:
        list(client.follow("nobody"))
    assert caught.value.status == 404
    with pytest.raises(NotADirectoryError):
        client.submit(str(tmp_path / "nothing"), "m")
    with pytest.raises(ValueError, match="model_type is not given"):
        client.submit(f"file://{package({'model/config.json': None}, name='bare')}", "m")


def test_a_wait_ends_in_time(client, server, package):
    model_id = client.submit(f"file://{package({'model/weights.bin': 4096 * MIB})}", "m")
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        client.wait(model_id, timeout=1.2)
    assert 1.2 <= time.monotonic() - began < 10
    server.ask("POST", f"/v1/default/models/{model_id}/cancel", {})


def test_a_server_that_is_not_there_is_told(module):
    client = module.Waybill("http://127.0.0.1:9", patience=0.5)
    for call in (lambda: client.events("x"), lambda: list(client.follow("x")),
                 lambda: client.import_model("file:///x", "m", "0.0.1", "Custom")):
        with pytest.raises(module.Unreachable):
            call()


@pytest.mark.parametrize("seed", range(2))
def test_following_loses_and_doubles_nothing(client, server, package, seed):
    """The server is killed again and again while several follow."""
    chance = random.Random(seed)
    model_id = client.submit(f"file://{package({'model/weights.bin': 200 * MIB})}", "m")
    seen = [[] for _ in range(5)]

    def follow(events):
        events.extend(client.follow(model_id))

    followers = [threading.Thread(target=follow, args=(events,), daemon=True) for events in seen]
    for follower in followers:
        follower.start()
    for _ in range(3):
        time.sleep(chance.random() * 0.3)
        server.stop(chance.choice([signal.SIGKILL, signal.SIGTERM]))
        server.start()
    for follower in followers:
        follower.join(60)
    for events in seen:
        assert_timeline(events)
        assert [name for name in event_names(events) if name != "ImportResumed"] == SOUND
        assert events == seen[0]


# -- uploads --

class FakeUploads(http.server.BaseHTTPRequestHandler):
    """Takes uploads; the first PUT of each file is cut."""
    files, cut = {}, set()

    def answer(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, {"upload_id": "u1"})

    def do_PUT(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path not in self.cut:
            self.cut.add(self.path)
            self.close_connection = True
            return
        self.files[self.path] = content
        self.answer(200, {})

    def log_message(self, *arguments):
        pass


@pytest.fixture
def uploads():
    FakeUploads.files, FakeUploads.cut = {}, set()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeUploads) as fake:
        thread = threading.Thread(target=fake.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{fake.server_port}", FakeUploads.files
        fake.shutdown()
        thread.join()


def test_a_directory_is_uploaded_file_by_file(module, uploads, package):
    url, files = uploads
    source = package({"model/a b/模型.bin": "weights", "model/empty": "", "waybill.json": {},
                      "notes.txt": "not part of the import"},
                     links={"model/link": "weights.bin"})
    assert module.Waybill(url, patience=10).upload(str(source)) == "upload://u1"
    root = "/v1/default/uploads/u1/"
    assert {path.removeprefix(root): content for path, content in files.items()
            if not path.endswith(".json")} == {
        "model/a%20b/%E6%A8%A1%E5%9E%8B.bin": b"weights", "model/empty": b"",
        "model/link": b"weights", "model/weights.bin": b"weights"}
    assert {root + "model/config.json", root + "waybill.json"} < set(files)


def test_nothing_outside_of_a_package_is_uploaded(module, uploads, package):
    url, files = uploads
    for links in ({"model/link": "/etc/passwd"}, {"model/link": "../.."}):
        source = package(links=links, name=f"p{len(links['model/link'])}")
        with pytest.raises(ValueError, match="is a link"):
            module.Waybill(url).upload(str(source))
    assert not files


class FakeOther(http.server.BaseHTTPRequestHandler):
    """Refuses what is sent before it has read it, and sends everybody else somewhere else."""
    asked, elsewhere = [], ""

    def do_PUT(self):
        text = b'{"error_code": "ModelArts.0104", "error_msg": "too large"}'
        self.send_response(413)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        self.asked.append(self.headers.get("X-Auth-Token"))
        self.send_response(302)
        self.send_header("Location", self.elsewhere)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = FakeUploads.do_POST
    answer = FakeUploads.answer

    def log_message(self, *arguments):
        pass


@pytest.fixture
def other():
    FakeOther.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeOther) as fake:
        thread = threading.Thread(target=fake.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{fake.server_port}"
        fake.shutdown()
        thread.join()


def test_a_file_that_is_refused_is_told_in_the_server_s_words(module, other, package):
    source = package({"model/large.bin": 64 << 20})
    with pytest.raises(module.ApiError, match="too large") as refused:
        module.Waybill(other, patience=5).upload(str(source))
    assert refused.value.status == 413


def test_a_token_goes_nowhere_else(module, other, uploads):
    FakeOther.elsewhere = other.replace("127.0.0.1", "localhost") + "/v1/default/models/x"
    with pytest.raises(module.ApiError) as refused:
        module.Waybill(other, token="secret", patience=1).model("x")
    assert refused.value.status == 302 and FakeOther.asked == ["secret"]


def test_what_cannot_be_sent_is_told(module, uploads, package):
    source = package(links={"model/link": "nothing"})
    with pytest.raises(ValueError, match="link to nothing"):
        module.Waybill(uploads[0]).upload(str(source))


def test_patience_begins_with_the_first_failure(module):
    tries = module._Tries(0.5)
    time.sleep(0.6)
    tries.again(ConnectionError("once"))
    with pytest.raises(module.Unreachable):
        for _ in range(10):
            tries.again(ConnectionError("again"))


def test_a_key_of_ones_own_needs_arguments_that_stay(client, package):
    for version, source in ((None, "file:///x"), ("0.0.1", str(package()))):
        with pytest.raises(ValueError, match="idempotency key"):
            client.submit(source, "m", version, idempotency_key="k")


# -- the command line --

@pytest.fixture
def run(server, script):
    def run(*arguments, url=None, env=None):
        return subprocess.run([sys.executable, "-B", str(script), *map(str, arguments)],
                              env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                                   "WAYBILL_SERVER": url or f"http://{server.netloc}"} | (env or {}),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    return run


def test_the_command_line_imports_like_waybill_import(run, server, package, broken):
    done = run("import", f"file://{package()}", "--name", "m", "--version", "0.0.1")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert len(done.stdout.splitlines()) == len(SOUND)
    model_id = server.get("/models").json["models"][0]["model_id"]
    printed = [json.loads(line) for line in run("events", model_id, "--json").stdout.splitlines()]
    assert event_names(printed) == SOUND
    assert run("follow", model_id).stdout == run("events", model_id).stdout
    assert json.loads(run("wait", model_id, "--json").stdout)["model_status"] == "published"

    failed = run("import", f"file://{broken}", "--name", "b", "--type", "Custom")
    assert failed.returncode == 1 and failed.stderr.startswith(
        "waybill.py: model/config.json:4:22: "), failed
    assert "\n  1. " in failed.stderr and "/events/2" in failed.stderr

    taken = run("import", f"file://{package()}", "--name", "m", "--version", "0.0.1")
    assert taken.returncode == 2 and "is taken" in taken.stderr, taken
    assert run("import", "nothing", "--name", "m").returncode == 2
    assert run("import").returncode == 2
    assert run("wait", "nobody").returncode == 1


def test_the_command_line_checks(run, package, broken):
    sound = run("check", f"file://{package()}")
    assert (sound.returncode, sound.stdout) == (0, "")
    found = run("--lang", "zh", "check", f"file://{broken}")
    assert found.returncode == 1 and re.search("[一-鿿]", found.stdout) and "1. " in found.stdout
    whole = run("check", f"file://{broken}", "--json")
    assert whole.returncode == 1 and json.loads(whole.stdout)["findings"]


def test_a_config_of_ones_own_is_sent_along(run, server, package, tmp_path):
    config = tmp_path / "own.json"
    config.write_text('{"model_type": "Custom", "model_algorithm": "own"}')
    done = run("import", f"file://{package({'model/config.json': None})}", "--name", "m",
               "--config", config, "--detach")
    assert done.returncode == 0, done
    details = server.settled(done.stdout.strip())
    assert json.loads(details["config"])["model_algorithm"] == "own"


def test_the_same_key_and_arguments_import_once(run, server, package):
    arguments = ("import", f"file://{package()}", "--name", "m", "--version", "0.0.1",
                 "--idempotency-key", "build-7")
    assert [run(*arguments).returncode for _ in range(2)] == [0, 0]
    assert server.get("/models").json["total_count"] == 1


def test_a_directory_of_this_machine_is_sent_and_imported(client, run, server, package):
    source = package({"model/deep/a file.bin": 3 << 20, "model/空.txt": "x"})
    model = client.import_model(str(source), name="sent")
    details = server.get(f"/models/{model['model_id']}").json
    assert details["model_status"] == "published"
    assert details["source_location"].startswith("upload://")
    assert sum(layer["files"] for layer in details["layers"] if layer["origin"] == "model") == 4
    assert run("import", str(source), "--name", "sent").returncode == 0
    assert server.get("/models").json["total_count"] == 2
