"""The inference service fetches the files of a dynamic model as docs/inference.md says: from real
registries, a real object store and directories, and from a server that fails as it is told to."""
import json
import re
import shutil
import signal
import time

import pytest

from conftest import wait_for
from dynamic_model import CODE, DynamicModel, digest_of, noise
from faulty_blobs import Answer, DeadHost, FaultyBlobs
from inference import Service
from radosgw import bucket, rgw  # noqa: F401
from registries import SECRET, USER, auth_file, registry_at  # noqa: F401


@pytest.fixture
def serve(tmp_path):
    """serve(model, source, **variables): a service whose files are on their way."""
    running = []

    def start(model, source="", wait=True, **variables):
        variables |= {"WAYBILL_MODEL_SOURCE": str(source)} if source else {}
        service = Service(model.directory, variables=variables, dynamic=model.listing)
        running.append(service)
        return service.ready() if wait else service
    yield start
    for service in running:
        service.stop(signal.SIGKILL)


def health(service):
    return service.ask("GET", "/health")


def assert_serves(service, model):
    answer = service.post({})
    assert (answer.status, answer.json) == (200, model.expected()), "".join(service.log)
    assert health(service).json == {"status": "ok"}
    assert not list(model.directory.rglob(".waybill*"))


def assert_failed(service, *parts):
    """A final failure; what /health says."""
    answer = health(service)
    assert answer.status == 503 and answer.json["error_code"] == "Service.NotReady"
    assert answer.json["status"] == "failed", "".join(service.log)
    for part in parts:
        assert part in answer.json["error_msg"]
    refused = service.post({})
    assert (refused.status, refused.json["error_msg"]) == (503, answer.json["error_msg"])
    assert SECRET not in "".join(service.log) and SECRET not in str(answer.json)
    return answer.json


# -- registries --

@pytest.mark.parametrize("mode", ["plain", "basic", "token", "tls"])
def test_from_a_registry(serve, tmp_path, registry_at, mode):  # noqa: F811
    registry, model = registry_at(mode), DynamicModel(tmp_path)
    model.push(registry)
    variables = {}
    if mode == "tls":
        variables = {"WAYBILL_MODEL_CA_FILE": str(registry.ca)}
    elif mode != "plain":
        variables = {"WAYBILL_MODEL_USER": USER, "WAYBILL_MODEL_PASSWORD": SECRET}
    source = ("registry://" if mode == "tls" else "registry+http://") + registry.host
    service = serve(model, source, **variables)
    assert_serves(service, model)
    assert SECRET not in "".join(service.log)
    lines = [line for line in service.log if "the model:" in line]
    assert re.search(r"fetching the model: 5 files, \d+ bytes, from 127", lines[0])
    assert re.search(r"fetched the model: 5 files, (\d+) bytes, \1 of them now, in", lines[-1])


@pytest.mark.parametrize("mode", ["basic", "token"])
def test_a_file_of_logins_and_a_namespace(serve, tmp_path, registry_at, mode):  # noqa: F811
    registry, model = registry_at(mode), DynamicModel(tmp_path)
    model.push(registry, "mirror/team/net")
    logins = auth_file(tmp_path / "auth.json", **{registry.host: (USER, SECRET)})
    service = serve(model, f"registry+http://{registry.host}/mirror",
                    WAYBILL_MODEL_AUTH_FILE=str(logins))
    assert_serves(service, model)


@pytest.mark.parametrize("mode, secret, said", [
    ("basic", None, "wants a login (401): set WAYBILL_MODEL_USER"),
    ("basic", "wr0ng", "refused the login of alice (401); check it"),
    ("token", None, "answered 401 without a login"), ("token", "wr0ng", "answered 401 to the login"),
    ("tls", None, "is not trusted")])
def test_a_registry_that_refuses(serve, tmp_path, registry_at, mode, secret, said):  # noqa: F811
    registry = registry_at(mode)
    login = {"WAYBILL_MODEL_USER": USER, "WAYBILL_MODEL_PASSWORD": secret} if secret else {}
    scheme = "registry://" if mode == "tls" else "registry+http://"
    service = serve(DynamicModel(tmp_path), scheme + registry.host, **login)
    assert_failed(service, said, registry.host)
    assert not secret or secret not in "".join(service.log)


def test_a_blob_that_is_missing_in_the_registry(serve, tmp_path, registry_at):  # noqa: F811
    registry, model = registry_at("plain"), DynamicModel(tmp_path)
    model.push(registry)
    model.list(repository="team/other")
    service = serve(model, "registry+http://" + registry.host)
    assert_failed(service, "could not be fetched: " + registry.host + " has no blob sha256:",
                  "in team/other (404)")


def test_where_a_redirect_leads_no_login_goes(serve, tmp_path):
    model = DynamicModel(tmp_path)
    with FaultyBlobs(model.blobs) as store, FaultyBlobs({}) as registry:
        def fault(asked):
            if "authorization" not in asked.headers:
                return Answer(401, {"WWW-Authenticate": 'Basic realm="x"'})
            return Answer(307, {"Location": f"http://{store.host}/store/{asked.digest}?X-Signature=s"})
        registry.fault(fault, 1000)
        service = serve(model, registry.source, WAYBILL_MODEL_USER=USER, WAYBILL_MODEL_PASSWORD=SECRET)
        assert_serves(service, model)
        assert store.requests and not any("authorization" in asked.headers for asked in store.requests)
        assert any("authorization" in asked.headers for asked in registry.requests)


def test_a_store_that_refuses_after_a_redirect_is_named(serve, tmp_path):
    with FaultyBlobs({}) as store, FaultyBlobs({}) as registry:
        registry.fault(lambda asked: Answer(307, {"Location": f"http://{store.host}/x?Signature=s3"}), 99)
        assert_failed(serve(DynamicModel(tmp_path), registry.source),
                      f"{store.host}, where {registry.host} redirects to, answered 404")


@pytest.mark.parametrize("ending", ["\x01", "\xe9", " x"])
def test_a_signed_address_that_is_none_is_not_shown(serve, tmp_path, ending):
    with FaultyBlobs({}) as registry:
        there = f"http://{registry.host}/x?Signature={SECRET}{ending}"
        registry.fault(lambda asked: Answer(307, {"Location": there}), 99)
        assert_failed(serve(DynamicModel(tmp_path), registry.source),
                      f"{registry.host} redirects to where nothing can be fetched")


@pytest.mark.parametrize("variables, said", [
    ({"WAYBILL_MODEL_USER": USER, "WAYBILL_MODEL_PASSWORD": SECRET + "\udcff"},
     "WAYBILL_MODEL_PASSWORD is no UTF-8"),
    ({"AWS_SESSION_TOKEN": SECRET + "\nx"}, "AWS_SESSION_TOKEN has characters that are no printable"),
    ({"http_proxy": f"http://u:{SECRET}\udcff@127.0.0.1:1"}, "http_proxy is no http://[USER")])
def test_a_secret_that_cannot_be_sent_is_not_shown(serve, tmp_path, variables, said):
    assert_failed(serve(DynamicModel(tmp_path), "registry+http://127.0.0.1:1", **variables), said)


def test_a_token_that_ends_on_the_way_is_made_anew(serve, tmp_path):
    model, issued = DynamicModel(tmp_path), []
    with FaultyBlobs(model.blobs) as registry:
        def fault(asked):
            if asked.path.startswith("/token"):
                assert asked.path == "/token?scope=repository%3Ateam%2Fnet%3Apull&service=s"
                issued.append("t%d" % len(issued))
                return Answer(200, body=json.dumps({"token": issued[-1]}).encode())
            lasted = sum(r.headers.get("authorization") == f"Bearer {issued[-1]}"
                         for r in registry.requests) if issued else 9
            if lasted > 2 or asked.headers.get("authorization") != f"Bearer {issued[-1]}":
                return Answer(401, {"WWW-Authenticate":
                                    f'Bearer realm="http://{registry.host}/token",service="s"'})
        registry.fault(fault, 1000)
        service = serve(model, registry.source, WAYBILL_MODEL_CONNECTIONS="1")
        assert_serves(service, model)
        assert len(issued) == 2


def test_a_proxy_of_the_environment(serve, tmp_path):
    model = DynamicModel(tmp_path)
    with FaultyBlobs(model.blobs) as proxy:
        service = serve(model, "registry+http://registry.invalid:5000",
                        http_proxy=f"http://u:{SECRET}@{proxy.host}")
        assert_serves(service, model)
        assert {asked.headers["host"] for asked in proxy.requests} == {"registry.invalid:5000"}
        assert all(asked.path.startswith("http://registry.invalid:5000/v2/team/net/blobs/sha256:")
                   and asked.headers["proxy-authorization"].startswith("Basic ")
                   for asked in proxy.requests)


def test_a_registry_behind_a_proxy_that_tunnels(serve, tmp_path, registry_at):  # noqa: F811
    registry, model = registry_at("tls"), DynamicModel(tmp_path)
    model.push(registry)
    with FaultyBlobs({}) as proxy:
        variables = {"https_proxy": f"http://{proxy.host}", "WAYBILL_MODEL_CA_FILE": str(registry.ca)}
        assert_serves(serve(model, "registry://" + registry.host, **variables), model)
        assert proxy.tunnels and set(proxy.tunnels) == {registry.host}
        shutil.rmtree(model.directory)
        assert_serves(serve(model, "registry://" + registry.host, no_proxy="127.0.0.1", **variables),
                      model)


# -- buckets --

def test_from_a_bucket(serve, tmp_path, rgw, bucket):  # noqa: F811
    model = DynamicModel(tmp_path, {"weights.bin": noise(100_000), "sub/a b+c ä$&.bin": b"x" * 9})
    for path, data in model.files.items():
        rgw.put(bucket, "models/net 1/".replace(" ", "-") + path, data)
    keys = {"AWS_ENDPOINT_URL": rgw.endpoint, "AWS_ACCESS_KEY_ID": "AKalice",
            "AWS_SECRET_ACCESS_KEY": "SKalice"}
    assert_serves(serve(model, f"s3://{bucket}/models/net-1", **keys), model)

    other = DynamicModel(tmp_path / "other")
    said = assert_failed(serve(other, f"s3://{bucket}/none", **keys), "has no object", "404 NoSuchKey")
    assert bucket in said["error_msg"]
    denied = serve(other, f"s3://{bucket}/models", **keys | {"AWS_ACCESS_KEY_ID": "AKmallory",
                                                            "AWS_SECRET_ACCESS_KEY": "SKmallory"})
    assert_failed(denied, "denies", "403 AccessDenied", "check AWS_ACCESS_KEY_ID")
    wrong = serve(other, f"s3://{bucket}/models", **keys | {"AWS_SECRET_ACCESS_KEY": SECRET})
    assert_failed(wrong, "403 SignatureDoesNotMatch")
    anonymous = serve(other, f"s3://{bucket}/models", AWS_ENDPOINT_URL=rgw.endpoint)
    assert_failed(anonymous, "403 AccessDenied", "set AWS_ACCESS_KEY_ID")


# -- directories --

@pytest.mark.parametrize("form, url", [("write_files", "%s"), ("write_blobs", "file://%s")])
def test_from_a_directory(serve, tmp_path, form, url):
    model = DynamicModel(tmp_path)
    mounted = getattr(model, form)(tmp_path / "mounted")
    assert_serves(serve(model, url % mounted), model)


def test_links_that_leave_the_directory_are_not_followed(serve, tmp_path):
    model = DynamicModel(tmp_path, {"weights.bin": b"secret of the machine"})
    mounted = model.write_files(tmp_path / "mounted")
    (tmp_path / "elsewhere").write_bytes(model.files["weights.bin"])
    (mounted / "weights.bin").unlink()
    (mounted / "weights.bin").symlink_to(tmp_path / "elsewhere")
    assert_failed(serve(model, mounted), "weights.bin", "a link that leads out of it")
    (mounted / "weights.bin").unlink()
    (mounted / "data").mkdir()
    (mounted / "data/1").write_bytes(model.files["weights.bin"])
    (mounted / "weights.bin").symlink_to("data/1")  # as Kubernetes mounts its volumes
    assert_serves(serve(model, mounted), model)


def test_the_next_source_has_what_the_first_has_not(serve, tmp_path):
    model = DynamicModel(tmp_path)
    mounted = model.write_files(tmp_path / "mounted")
    (mounted / "weights.bin").unlink()
    (mounted / "sub/dir/more.bin").write_bytes(b"y" * 5000)  # and this has another digest
    with FaultyBlobs(model.blobs) as server:
        service = serve(model, f"/nowhere {mounted} {server.source}")
        assert_serves(service, model)
        asked = {request.digest for request in server.requests}
    assert asked == {digest_of(model.files[name]) for name in ("weights.bin", "sub/dir/more.bin")}
    assert any("it is fetched again" in line and "sub/dir/more.bin" in line for line in service.log)


# -- what is there already --

def test_what_is_there_is_not_fetched_again(serve, tmp_path):
    model = DynamicModel(tmp_path)
    model.write_files(model.directory)
    assert_serves(serve(model), model)  # without any source
    (model.directory / "weights.bin").write_bytes(b"0" * len(model.files["weights.bin"]))
    (model.directory / "sub/dir/more.bin").write_bytes(b"short")
    with FaultyBlobs(model.blobs) as server:
        assert_serves(serve(model, server.source), model)
        assert len(server.requests) == 2


def test_the_code_may_be_in_the_image(serve, tmp_path):
    model = DynamicModel(tmp_path, {"weights.bin": b"1" * 10}, code=False)
    (model.directory / "customize_service.py").write_text(CODE)
    (model.directory / "config.json").write_text(
        '{"model_type": "Custom", "apis": [{"url": "/own", "method": "POST"}]}')
    with FaultyBlobs(model.blobs) as server:
        service = serve(model, server.source)
    assert service.post({}, path="/own").json["weights.bin"] == model.expected()["weights.bin"]
    assert service.post({}).status == 404


def test_two_files_of_one_digest_are_fetched_once(serve, tmp_path):
    same = noise(3000)
    model = DynamicModel(tmp_path, {"a.bin": same, "b.bin": same, "sub/c.bin": same})
    with FaultyBlobs(model.blobs) as server:
        assert_serves(serve(model, server.source), model)
        assert len([r for r in server.requests if r.digest == digest_of(same)]) == 1


def test_without_a_source_the_variable_is_named(serve, tmp_path):
    model = DynamicModel(tmp_path)
    said = assert_failed(serve(model), " is not in ", "set WAYBILL_MODEL_SOURCE")
    named = said["error_msg"].split("could not be fetched: ")[1].split(" is not in ")[0]
    assert named in model.files  # the first that a thread came to
    assert (said["files"], said["files_done"], said["bytes_done"], said["rate"]) == (5, 0, 0, 0)


# -- what goes wrong on the way --

BIG = 70 << 20  # three pieces


@pytest.fixture(scope="module")
def big():
    return noise(1 << 20, 7) * (BIG >> 20)


def test_large_files_come_in_parallel_and_predict(serve, tmp_path, big):
    model = DynamicModel(tmp_path, {"weights.bin": big})
    with FaultyBlobs(model.blobs, rate=60 << 20) as server:
        assert_serves(serve(model, server.source), model)
        assert server.sent == model.bytes and server.most_open >= 3
        ranges = sorted((r.begin, r.end) for r in server.requests if r.end)
    assert ranges == [(0, 32 << 20), (32 << 20, 64 << 20), (64 << 20, BIG)]


def test_memory_does_not_grow_with_the_model(serve, tmp_path, big):
    code = CODE.replace("self.found = ", "self.found = open('/proc/self/status').read() or ")
    files = {"weights.bin": big, "customize_service.py": code.encode()}
    model = DynamicModel(tmp_path, files, code=False)
    with FaultyBlobs(model.blobs) as server:
        peak = re.search(r"VmHWM:\s+(\d+) kB", serve(model, server.source).post({}).json)[1]
    assert int(peak) << 10 < 60 << 20 < BIG


def test_one_connection_where_one_is_set(serve, tmp_path):
    model = DynamicModel(tmp_path)
    with FaultyBlobs(model.blobs, rate=1 << 20) as server:
        assert_serves(serve(model, server.source, WAYBILL_MODEL_CONNECTIONS="1"), model)
        assert server.most_open == 1


def test_a_broken_connection_goes_on_where_it_broke(serve, tmp_path):
    model = DynamicModel(tmp_path, {"weights.bin": noise(1 << 20)})
    with FaultyBlobs(model.blobs, cut=300_000) as server:
        assert_serves(serve(model, server.source), model)
        begins = [r.begin for r in server.requests if r.digest == digest_of(model.files["weights.bin"])]
    assert begins == sorted(begins) and begins[:3] == [0, 327680, 655360]
    assert server.sent == model.bytes


def test_a_server_without_ranges(serve, tmp_path, big):
    model = DynamicModel(tmp_path, {"weights.bin": big})
    with FaultyBlobs(model.blobs, ranges=False, cut=60 << 20) as server:
        service = serve(model, server.source, wait=False)
        wait_for(lambda: server.sent > 100 << 20 or service.loaded.is_set())
        server.cut = None
        assert_serves(service.ready(), model)
        assert len(server.requests) < 20


@pytest.mark.parametrize("variables", [{"WAYBILL_MODEL_CONNECTIONS": "1"}, {}])
def test_without_ranges_a_file_is_sent_once(serve, tmp_path, big, variables):
    model = DynamicModel(tmp_path, {"weights.bin": big})
    with FaultyBlobs(model.blobs, ranges=False) as server:
        assert_serves(serve(model, server.source, **variables), model)
        wait_for(lambda: server.open == 0)
        asked = [r for r in server.requests if r.digest == digest_of(big)]
        # One for each thread that finds out: what is in the sockets' buffers is lost with it.
        assert server.sent < model.bytes + (len(asked) - 1) * (12 << 20)
    assert all(r.end is None or r.begin < r.end <= BIG for r in asked)
    assert len(asked) == 2 if variables else len(asked) <= 4


def test_wrong_bytes_are_fetched_again_once_and_then_named(serve, tmp_path):
    model = DynamicModel(tmp_path)
    right, wrong = model.files["weights.bin"], noise(300_000, 9)
    blobs = model.blobs | {digest_of(right): wrong}
    with FaultyBlobs(blobs) as server:
        service = serve(model, server.source)
        said = assert_failed(service, "weights.bin", server.host, "has the digest " + digest_of(wrong),
                             "expected " + digest_of(right))
        assert len([r for r in server.requests if r.digest == digest_of(right)]) == 2
    assert said["bytes_done"] < said["bytes"]
    assert not (model.directory / "weights.bin").exists()
    assert not list(model.directory.glob(".waybill-part-*" + digest_of(right)[7:] + "*"))


def test_the_next_source_is_asked_after_wrong_bytes(serve, tmp_path):
    model = DynamicModel(tmp_path)
    right = model.files["weights.bin"]
    with FaultyBlobs(model.blobs | {digest_of(right): noise(300_000, 9)}) as bad, \
            FaultyBlobs(model.blobs) as good:
        assert_serves(serve(model, f"{bad.source} {good.source}"), model)
        assert [r.digest for r in good.requests] == [digest_of(right)]


def test_another_size_is_refused_before_its_bytes(serve, tmp_path):
    model = DynamicModel(tmp_path)
    with FaultyBlobs({digest: data + b"x" for digest, data in model.blobs.items()}) as server:
        assert_failed(serve(model, server.source), "bytes of", "expected")


@pytest.mark.parametrize("answer", [
    Answer(200, {"Connection": "close"}, noise(300_000), silence=8),
    Answer(200, {}, noise(300_000), silence=8), None])
def test_a_silent_connection_does_not_hold_up_a_failure(serve, tmp_path, answer):
    model = DynamicModel(tmp_path)
    silent = digest_of(model.files["weights.bin"])

    def fault(asked):
        if asked.digest == silent and answer:
            return answer
        time.sleep(8 if asked.digest == silent else 0.5)
    with FaultyBlobs({silent: b""}) as server:
        server.fault(fault)
        began = time.monotonic()
        assert_failed(serve(model, server.source, WAYBILL_MODEL_CONNECTIONS="2"), "(404)")
        assert time.monotonic() - began < 6


def test_retry_after_is_obeyed(serve, tmp_path):
    model = DynamicModel(tmp_path)
    with FaultyBlobs(model.blobs) as server:
        server.fault(lambda asked: Answer(429, {"Retry-After": "2"}))
        assert_serves(serve(model, server.source, WAYBILL_MODEL_CONNECTIONS="1"), model)
        assert server.times[1] - server.times[0] > 2


def test_trouble_is_waited_for(serve, tmp_path):
    model = DynamicModel(tmp_path)
    with FaultyBlobs(model.blobs) as server:
        server.fault(lambda asked: Answer(503), 4)
        server.fault(lambda asked: Answer(500), 2)
        assert_serves(serve(model, server.source), model)


def test_after_a_failure_it_is_tried_again_in_the_background(serve, tmp_path):
    model = DynamicModel(tmp_path)
    with FaultyBlobs(model.blobs) as server:
        server.fault(lambda asked: Answer(503, body=b"no"), 10_000)
        service = serve(model, server.source, wait=False)
        wait_for(lambda: health(service).json["status"] == "failed")
        said = health(service).json["error_msg"]
        assert "answered 503 to GET" in said and server.host in said and "tried again" in said
        assert int(service.post({}).headers["retry-after"]) >= 1
        server.faults.clear()
        assert_serves(service.ready(), model)


def test_an_address_that_nobody_listens_at_is_named(serve, tmp_path):
    service = serve(DynamicModel(tmp_path), "registry+http://127.0.0.1:1", wait=False)
    wait_for(lambda: health(service).json["status"] == "failed")
    said = health(service).json["error_msg"]
    assert "the connection to 127.0.0.1:1 failed: Connection refused" in said


def test_a_source_that_is_down_is_asked_last(serve, tmp_path, big):
    model = DynamicModel(tmp_path, {"weights.bin": big, "more.bin": b"m", "other.bin": b"o"})
    with DeadHost() as dead, FaultyBlobs(model.blobs) as good:
        assert_serves(serve(model, f"{dead.source} {good.source}", WAYBILL_MODEL_CONNECTIONS="1"),
                      model)
        assert dead.connections == 5  # as often as one piece of one file is tried
        assert len(good.requests) == 3 + 4


def test_a_source_that_was_down_is_asked_first_in_the_next_round(serve, tmp_path):
    model = DynamicModel(tmp_path)
    with FaultyBlobs(model.blobs) as first, FaultyBlobs({}) as second:
        first.fault(lambda asked: Answer(503), 5)
        assert_serves(serve(model, f"{first.source} {second.source}", WAYBILL_MODEL_CONNECTIONS="1"),
                      model)
        assert len(second.requests) == 1


def test_a_source_that_was_down_is_asked_before_one_with_wrong_bytes(serve, tmp_path):
    model = DynamicModel(tmp_path)
    right = digest_of(model.files["weights.bin"])
    with FaultyBlobs(model.blobs) as first, FaultyBlobs({right: noise(300_000, 9)}) as bad:
        first.fault(lambda asked: Answer(503), 5)
        assert_serves(serve(model, f"{first.source} {bad.source}", WAYBILL_MODEL_CONNECTIONS="1"),
                      model)
        assert [r.digest for r in bad.requests].count(right) == 1


def test_health_says_how_far_it_is(serve, tmp_path):
    model = DynamicModel(tmp_path, {"weights.bin": noise(1 << 20), "other.bin": noise(500_000, 3)})
    with FaultyBlobs(model.blobs, rate=300_000) as server:
        service, seen = serve(model, server.source, wait=False), []
        while not service.loaded.wait(0.2):
            seen.append(health(service))
            if len(seen) == 5:
                refused = service.post({})
                assert refused.status == 503 and "is being fetched" in refused.json["error_msg"]
                assert 1 <= int(refused.headers["retry-after"]) <= 60
                assert service.ask("POST", "/unknown", b"").status == 503  # the config is not there yet
        assert_serves(service, model)
    assert {answer.status for answer in seen} == {503}
    fields = [answer.json for answer in seen]
    assert all(f["error_code"] == "Service.NotReady" and f["status"] == "loading" and f["files"] == 4
               and f["bytes"] == model.bytes for f in fields)
    done = [f["bytes_done"] for f in fields]
    assert done == sorted(done) and len(set(done)) > 4 and done[-1] <= model.bytes
    assert 100_000 < fields[8]["rate"] < 1_500_000
    assert any(re.search(r"is being fetched: \d of 4 files, .* MiB, .*KiB/s", line)
               for line in service.log)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_killed_service_goes_on_from_what_is_on_the_disk(serve, tmp_path, ranges, big):
    model = DynamicModel(tmp_path, {"weights.bin": big})
    with FaultyBlobs(model.blobs, ranges=ranges, rate=15 << 20) as server:
        service = serve(model, server.source, wait=False)
        wait_for(lambda: health(service).json["bytes_done"] > 10 << 20)
        before = health(service).json["bytes_done"]
        service.stop(signal.SIGKILL)
        wait_for(lambda: server.open == 0)
        sent = server.sent
        again = serve(model, server.source, wait=False)
        small = model.bytes - BIG
        wait_for(lambda: health(again).json["bytes_done"] > small)
        first = health(again)
        server.rate = None
        assert_serves(again.ready(), model)
        if ranges:
            assert server.sent - sent <= model.bytes - before
            assert all(r.end for r in server.requests if r.digest == digest_of(big))
    assert first.json["bytes_done"] >= before - small  # those count once they were read again
    now = int(re.search(r"bytes, (\d+) of them now", "".join(again.log))[1])
    assert now <= model.bytes - before


def test_sigterm_ends_it_at_once(serve, tmp_path):
    model = DynamicModel(tmp_path, {"weights.bin": noise(5 << 20)})
    with FaultyBlobs(model.blobs, rate=100_000) as server:
        service = serve(model, server.source, wait=False)
        wait_for(lambda: health(service).json["bytes_done"])
        began = time.monotonic()
        assert service.stop() == 0 and time.monotonic() - began < 1.5


def test_two_services_on_one_volume_fetch_once(serve, tmp_path):
    model = DynamicModel(tmp_path, {"weights.bin": noise(1 << 20)})
    with FaultyBlobs(model.blobs, rate=1 << 20) as server:
        services = [serve(model, server.source, wait=False) for _ in range(2)]
        wait_for(lambda: any("another service is fetching" in health(service).json["error_msg"]
                             for service in services if health(service).status == 503))
        for service in services:
            assert_serves(service.ready(), model)
        assert server.sent == model.bytes
