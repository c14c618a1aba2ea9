"""Clients that send what no client should, or nothing, or never read: each gets the right error or is
dropped, memory stays bounded, and the others are served meanwhile."""
import json
import re
import resource
import socket
import sqlite3
import threading
import time

import pytest

from conftest import PROGRAM
from serving import Server, read_stream

MIB = 1 << 20
HEADER_SECONDS, BODY_SECONDS, SILENT_SECONDS = 2, 3, 2
HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
MODELS = b"/v1/default/models"
# Seconds within which others are answered, on a machine that has other things to do, too.
PROMPT = 5


@pytest.fixture
def server(ready, tmp_path):
    server = Server(ready, tmp_path, "--set", f"server.header_seconds={HEADER_SECONDS}",
                    "--set", f"server.body_seconds={BODY_SECONDS}",
                    "--set", f"server.silent_seconds={SILENT_SECONDS}")
    yield server
    assert server.process.poll() is None, "the server has died"
    assert server.stop() == 0


@pytest.fixture
def patient(ready, tmp_path):
    """With the time for a request's head that a server gives, for tests that keep it busy: a client
    that it does not get to would be taken for a silent one."""
    server = Server(ready, tmp_path)
    yield server
    assert server.process.poll() is None, "the server has died"
    assert server.stop() == 0


def room(mebibytes):
    """So much memory; a sanitizer keeps what was freed for a while, and shadows of all of it."""
    return (mebibytes + (1024 if is_sanitized() else 0)) * MIB


def is_sanitized():
    program = open(PROGRAM, "rb").read()
    return b"__asan_init" in program or b"__tsan_init" in program


def connect(server):
    host, port = server.netloc.split(":")
    client = socket.create_connection((host, int(port)))
    client.settimeout(30)
    return client


def read_to_end(client):
    answer = b""
    try:
        while got := client.recv(65536):
            answer += got
    except ConnectionError:
        pass
    return answer


def exchange(server, request):
    """What comes back until the server closes the connection."""
    with connect(server) as client:
        try:
            client.sendall(request)
        except ConnectionError:
            pass  # it has refused the rest already
        return read_to_end(client)


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer else None


def request(method=b"GET", target=b"/healthz", *headers, body=b"", version=b"HTTP/1.1", host=HOST):
    lines = b"".join(header + b"\r\n" for header in (*headers, b"Connection: close"))
    return method + b" " + target + b" " + version + b"\r\n" + host + lines + b"\r\n" + body


def post(*headers, body=b"{}", length=True):
    if length:
        headers = (*headers, b"Content-Length: %d" % len(body))
    return request(b"POST", MODELS, JSON.strip(), *headers, body=body)


def memory_of(server):
    status = open(f"/proc/{server.process.pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


def assert_others_are_served(server):
    began = time.monotonic()
    assert server.get("/models").status == 200
    assert time.monotonic() - began < PROMPT * (6 if is_sanitized() else 1)


def short(value):
    """A parameter as part of a test's name."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return re.sub(r"\W+", "-", text.replace("HTTP/1.1\r\nHost: localhost", ""))[:60].strip("-")


# -- heads --

LONG = b"a" * (64 << 10)


@pytest.mark.parametrize("sent, status", [
    (request(version=b"HTTP/1.0"), 200),
    (request(version=b"HTTP/1.0", host=b""), 403),
    (request(version=b"HTTP/3.7"), 505),
    (b"GET /healthz\r\n\r\n", 400),
    (request(host=b""), 400),
    (request(host=HOST + b"Host: evil.example\r\n"), 400),
    (request(host=b"Host: evil.example\r\n" + HOST), 400),
    (request(host=b"Host: evil.example\r\n"), 403),
    (request(b"GET", b"http://localhost/healthz"), 400),
    (request(b"GET", b"http://evil.example/healthz"), 400),
    (request(b"OPTIONS", b"*"), 400),
    (request(b"CONNECT", b"localhost:22"), 400),
    (request(b"TRACE"), 405),
    (request(b"G" * 10000), 414),
    (request(b"GET", b"/" + LONG), 414),
    (request(b"GET", b"/healthz", b"X: " + LONG), 431),
    (request(b"GET", b"/healthz", *[b"X: y"] * 1000), 431),
    (request(b"GET", b"/healthz", b"no colon"), 400),
    (request(b"GET", b"/healthz", b"X : y"), 400),
    (request(b"GET", b"/healthz", b"(X): y"), 400),
    (request(b"GET", MODELS + b"/%00"), 400),
    (request(b"GET", MODELS + b"/a%2fb"), 400),
    (request(b"GET", MODELS + b"/%2e%2e"), 400),
    (request(b"GET", b"/v1/default/../default/models"), 400),
    (request(b"GET", MODELS + b"/\xff\xfe"), 400),
    (request(b"GET", MODELS + b"/%ff%fe"), 400),
    (request(b"GET", MODELS + b"/%ed%a0%80"), 400),  # a surrogate in UTF-8
    (request(b"GET", MODELS + b"/%c0%ae%c0%ae"), 400),  # ".." in too many bytes
    (request(b"GET", MODELS + b"/a b"), 400),
    (request(b"GET", MODELS + b"/a\x01b"), 400),
    (request(b"GET", MODELS + b"?model_name=%ff"), 400),
    (request(b"GET", MODELS + b"?limit=99999999999999999999"), 400),
    (request(b"GET", MODELS + b"?%00=1"), 400),
    (request(b"GET", b"//v1//default/models"), 404),
    (request(b"GET", b"/healthz/../../../etc/passwd"), 400),
], ids=short)
def test_heads_that_no_client_should_send(server, sent, status):
    answer = exchange(server, sent)
    assert status_of(answer) == status, answer[:500]
    assert b"/root" not in answer and b"passwd:" not in answer
    assert_others_are_served(server)


def test_bytes_that_are_no_http_are_dropped(server):
    for noise in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), b"\r\n" * 20000, bytes(70000)):
        exchange(server, noise + b"\r\n\r\n")
    assert_others_are_served(server)


@pytest.mark.parametrize("target", [
    MODELS + b"/a%0d%0aSet-Cookie:%20x=1", b"/v1/a%0d%0aSet-Cookie:%20x=1/models/m",
    MODELS + b"?sort_by=a%0d%0aSet-Cookie:%20x=1", MODELS + b"?deleted=%0d%0aSet-Cookie:%20x=1",
    b"/nothing%0d%0aSet-Cookie:%20x=1"], ids=short)
def test_an_echoed_value_never_becomes_a_header(server, target):
    answer = exchange(server, request(b"GET", target))
    head = answer.split(b"\r\n\r\n")[0]
    assert status_of(answer) in (400, 404) and b"Set-Cookie" not in head, answer
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error_code"]


def test_pipelined_requests_are_answered_in_their_order(server):
    one = b"GET %s HTTP/1.1\r\n" + HOST + b"\r\n"
    targets = [b"/healthz", b"/v1/event-catalog", b"/readyz", MODELS + b"/" + b"0" * 36] * 50
    answer = exchange(server, b"".join(one % target for target in targets) + request())
    assert [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answer)] == \
        [200, 200, 200, 404] * 50 + [200]


# -- bodies --

@pytest.mark.parametrize("sent, status", [
    (post(b"Content-Length: 2"), 400),
    (post(b"Content-Length: 9"), 400),
    (post(b"Transfer-Encoding: chunked"), 400),
    (post(b"Content-Length: -1", length=False), 400),
    (post(b"Content-Length: +2", length=False), 400),
    (post(b"Content-Length: 0x2", length=False), 400),
    (post(b"Content-Length: 2, 2", length=False), 400),
    (post(b"Content-Length: 4194305", length=False), 413),
    (post(b"Content-Length: 9223372036854775807", length=False), 413),
    (post(b"Content-Length: 99999999999999999999999", length=False), 413),
    (post(b"Content-Length: 99999999", b"Expect: 100-continue", length=False), 413),
    (post(b"Transfer-Encoding: gzip, chunked", length=False), 501),
    (post(b"Transfer-Encoding: xchunked", length=False), 501),
    (post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", length=False), 501),
    (post(b"Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n", length=False), 400),
    (post(b"Transfer-Encoding: chunked", body=b"-2\r\n{}\r\n0\r\n\r\n", length=False), 400),
    (post(b"Transfer-Encoding: chunked", body=b"f" * 20 + b"\r\n{}", length=False), 413),
    (post(b"Transfer-Encoding: chunked", length=False,
          body=b"100000\r\n" + b" " * MIB + b"\r\n" + (b"100000\r\n" + b" " * MIB + b"\r\n") * 4
               + b"0\r\n\r\n"), 413),
    (request(b"GET", b"/healthz", b"Content-Length: 5", body=b"hello"), 413),
    (request(b"GET", b"/healthz", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"), 413),
    (request(b"POST", MODELS, JSON.strip(), b"Transfer-Encoding: chunked", version=b"HTTP/1.0"), 400),
    (request(b"POST", MODELS, b"Content-Type: text/plain", b"Content-Length: 2", body=b"{}"), 415),
], ids=short)
def test_bodies_that_no_client_should_send(server, sent, status):
    answer = exchange(server, sent)
    assert status_of(answer) == status, answer[:500]
    assert_others_are_served(server)


def test_a_smuggled_request_is_not_answered(server):
    """What stands behind a refused head is nobody's request."""
    hidden = b"GET /readyz HTTP/1.1\r\n" + HOST + b"\r\n"
    for head in (b"Content-Length: 2\r\nContent-Length: %d\r\n" % (2 + len(hidden)),
                 b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % (5 + len(hidden)),
                 b"Transfer-Encoding: chunked, identity\r\n"):
        answer = exchange(server, b"POST " + MODELS + b" HTTP/1.1\r\n" + HOST + JSON + head +
                          b"\r\n0\r\n\r\n" + hidden)
        assert answer.count(b"HTTP/1.1 ") == 1 and b"ready" not in answer, answer


@pytest.mark.parametrize("body, words", [
    (b"[" * 100000, "depth"), (b'{"a":' * 100000, "depth"),
    (b'{"model_name": "\\ud800"}', "Unicode"), (b'{"model_name": "\xff"}', "decode byte"),
    (b'{"model_name": "a\\u0000b"}', "u0000"), (b'{"model_name": 1e999999}', "overflow"),
    (b'{"model_name": ' + b"9" * 10000 + b"}", "too big integer"),
    (b'{"model_name": "a", "model_name": "b"}', "duplicate"), (b"{} {}", "end of file"),
    (b"\xef\xbb\xbf{}", "not JSON"), (b'"text"', "not JSON"), (b"null", "not JSON"),
    (b'{"model_name": NaN}', "not JSON"), (b"\xff\xfe{\x00}\x00", "not JSON"),
], ids=short)
def test_json_that_is_none_is_told_where(server, body, words):
    answer = server.ask("POST", "/v1/default/models", body)
    assert answer.status == 400 and words in answer.json["error_msg"], answer
    assert len(answer.body) < 2000


def test_answers_to_large_nonsense_are_small(server):
    before = memory_of(server)
    names = json.dumps({f"k{number}": 1 for number in range(200000)}).encode()
    long = b'{"' + b"k" * (3 * MIB) + b'": 1}'
    values = json.dumps({"model_name": "x" * 3 * MIB, "model_version": "0.0.1", "model_type": "PyTorch",
                         "source_location": "file:///nowhere"}).encode()
    for body in (names, long, values) * 3:
        answer = server.ask("POST", "/v1/default/models", body)
        assert answer.status == 400 and len(answer.body) < 10000, len(answer.body)
    assert memory_of(server) - before < room(200)


# -- time --

def drip(client, text, seconds, pause=0.1):
    """Sends a byte now and then; the seconds until the server has had enough."""
    began = time.monotonic()
    client.settimeout(0.01)
    for byte in text:
        try:
            client.send(bytes([byte]))
            if client.recv(65536) == b"":
                break
        except TimeoutError:
            pass
        except ConnectionError:
            break
        if time.monotonic() - began > seconds:
            raise AssertionError(f"a dripping client was served for {seconds} s")
        time.sleep(pause)
    return time.monotonic() - began


def test_a_client_that_drips_its_head_is_dropped(server):
    with connect(server) as client:
        took = drip(client, b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 2000, 20)
    assert HEADER_SECONDS - 0.5 < took < HEADER_SECONDS + 10
    assert_others_are_served(server)


def test_a_client_that_drips_its_body_is_dropped(server):
    with connect(server) as client:
        client.sendall(b"POST " + MODELS + b" HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 4000\r\n\r\n")
        took = drip(client, b" " * 4000, 20)
    assert BODY_SECONDS - 0.5 < took < BODY_SECONDS + 10


def test_a_client_that_says_nothing_is_dropped(server):
    for first in (b"", b"GET", b"GET /healthz HTTP/1.1\r\n" + HOST,
                  b"POST " + MODELS + b" HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 10\r\n\r\n{"):
        with connect(server) as client:
            began = time.monotonic()
            client.sendall(first)
            assert status_of(read_to_end(client)) in (None, 408)
            assert time.monotonic() - began < 20


def test_a_thousand_half_open_connections_are_dropped_and_others_served(server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    before = memory_of(server)
    beginnings = [b"", b"GET ", b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 3000,
                  b"POST " + MODELS + b" HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 4000000\r\n\r\n{"]
    clients = [connect(server) for _ in range(1000)]
    try:
        for number, client in enumerate(clients):
            client.sendall(beginnings[number % len(beginnings)])
        for _ in range(10):
            assert_others_are_served(server)
        assert memory_of(server) - before < room(64)
        end = time.monotonic() + 30
        for client in clients:
            client.settimeout(max(end - time.monotonic(), 0.01))
            read_to_end(client)
    finally:
        for client in clients:
            client.close()
    assert_others_are_served(server)


# -- clients that never read --

def streams_of(server):
    metrics = server.ask("GET", "/metrics").body.decode()
    return int(re.search(r"^waybill_streams (\d+)$", metrics, re.M)[1])


def long_timeline(waybill, server, package, events):
    """The id of a model with so many events of 2 KiB."""
    model_id = server.create(package()).json["model_id"]
    server.settled(model_id)
    with sqlite3.connect(waybill.data / "waybill.db") as store:
        last, = store.execute("SELECT last_seq FROM models WHERE id = ?", [model_id]).fetchone()
        row = store.execute("SELECT attempt, occur_time, event_type, reason, stage FROM events WHERE "
                            "model_id = ? AND seq = ?", [model_id, last]).fetchone()
        store.executemany("INSERT INTO events(model_id, seq, attempt, occur_time, event_type, reason, "
                          "stage, event) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                          ((model_id, seq, *row, json.dumps({"seq": seq, "pad": "x" * 2000}))
                           for seq in range(last + 1, last + 1 + events)))
        store.execute("UPDATE models SET last_seq = last_seq + ? WHERE id = ?", [events, model_id])
    store.close()
    return model_id, last + events


def test_streams_that_nobody_reads_cost_little_and_are_dropped(server, ready, package):
    model_id, last = long_timeline(ready, server, package, 5000)
    path = f"/v1/default/models/{model_id}/events/stream"
    before = memory_of(server)
    ask = b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    deaf = []
    try:
        for _ in range(100):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            host, port = server.netloc.split(":")
            client.connect((host, int(port)))
            client.sendall(ask)
            deaf.append(client)
        seen = []
        connection = server.connection()
        for seq, _, _ in read_stream(connection, path):
            seen.append(seq)
            if seq == last:
                break
        connection.close()
        assert seen == list(range(1, last + 1)), "another follower gets everything"
        assert_others_are_served(server)
        assert memory_of(server) - before < room(64)
        end = time.monotonic() + 60
        while streams_of(server) > 1:  # the other one's end is seen at its next heartbeat
            assert time.monotonic() < end, "they are to be dropped when they take nothing"
            time.sleep(0.1)
    finally:
        for client in deaf:
            client.close()


def test_pipelining_without_reading_fills_no_memory(patient, ready, package):
    model_id, _ = long_timeline(ready, patient, package, 1000)
    ask = b"GET /v1/default/models/" + model_id.encode() + b"/events HTTP/1.1\r\n" + HOST + b"\r\n"
    before = memory_of(patient)
    clients = [connect(patient) for _ in range(20)]
    try:
        for client in clients:
            client.setblocking(False)
            try:
                client.send(ask * 2000)
            except BlockingIOError:
                pass
        assert_others_are_served(patient)
        assert memory_of(patient) - before < room(256)
    finally:
        for client in clients:
            client.close()
    assert_others_are_served(patient)


def test_clients_that_leave_in_the_middle_leave_nothing(server, package):
    model_id = server.create(package()).json["model_id"]
    server.settled(model_id)
    beginnings = [b"GET", post()[:-1], post(b"Transfer-Encoding: chunked", body=b"5\r\nab", length=False),
                  b"GET /v1/default/models/" + model_id.encode() + b"/events/stream HTTP/1.1\r\n" + HOST + b"\r\n",
                  b"GET /v1/default/models/" + model_id.encode() + b"/events?after=99&wait=3 HTTP/1.1\r\n"
                  + HOST + b"\r\n"]

    def come_and_go():
        for number in range(100):
            with connect(server) as client:
                client.sendall(beginnings[number % len(beginnings)])
                if number % 2:  # a reset instead of an end
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    before = memory_of(server)
    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_others_are_served(server)
    assert memory_of(server) - before < room(64)
