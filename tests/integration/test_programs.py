"""What programs and pipelines need of the API: requests that may be sent twice, a check before the
import, the reason in Terraform's error."""
import json
import signal
import sqlite3
import statistics
import threading
import time

import pytest

from serving import Server

MIB = 1 << 20
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


def create(server, source, key, name="m", path="/v1/default/models", **fields):
    body = {"model_name": name, "model_version": "0.0.1", "model_type": "Custom",
            "source_location": f"file://{source}"} | fields
    return server.ask("POST", path, body, {"Idempotency-Key": key})


def count(server):
    return server.get("/models").json["total_count"]


# -- Idempotency-Key --

def test_the_same_request_is_answered_alike_and_imports_once(server, package):
    source = package({"model/weights.bin": 50 * MIB})
    first = create(server, source, "key-1")
    again = create(server, source, "key-1")  # the first import is still at work
    assert first.status == again.status == 200, again
    assert first.body == again.body
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert server.settled(first.json["model_id"])["model_status"] == "published"
    assert create(server, source, "key-1").body == first.body
    assert count(server) == 1
    assert server.get(f"/models/{first.json['model_id']}").json["attempt"] == 1


def test_of_two_at_once_exactly_one_imports(server, package):
    source, answers = package(), []
    for key in map(str, range(10)):
        senders = [threading.Thread(
            target=lambda key=key: answers.append(create(server, source, key, f"m{key}")))
            for _ in range(4)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    assert [answer.status for answer in answers] == [200] * 40, \
        [str(answer) for answer in answers if answer.status != 200]
    assert len({answer.body for answer in answers}) == 10
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 10
    assert count(server) == 10
    for model in server.get("/models").json["models"]:
        assert server.settled(model["model_id"])["attempt"] == 1


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_key_outlives_the_server(ready, package, tmp_path, how):
    server = Server(ready, tmp_path)
    source = package()
    first = create(server, source, "key")
    server.stop(how)
    server.start()
    assert create(server, source, "key").body == first.body
    assert count(server) == 1
    server.settled(first.json["model_id"])
    assert server.stop() == 0


def test_a_key_is_of_one_body_one_project_and_one_route(server, package):
    source = package()
    first = create(server, source, "key").json["model_id"]
    other = create(server, source, "key", description="another")
    assert (other.status, other.json["error_code"]) == (422, "ModelArts.0104"), other
    assert "another body" in other.json["error_msg"]
    server.settled(first)
    assert create(server, source, "key", path="/v1/default/models/").json["model_id"] == first
    retried = server.ask("POST", f"/v1/default/models/{first}/retry", {},
                         {"Idempotency-Key": "key"})
    assert retried.status == 200 and retried.json == {"model_id": first, "attempt": 1}
    with sqlite3.connect(server.waybill.data / "waybill.db") as store:
        store.execute("INSERT INTO projects(id, created_at) VALUES ('p2', 0)")
    store.close()
    second = create(server, source, "key", path="/v1/p2/models")
    assert second.status == 200 and second.json["model_id"] != first
    server.ask("GET", f"/v1/p2/models/{second.json['model_id']}", wait=60)


def test_a_retry_that_is_sent_twice_is_one_attempt(server, package):
    source = package(config={"model_type": "Nonsense"})
    model_id = create(server, source, "create").json["model_id"]
    assert server.settled(model_id)["model_status"] == "failed"
    for key, attempt in (("one", 2), ("two", 3)):
        for _ in range(3):
            answer = server.ask("POST", f"/v1/default/models/{model_id}/retry", {},
                                {"Idempotency-Key": key})
            assert answer.json == {"model_id": model_id, "attempt": attempt}, answer
            server.settled(model_id)
    (source / "model/config.json").write_text(
        '{"model_type": "Custom", "model_algorithm": "test"}')
    server.ask("POST", f"/v1/default/models/{model_id}/retry", {}, {"Idempotency-Key": "three"})
    assert server.settled(model_id)["model_status"] == "published"
    for _ in range(2):
        done = server.ask("POST", f"/v1/default/models/{model_id}/retry", {},
                          {"Idempotency-Key": "four"})
        assert done.json == {"model_id": model_id, "attempt": 4}, done


def test_a_refused_request_keeps_nothing(server, package):
    source = package()
    refused = create(server, source, "key", model_type="Nothing")
    assert refused.status == 400
    mended = create(server, source, "key")
    assert mended.status == 200, mended
    server.settled(mended.json["model_id"])


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "é", "tab\there"])
def test_a_bad_key_is_refused(server, package, key):
    refused = create(server, package(), key)
    assert (refused.status, refused.json["error_code"]) == (400, "ModelArts.0104"), refused
    assert "1 to 255 visible ASCII" in refused.json["error_msg"]
    assert count(server) == 0


def test_a_key_of_255_characters_is_taken(server, package):
    key = "!" + "k" * 253 + "~"
    answers = {create(server, package(), key).body for _ in range(2)}
    assert len(answers) == 1
    server.settled(server.get("/models").json["models"][0]["model_id"])


def test_a_key_expires_and_is_cleaned_away(server, package):
    source = package()
    for name in ("old", "older"):
        server.settled(create(server, source, name, name).json["model_id"])
    with sqlite3.connect(server.waybill.data / "waybill.db") as store:
        [(hours,)] = store.execute("SELECT DISTINCT (expires_at - unixepoch() * 1000) / 3600000.0 "
                                   "FROM idempotency_keys LIMIT 1").fetchall()
        assert 23.9 < hours < 24.1
        store.execute("UPDATE idempotency_keys SET expires_at = unixepoch() * 1000")
    taken = create(server, source, "old", "old")
    assert taken.status == 409, "the key is forgotten, the version is not"
    anew = create(server, source, "old", "new")
    assert anew.status == 200 and "idempotency-replayed" not in anew.headers
    assert create(server, source, "old", "new").json == anew.json
    server.settled(anew.json["model_id"])
    assert [row[0] for row in store.execute("SELECT key FROM idempotency_keys")] == ["old"]
    store.close()


# -- the check before an import --

def check(server, source, **fields):
    return server.ask("POST", "/v1/default/models/check",
                      {"source_location": f"file://{source}"} | fields)


def test_check_answers_what_the_command_prints(server, ready, package):
    broken = package(files={"model/pointer": LFS, "model/config.json": {
        "model_type": "Custom", "model_algorithm": 3, "metrics": {"f1": "x"}}}, name="broken")
    for source in (broken, package()):
        printed = ready.run("check", source, "--json")
        answer = check(server, source)
        assert answer.status == 200, answer
        found = answer.json
        assert found.pop("ok") == (printed.returncode == 0)
        assert found.pop("runtime") == "base" and found.pop("model_type") == "Custom"
        assert found.pop("unused") == []
        assert found == printed.events[0]
    assert len(check(server, broken).json["findings"]) == 3
    assert count(server) == 0, "a check stores nothing"


def test_check_takes_the_request_s_config_and_type(server, package):
    source = package({"model/config.json": None})
    [finding] = check(server, source).json["findings"]
    assert finding["kind"] == "no_config"
    given = check(server, source, initial_config='{"model_type": "Custom", "model_algorithm": "x",'
                                                 ' "surplus": 1}')
    assert given.json["ok"] and given.json["unused"] == ["surplus"], given
    other = check(server, package(), model_type="PyTorch")
    assert not other.json["ok"] and other.json["findings"][0]["kind"] == "disagrees"


@pytest.mark.parametrize("fields, status, words", [
    ({"source_location": "file:///etc"}, 400, "import_roots"),
    ({"source_location": None}, 400, "source_location is missing"),
    ({"template": {"template_id": "x"}}, 400, "template"),
    ({"surplus": 1}, 400, "surplus is not a field"),
    ({"model_name": "no spaces"}, 400, "model_name"),
])
def test_check_refuses_what_create_refuses(server, package, fields, status, words):
    answer = check(server, package(), **fields)
    assert answer.status == status and words in answer.json["error_msg"], answer
    created = server.create(package(), **fields)
    assert created.status == status and words in created.json["error_msg"], created


def test_check_without_a_source_says_so(server):
    answer = server.ask("POST", "/v1/default/models/check", {})
    assert answer.status == 400 and answer.json["details"] == ["source_location is missing"]


@pytest.fixture
def wide(package):
    """A package that takes its time to be listed."""
    source = package(name="wide")
    for number in range(20000):
        (source / f"model/{number}").touch()
    return source


def test_checks_of_many_files_hold_nobody_up(server, wide):
    answers = []
    checks = [threading.Thread(target=lambda: answers.append(check(server, wide)))
              for _ in range(6)]
    for one in checks:
        one.start()
    others = []
    while any(one.is_alive() for one in checks):
        began = time.monotonic()
        assert server.ask("GET", "/healthz").status == 200
        others.append(time.monotonic() - began)
    assert [answer.json["files"] for answer in answers] == [20002] * 6
    assert len(others) > 50 and statistics.median(others) < 0.1, (len(others), max(others))


def test_a_server_that_stops_answers_the_checks_that_wait(ready, wide, tmp_path):
    server, statuses = Server(ready, tmp_path), []

    def ask():
        try:
            statuses.append(check(server, wide).status)
        except OSError:
            statuses.append(None)  # it came too late to be heard

    checks = [threading.Thread(target=ask) for _ in range(12)]
    for one in checks:
        one.start()
    while not statuses:
        time.sleep(0.001)
    assert server.stop() == 0
    for one in checks:
        one.join()
    assert len(statuses) == 12 and statuses[0] == 200
    assert set(statuses) <= {200, 503, None} and 503 in statuses, statuses


# -- Terraform --

PROVIDER = {"User-Agent": "HashiCorp Terraform/1.9.0 (+https://www.terraform.io) "
                          "terraform-provider-iac/1.70.0"}


def read(server, model_id, headers=PROVIDER):
    return server.ask("GET", f"/v1/default/models/{model_id}", headers=headers)


def polled(server, model_id):
    """The provider's way: any status but publishing and published is an error, shown as it is."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status = read(server, model_id).json["model_status"]
        if status != "publishing":
            return status
        time.sleep(0.05)
    raise AssertionError("it publishes without end")


def test_the_resource_of_terraform_lives_from_create_to_delete(ready, package, tmp_path):
    server = Server(ready, tmp_path, "--set", "compat.terraform_reason=true")
    config = {"model_type": "Custom", "runtime": "base", "model_algorithm": "digits",
              "metrics": {"f1": 0.5}}
    body = {"model_name": "tf", "model_version": "0.0.1", "model_type": "Custom",
            "source_location": f"file://{package({'model/weights.bin': 40 * MIB})}",
            "description": "of terraform", "initial_config": json.dumps(config, indent=3),
            "source_copy": "true", "model_docs": [{"doc_name": "a", "doc_url": "https://x/y"}],
            "install_type": ["real-time"], "workspace_id": "0", "model_algorithm": "digits",
            "template": {}, "dependencies": None, "model_metrics": None}  # what is not set
    try:
        created = server.ask("POST", "/v1/default/models", body, PROVIDER)
        assert created.status == 200 and set(created.json) == {"model_id"}
        model_id = created.json["model_id"]
        assert polled(server, model_id) == "published"
        details = read(server, model_id).json
        for field in ("model_name", "model_version", "model_type", "description", "source_copy",
                      "source_location", "model_docs", "install_type", "workspace_id", "model_algorithm"):
            assert details[field] == body[field], field
        assert json.loads(details["config"]) == config
        listed, offset = [], 0
        while page := server.ask("GET", "/v1/default/models", headers=PROVIDER, offset=offset,
                                 limit=1).json["models"]:
            listed += page
            offset += len(page)
        assert [model["model_id"] for model in listed] == [model_id]
        deleted = server.ask("DELETE", f"/v1/default/models/{model_id}", headers=PROVIDER)
        assert deleted.status == 200 and deleted.json["delete_success_list"] == [model_id]
        gone = read(server, model_id)
        assert (gone.status, gone.json["error_code"]) == (404, "ModelArts.3001")
    finally:
        assert server.stop() == 0


@pytest.mark.parametrize("setting", ["true", "false"])
def test_terraform_is_told_why_when_that_is_set(ready, package, tmp_path, setting):
    server = Server(ready, tmp_path, "--set", f"compat.terraform_reason={setting}")
    source = package({"model/config.json": {"model_type": "Custom", "runtime": "base",
                                            "model_algorithm": 3}})
    model_id = server.create(source).json["model_id"]
    other_id = server.create(package(name="sound"), "sound").json["model_id"]
    try:
        plain = server.settled(model_id)
        assert plain["model_status"] == "failed"
        failure = plain["failure"]
        assert failure["place"] == "model/config.json:4:22"
        assert failure["url"] == f"http://{server.netloc}/#/default/models/{model_id}/events/2", \
            "the console's page of the event"
        told = f"failed: ConfigValueInvalid model/config.json:4:22 {failure['summary']} " \
            f"{failure['url']}" if setting == "true" else "failed"
        assert polled(server, model_id) == told
        server.settled(other_id)
        statuses = {model["model_name"]: model["model_status"] for model in server.ask(
            "GET", "/v1/default/models", headers=PROVIDER).json["models"]}
        assert statuses == {"m": told, "sound": "published"}
        chinese = read(server, model_id, PROVIDER | {"X-Language": "zh-cn"}).json["model_status"]
        assert (failure["summary_cn"] in chinese) == (setting == "true")
        failed = server.ask("GET", "/v1/default/models", headers=PROVIDER, model_status="failed")
        assert failed.json["total_count"] == 1
    finally:
        assert server.stop() == 0


def test_the_terraform_setting_is_true_or_false(ready):
    refused = ready.run("serve", "--set", "compat.terraform_reason=yes")
    assert refused.returncode == 2 and "true or false" in refused.stderr, str(refused)
