"""`waybill serve` over HTTP: the API's routes, its errors, streams, bad input, and its end."""
import http.client
import json
import random
import re
import resource
import signal
import socket
import sqlite3
import ssl
import subprocess
import threading
import time

import pytest

from attempts import SOUND
from serving import Server, read_stream
from wholeness import assert_store, assert_timeline, event_names

MIB = 1 << 20


def error_code(answer):
    return answer.status, answer.json["error_code"]


def test_a_client_creates_polls_reads_back_and_deletes(server, package):
    """What the Terraform provider does."""
    config = {"model_type": "Custom", "model_algorithm": "digits", "runtime": "base"}
    created = server.create(package(), initial_config=json.dumps(config), model_metrics="{}",
                            install_type=["real-time", "batch"], source_copy="false")
    assert created.status == 200, created
    model_id = created.json["model_id"]
    details = server.settled(model_id)
    assert details["model_status"] == "published", details
    assert json.loads(details["config"]) == config
    assert details["model_metrics"] == "{}"
    assert details["source_copy"] == "false"
    assert details["install_type"] == ["real-time", "batch"]
    assert details["image_digest"].startswith("sha256:")
    deleted = server.ask("DELETE", f"/v1/default/models/{model_id}")
    assert deleted.json == {"delete_success_list": [model_id], "delete_failed_list": []}
    assert error_code(server.get(f"/models/{model_id}")) == (404, "ModelArts.3001")
    assert server.get("/models").json == {"total_count": 0, "count": 0, "models": []}


def test_list_filters_sorts_and_pages_by_items(server, package):
    source = package()
    ids = {}
    for name, version in [("a_b", "0.0.1"), ("a_b", "0.0.10"), ("a_b", "0.0.2"), ("axb", "1.0.0")]:
        model_id = server.create(source, name, version, description=f"of {version}").json["model_id"]
        server.settled(model_id)
        ids[name, version] = model_id

    def versions(**query):
        answer = server.get("/models", **query).json
        assert answer["count"] == len(answer["models"])
        return answer["total_count"], [model["model_version"] for model in answer["models"]]

    assert versions(sort_by="model_version", order="asc")[1] == ["0.0.1", "0.0.2", "0.0.10", "1.0.0"]
    assert versions()[1] == ["1.0.0", "0.0.2", "0.0.10", "0.0.1"]
    assert versions(model_name="_", sort_by="model_version")[0] == 3
    assert versions(model_name="a", exact_match="true") == (0, [])
    assert versions(model_name="a_b", exact_match="true", model_version="0.0.2") == (1, ["0.0.2"])
    assert versions(description="0.0.10") == (1, ["0.0.10"])
    assert versions(model_status="failed") == (0, [])
    assert versions(model_status="published")[0] == 4
    assert versions(not_model_type="Custom") == (0, [])
    pages = [versions(offset=offset, limit=3, sort_by="model_version", order="asc")[1]
             for offset in (0, 3, 6)]
    assert pages == [["0.0.1", "0.0.2", "0.0.10"], ["1.0.0"], []]
    cascade = server.ask("DELETE", f"/v1/default/models/{ids['a_b', '0.0.2']}", cascade="true").json
    assert sorted(cascade["delete_success_list"]) == sorted(
        model_id for (name, _), model_id in ids.items() if name == "a_b")


def test_a_failed_import_says_why_on_its_details(server, package):
    source = package({"model/config.json": {"model_type": "Custom", "runtime": "base",
                                            "model_algorithm": 3}})
    details = server.settled(server.create(source).json["model_id"])
    assert details["model_status"] == "failed"
    assert details["failure"]["reason"] == "ConfigValueInvalid"
    assert details["failure"]["summary"] and details["failure"]["summary_cn"]
    mended = server.ask("POST", f"/v1/default/models/{details['model_id']}/retry", {})
    assert mended.json["attempt"] == 2
    assert server.settled(details["model_id"])["model_status"] == "failed"


def test_events_are_listed_with_every_filter(server, package):
    model_id = server.create(package()).json["model_id"]
    server.settled(model_id)

    def listed(**query):
        answer = server.get(f"/models/{model_id}/events", **query).json
        assert answer["count"] == len(answer["events"])
        return answer

    everything = listed()
    assert_timeline(everything["events"])
    assert event_names(everything["events"]) == SOUND
    assert everything["total_count"] == everything["last_seq"] == len(SOUND)
    assert listed(event_type="abnormal,hint")["total_count"] == 0
    assert [event["seq"] for event in listed(after=7)["events"]] == [8, 9, 10]
    assert [event["seq"] for event in listed(offset=2, limit=2)["events"]] == [3, 4]
    assert [event["seq"] for event in listed(order="desc", limit=1)["events"]] == [10]
    assert [event["seq"] for event in listed(reason="ModelImported")["events"]] == [10]
    assert {event["stage"] for event in listed(stage="build")["events"]} == {"build"}
    assert listed(attempt=2)["total_count"] == 0
    assert [event["seq"] for event in listed(event_info="开始导入")["events"]] == [1]
    late = everything["events"][-1]["occur_time"]
    assert listed(start_time=late + 1)["total_count"] == 0
    assert listed(end_time=late)["total_count"] == 10


@pytest.mark.parametrize("body, status, code, words", [
    (b"{", 400, "ModelArts.0104", "not JSON"),
    (b"[]", 400, "ModelArts.0104", "JSON object"),
    ({}, 400, "ModelArts.0104", "model_name is missing"),
    ({"model_name": 1, "model_version": "0.0.1", "model_type": "PyTorch",
      "source_location": "file:///x"}, 400, "ModelArts.0104", "model_name must be a string"),
    ({"model_name": "m", "model_version": "0.0.1", "model_type": "PyTorch",
      "source_location": "file:///etc"}, 400, "ModelArts.3017", "import_roots"),
    ({"model_name": "m", "model_version": "0.0.1", "model_type": "PyTorch",
      "source_location": "//etc"}, 400, "ModelArts.3017", "import_roots"),
])
def test_bad_requests_are_told_what_is_wrong(server, body, status, code, words):
    answer = server.ask("POST", "/v1/default/models", body)
    assert error_code(answer) == (status, code), answer
    assert words in answer.json["error_msg"]
    assert answer.headers["x-request-id"]


def test_several_faults_are_all_named(server, package):
    answer = server.create(package(), name="bad name", version="x", model_type="Nothing")
    assert error_code(answer) == (400, "ModelArts.3037")
    assert len(answer.json["details"]) == 3
    for fault in answer.json["details"]:
        assert fault in answer.json["error_msg"]


def test_a_source_is_never_outside_the_import_roots(ready, package, tmp_path):
    (tmp_path / "roots").mkdir()
    outside = package()
    (tmp_path / "roots/link").symlink_to(outside)
    server = Server(ready, tmp_path / "roots")
    try:
        for source in (tmp_path / "roots/link", tmp_path / "roots/../roots/link", outside,
                       f"{tmp_path}/roots-of-another"):
            assert error_code(server.create(source)) == (400, "ModelArts.3017")
    finally:
        server.stop()


def test_a_taken_version_is_a_conflict(server, package):
    source = package()
    server.settled(server.create(source).json["model_id"])
    assert error_code(server.create(source)) == (409, "ModelArts.3002")


@pytest.mark.parametrize("method, path, headers, status", [
    ("PATCH", "/v1/default/models", {}, 405),
    ("GET", "/v1/default/nothing", {}, 404),
    ("GET", "/v1/default/models/..%2f..%2fetc", {}, 400),
    ("GET", "/v1/default/models/%00", {}, 400),
    ("GET", "/v1/default/models/%zz", {}, 400),
    ("GET", "/v1/default/models/%ff", {}, 400),
    ("GET", "/v1/default/models/../models", {}, 400),
    ("GET", "/v1/default/models?offset=-1", {}, 400),
    ("GET", "/v1/default/models?sort_by=name", {}, 400),
    ("GET", "/v1/default/models?model_type=a&not_model_type=b", {}, 400),
    ("GET", "/v1/default/models", {"Host": "evil.example"}, 403),
    ("GET", "/v1/default/models", {"Origin": "http://evil.example"}, 403),
    ("POST", "/v1/default/models", {"Content-Length": "99999999999"}, 413),
    ("GET", "/healthz", {}, 200),
    ("GET", "/readyz", {}, 200),
    ("HEAD", "/v1/default/models", {}, 200),
    ("GET", "/v1/event-catalog", {}, 200),
    ("GET", "/v1/default/models/ai-engine-runtimes", {}, 200),
])
def test_routes_and_what_is_none(server, method, path, headers, status):
    connection = server.connection()
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == status, response.read()
    if status == 405:
        assert response.headers["Allow"] == "POST, GET, HEAD"
    connection.close()


def test_a_body_that_is_too_large_without_saying_so_is_refused(server):
    connection = server.connection()
    connection.request("POST", "/v1/default/models", iter([b" " * MIB] * 6), encode_chunked=True,
                       headers={"Content-Type": "application/json",
                                "Transfer-Encoding": "chunked"})
    assert connection.getresponse().status == 413
    connection.close()


def test_a_thousand_half_open_connections_do_not_shut_others_out(server):
    host, port = server.netloc.split(":")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    idle = [socket.create_connection((host, int(port))) for _ in range(1000)]
    for client in idle[::2]:
        client.sendall(b"GET /v1/default/models HTTP/1.1\r\nHost: loc")
    assert server.get("/models").status == 200
    for client in idle:
        client.close()


def test_an_import_of_another_process_is_streamed_live(server, ready, package):
    process = ready.start("import", package({"model/weights.bin": 100 * MIB}), "--name", "other",
                          "--json")
    first = json.loads(process.stdout.readline())
    model = server.get("/models").json["models"][0]
    connection = server.connection()
    seen = []
    for seq, kind, event in read_stream(connection,
                                        f"/v1/default/models/{model['model_id']}/events/stream"):
        assert seq == event["seq"] and kind == event["event_type"]
        seen.append(event)
        if event["reason"] == "ModelImported":
            break
    connection.close()
    assert seen[0] == first
    assert event_names(seen) == SOUND
    assert process.wait() == 0


def test_wait_answers_when_there_is_news(server, package):
    model_id = server.create(package({"model/weights.bin": 50 * MIB})).json["model_id"]
    seen = 0
    while seen < len(SOUND):
        news = server.get(f"/models/{model_id}/events", after=seen, wait=60).json
        assert [event["seq"] for event in news["events"]][0] == seen + 1
        seen = news["events"][-1]["seq"]
    assert server.get(f"/models/{model_id}", wait=60).json["model_status"] == "published"
    begun = time.monotonic()
    assert server.get(f"/models/{model_id}/events", after=seen, wait=1).json["events"] == []
    assert time.monotonic() - begun > 0.9
    other = server.create(package({"model/weights.bin": 50 * MIB}, name="other"), "other")
    other_id = other.json["model_id"]
    assert server.get(f"/models/{other_id}", wait=60).json["model_status"] == "published"
    assert server.get(f"/models/{model_id}/events", after=seen, wait="x").status == 400


def test_the_log_is_read_whole_in_parts_and_to_its_end(server, package):
    model_id = server.create(package({"model/weights.bin": 50 * MIB})).json["model_id"]
    path = f"/v1/default/models/{model_id}/log"
    followed = server.ask("GET", path, follow="1").body
    assert server.get(f"/models/{model_id}").json["model_status"] == "published"
    whole = server.ask("GET", path)
    assert whole.status == 200 and whole.body == followed and b"manifest sha256:" in followed
    size = len(followed)
    for text, begin, end in (("bytes=0-9", 0, 10), ("bytes=5-", 5, size), ("bytes=-7", size - 7, size),
                             (f"bytes=3-{size * 2}", 3, size)):
        part = server.ask("GET", path, headers={"Range": text})
        assert part.status == 206 and part.body == followed[begin:end], text
        assert part.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
    assert server.ask("GET", path, headers={"Range": f"bytes={size}-"}).status == 416
    assert server.ask("GET", path, headers={"Range": "lines=1-2"}).status == 200
    assert server.ask("GET", path, attempt=2).status == 404


def test_statistics_and_metrics_count_what_happened(server, package):
    for number in range(3):
        server.settled(server.create(package(name=f"p{number}"), f"m{number}").json["model_id"])
    broken = package(name="broken", config={"model_type": "Nonsense"})
    server.settled(server.create(broken, "broken").json["model_id"])
    found = server.get("/statistics").json
    [day] = found["days"]
    assert (day["imported"], day["failed"]) == (3, 1)
    assert [(row["reason"], row["count"]) for row in found["reasons"]][0][0] == "ConfigValueInvalid"
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert stages["build"]["count"] >= 3
    assert all(0 <= stage["p50_ms"] <= stage["p95_ms"] for stage in found["stages"])
    assert server.get("/statistics", days="0").json["days"] == []
    metrics = server.ask("GET", "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = metrics.body.decode().splitlines()
    assert 'waybill_attempts{outcome="imported"} 3' in lines
    assert 'waybill_events{reason="ImportFailed"} 1' in lines
    assert 'waybill_http_request_seconds_bucket{le="+Inf"} ' in metrics.body.decode()
    for line in lines:
        assert re.fullmatch(r"# (HELP|TYPE) .*|[a-z_]+(\{[a-z]+=\"[^\"]*\"\})? [0-9.]+", line), line


def test_requests_are_logged_as_text_or_json(ready, tmp_path):
    for form in ("text", "json"):
        log = tmp_path / form
        with open(log, "w") as stderr:
            server = Server(ready, tmp_path, "--log-format", form, stderr=stderr)
            answer = server.ask("GET", "/v1/default/models/a%22b%0A")
            assert server.stop() == 0
        [line] = log.read_text().splitlines()
        if form == "json":
            line = json.loads(line)
            assert (line["method"], line["status"]) == ("GET", 404)
            assert line["request_id"] == answer.headers["x-request-id"]
        else:
            assert line.startswith("GET /v1/default/models/a%22b%0A 404 ")
    refused = ready.run("serve", "--log-format", "xml")
    assert refused.returncode == 2 and "expected text or json" in refused.stderr


def test_diff_against_another_and_since_it_worked(server, package):
    source = package()
    first = server.create(source).json["model_id"]
    server.settled(first)
    assert server.get(f"/models/{first}/diff").status == 404
    (source / "model/more.txt").write_text("more")
    second = server.create(source, version="0.0.2").json["model_id"]
    server.settled(second)
    for found in (server.get(f"/models/{second}/diff"),
                  server.get(f"/models/{second}/diff", against="m:0.0.1")):
        assert [(file["change"], file["path"]) for file in found.json["files"]] == \
            [("added", "model/more.txt")], found
    assert server.get(f"/models/{second}/diff", against="nobody").status == 404


class Follower(threading.Thread):
    """Follows a model to its end, through cuts of its own and restarts of the server."""

    def __init__(self, server, model_id, seed):
        super().__init__(daemon=True)
        self.server, self.model_id, self.chance = server, model_id, random.Random(seed)
        self.events, self.cuts = [], 0

    def follow_once(self):
        connection = self.server.connection(timeout=10)
        path = f"/v1/default/models/{self.model_id}/events/stream"
        last = self.events[-1]["seq"] if self.events else None
        cut_after = self.chance.randrange(1, 8)
        try:
            for count, (_, _, event) in enumerate(read_stream(connection, path, last), 1):
                self.events.append(event)
                if event["reason"] in ("ModelImported", "ImportFailed"):
                    return True
                if count == cut_after:
                    break
        finally:
            connection.close()
        return False

    def run(self):
        end = time.monotonic() + 90
        while time.monotonic() < end:
            try:
                if self.follow_once():
                    return
                self.cuts += 1
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)


def test_streams_lose_and_double_nothing(server, package):
    """200 clients follow 20 imports, are cut at random and reconnect; the server is killed twice."""
    source = package({"model/weights.bin": 40 * MIB})
    ids = [server.create(source, f"m{number}").json["model_id"] for number in range(20)]
    followers = [Follower(server, ids[number % 20], number) for number in range(200)]
    for follower in followers:
        follower.start()
    for _ in range(2):
        time.sleep(0.7)
        server.stop(signal.SIGKILL)
        server.start()
    for follower in followers:
        follower.join(120)
    for follower in followers:
        assert not follower.is_alive() and follower.events
        assert_timeline(follower.events)
        names = [name for name in event_names(follower.events) if name != "ImportResumed"]
        assert names == SOUND
    assert sum(follower.cuts for follower in followers) > 100


def test_sigterm_hands_running_imports_back_and_the_next_server_ends_them(ready, package, tmp_path):
    server = Server(ready, tmp_path)
    model_id = server.create(package({"model/weights.bin": 300 * MIB})).json["model_id"]
    connection = server.connection()
    stream = read_stream(connection, f"/v1/default/models/{model_id}/events/stream")
    assert next(stream)[0] == 1
    assert server.stop() == 0
    list(stream)  # it ends
    connection.close()
    assert ready.run("models", "--json").events[0]["model_status"] == "publishing"
    server.start()
    assert server.settled(model_id)["model_status"] == "published"
    assert server.stop() == 0
    assert_store(ready)


def test_tls_with_an_own_certificate(ready, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem",
                    "-out", tmp_path / "cert.pem"], check=True, capture_output=True)
    settings = ["--set", f"server.tls_cert={tmp_path}/cert.pem"]
    half = ready.run("serve", "--listen", "127.0.0.1:0", *settings)
    assert half.returncode == 2 and "server.tls_key is not set" in half.stderr
    wrong = ready.run("serve", "--listen", "127.0.0.1:0", *settings,
                      "--set", f"server.tls_key={tmp_path}/nothing")
    assert wrong.returncode == 3 and "server.tls_key" in wrong.stderr
    server = Server(ready, tmp_path, *settings, "--set", f"server.tls_key={tmp_path}/key.pem")
    context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    connection = http.client.HTTPSConnection(server.netloc, context=context, timeout=30)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    assert server.stop() == 0


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(ready, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(30)
        ready.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        server = Server(ready, tmp_path)
        assert listener.recv(100) == b"READY=1"
        assert server.stop() == 0
        assert listener.recv(100) == b"STOPPING=1"


def test_there_is_one_server_on_a_data_directory(server, ready):
    second = ready.run("serve", "--set", "server.listen=127.0.0.1:0")
    assert second.returncode == 3
    assert "a server runs on this data directory" in second.stderr


@pytest.mark.parametrize("listen, words", [("0.0.0.0:0", "waybill token create"), ("nothing", "HOST:PORT"),
                                           ("127.0.0.1:notaport", "HOST:PORT")])
def test_an_address_that_cannot_be_listened_on(ready, listen, words):
    refused = ready.run("serve", "--set", f"server.listen={listen}")
    assert refused.returncode in (2, 3)
    assert words in refused.stderr


def test_retry_of_what_a_server_works_on_is_refused(server, ready, package):
    model_id = server.create(package({"model/weights.bin": 4096 * MIB})).json["model_id"]
    refused = ready.run("retry", "m")
    assert refused.returncode == 2, str(refused)
    assert "is being imported now" in refused.stderr
    cancelled = server.ask("POST", f"/v1/default/models/{model_id}/cancel", {})
    assert cancelled.json["cancelled"], "it was to be in the middle of its import"
    assert server.settled(model_id)["model_status"] == "failed"


def test_delete_while_importing_cancels_first(server, ready, package):
    model_id = server.create(package({"model/weights.bin": 4096 * MIB})).json["model_id"]
    began = time.monotonic()
    deleted = server.ask("DELETE", f"/v1/default/models/{model_id}")
    assert deleted.json["delete_success_list"] == [model_id], str(deleted)
    assert time.monotonic() - began < 30
    with sqlite3.connect(ready.data / "waybill.db") as store:
        reasons = [row[0] for row in store.execute(
            "SELECT reason FROM events WHERE model_id = ?", (model_id,))]
        actors = {row[0] for row in store.execute("SELECT cancelled_by FROM jobs")}
    assert reasons.count("ImportCancelled") == 1 and "ImageBuilt" not in reasons, reasons
    assert actors == {"api"}


def test_faults_are_named_by_the_fields_of_the_body(server, package):
    refused = server.create(package(), name="no spaces", version="1")
    assert refused.status == 400
    assert [text.split(":")[0] for text in refused.json["details"]] == \
        ["model_name", "model_version"], str(refused)
    server.settled(server.create(package(), version="0.0.1").json["model_id"])
    taken = server.create(package(), version="0.0.1")
    assert taken.status == 409 and "--" not in taken.json["error_msg"], str(taken)
    odd = server.ask("POST", "/v1/default/models", b"{}",
                     {"Content-Type": "application/jsonx"})
    assert odd.status == 415, str(odd)


def test_a_failed_model_has_the_code_of_what_it_failed_of(ready, package, tmp_path):
    server = Server(ready, tmp_path, "--set", "limits.model_gib=0.0001",
                    "--set", "limits.model_file_gib=0.0001")
    try:
        wrong = package(config={"model_type": "Nonsense"}, name="wrong")
        large = package({"model/weights.bin": MIB}, name="large")
        codes = {}
        for source in (wrong, large):
            created = server.create(source, name=source.name).json["model_id"]
            server.settled(created)
            details = server.get(f"/models/{created}").json
            codes[details["failure"]["reason"]] = details["error_code"]
        assert codes == {"ConfigValueInvalid": "ModelArts.3006",
                         "ModelFileTooLarge": "ModelArts.3044"}
    finally:
        assert server.stop() == 0


def test_a_model_that_is_a_runtimes_base_is_not_deleted(server, ready, package):
    model_id = server.create(package()).json["model_id"]
    server.settled(model_id)
    image = f"oci:{ready.data}/images:default/m:0.0.1"
    ready.run("runtime", "add", "mine", "--image", image, check=True)
    deleted = server.ask("DELETE", f"/v1/default/models/{model_id}").json
    assert deleted["delete_success_list"] == []
    [failed] = deleted["delete_failed_list"]
    assert (failed["model_id"], failed["error_code"]) == (model_id, "ModelArts.3009"), failed
    refused = ready.run("delete", "m")
    assert refused.returncode == 2 and "base of runtime mine" in refused.stderr, str(refused)
    ready.run("runtime", "remove", "mine", check=True)
    assert server.ask("DELETE", f"/v1/default/models/{model_id}").json["delete_success_list"]


def test_the_list_knows_owners_names_and_newest_versions(server, package):
    source = package()
    ids = [server.create(source, name, version).json["model_id"]
           for name, version in (("b", "0.0.9"), ("b", "0.0.10"), ("a", "0.1.0"), ("b", "0.0.2"))]
    for model_id in ids:
        server.settled(model_id)

    def listed(**query):
        return [(item["model_name"], item["model_version"])
                for item in server.get("/models", **query).json["models"]]
    assert listed(newest="true", sort_by="model_name", order="asc") == [("a", "0.1.0"), ("b", "0.0.10")]
    assert server.get("/models", newest="true").json["total_count"] == 2
    assert len(listed(owner="api")) == 4 and listed(owner="ap") == []
    assert listed(sort_by="model_name", order="asc")[0] == ("a", "0.1.0")
    assert server.get("/models", newest="yes").status == 400
    assert server.get("/models").json["models"][0]["source_location"] == f"file://{source}"
    server.ask("DELETE", f"/v1/default/models/{ids[1]}")
    assert listed(newest="true", model_name="b") == [("b", "0.0.9")]


def test_events_before_one_are_listed(server, package):
    model_id = server.create(package()).json["model_id"]
    server.settled(model_id)

    def seqs(**query):
        return [event["seq"] for event in server.get(f"/models/{model_id}/events", **query).json["events"]]
    assert seqs(before=4) == [1, 2, 3]
    assert seqs(before=4, order="desc", limit=2) == [3, 2]
    assert seqs(before=4, after=1) == [2, 3]
    assert seqs(before=1) == []


def test_the_log_behind_a_line(server, package):
    model_id = server.create(package()).json["model_id"]
    server.settled(model_id)
    lines = server.get(f"/models/{model_id}/log").body.splitlines()
    for follow in ({}, {"follow": 1}):
        behind = server.get(f"/models/{model_id}/log", after=2, **follow).body.splitlines()
        assert behind == lines[2:] and behind
