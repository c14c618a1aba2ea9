"""What programs and pipelines need of the API: requests that may be sent twice, a check before the
import, the reason in Terraform's error."""
import signal
import sqlite3
import threading

import pytest

from serving import Server

MIB = 1 << 20


@pytest.fixture
def server(ready, tmp_path):
    server = Server(ready, tmp_path)
    yield server
    assert server.stop() == 0


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
