"""Buckets that are asked for over HTTP: a project reads with its own keys, and only what it may."""
import json

import pytest

from conftest import wait_for
from radosgw import bucket, rgw  # noqa: F401
from serving import Server


@pytest.fixture
def serve(ready, rgw, tmp_path):
    """serve(SETTING=VALUE, …): a server whose own keys are alice's."""
    ready.environment |= {"WAYBILL_OBJECTS_ENDPOINT": rgw.endpoint, "AWS_ACCESS_KEY_ID": "AKalice",
                          "AWS_SECRET_ACCESS_KEY": "SKalice"}
    running = []

    def start(*settings):
        running.append(Server(ready, tmp_path, *[word for one in settings for word in ("--set", one)]))
        return running[-1]
    yield start
    for server in running:
        assert server.stop() == 0


def give_keys(waybill, rgw, user, project="default"):
    import subprocess
    subprocess.run([waybill.program, "credential", "add", "--for", "s3", "--host", f"127.0.0.1:{rgw.port}",
                    "--user", f"AK{user}", "--secret-stdin", "--project", project], input=f"SK{user}",
                   text=True, check=True, env=waybill.environment, capture_output=True)


def create(server, location, name="m", project="default"):
    return server.ask("POST", f"/v1/{project}/models",
                      {"model_name": name, "model_version": "0.0.1", "model_type": "Custom",
                       "source_location": location})


def ended(server, answer, project="default"):
    model = answer.json["model_id"]
    path = f"/v1/{project}/models/{model}"
    wait_for(lambda: server.ask("GET", path).json["model_status"] in ("published", "failed"), 60)
    return server.ask("GET", path).json, server.ask("GET", path + "/events").json["events"]


def test_the_service_lends_nobody_its_own_keys(serve, rgw, bucket, package):
    """The first of all: a project that has no right to alice's bucket does not get it by the service,
    which has."""
    rgw.put_folder(bucket, "p", package())
    server = serve()
    for keys in (None, "mallory"):
        if keys:
            give_keys(server.waybill, rgw, keys)
        model, events = ended(server, create(server, f"s3://{bucket}/p", name=f"m{keys}"))
        assert model["model_status"] == "failed"
        [cause] = [event for event in events if event["seq"] == events[-1]["cause"]]
        assert (cause["reason"], cause["kind"]) == ("ModelFilesCopyFailed", "denied"), cause
        assert cause["evidence"]["principal"] == ("AKmallory" if keys else "anonymous")
        assert "alice" not in json.dumps(cause["evidence"])


@pytest.mark.parametrize("form", ["s3://{bucket}/p", "obs://{bucket}/p/", "/{bucket}/p"])
def test_a_project_reads_with_its_own_keys(serve, rgw, bucket, package, form):
    rgw.put_folder(bucket, "p", package())
    server = serve()
    give_keys(server.waybill, rgw, "alice")
    model, _ = ended(server, create(server, form.format(bucket=bucket)))
    assert model["model_status"] == "published"


def test_an_obs_address_is_asked_at_the_endpoint_that_is_set(serve, rgw, bucket, package):
    rgw.put_folder(bucket, "p", package())
    server = serve()
    give_keys(server.waybill, rgw, "alice")
    model, _ = ended(server, create(server, f"https://{bucket}.obs.cn-north-4.example.com/p"))
    assert model["model_status"] == "published"


def test_only_prefixes_that_are_listed(serve, rgw, bucket, package):
    rgw.put_folder(bucket, "mine", package())
    rgw.put_folder(bucket, "mine2", package())
    server = serve(f"sources.allow=s3://{bucket}/mine")
    give_keys(server.waybill, rgw, "alice")
    assert ended(server, create(server, f"obs://{bucket}/mine"))[0]["model_status"] == "published"
    for place in (f"s3://{bucket}/mine2", f"s3://{bucket}", f"s3://{bucket}/mine/../mine2",
                  f"s3://other-{bucket}/mine", f"https://{bucket}.obs.a.example.com/mine2",
                  f"/{bucket}/mine2", f"/{bucket}/mine/../mine2"):
        refused = create(server, place, name="other")
        assert refused.status in (400, 403), (place, str(refused))


@pytest.mark.parametrize("host", ["obs.local.localhost", "obs.a.localhost"])
def test_a_host_that_the_request_names_is_no_way_to_this_machine(ready, rgw, tmp_path, host):
    ready.environment.pop("WAYBILL_OBJECTS_ENDPOINT", None)
    ready.environment["WAYBILL_REGISTRY_RETRIES"] = "0"
    server = Server(ready, tmp_path)
    try:
        model, events = ended(server, create(server, f"https://bucket.{host}/p"))
        assert model["model_status"] == "failed"
        [cause] = [event for event in events if event["seq"] == events[-1]["cause"]]
        assert cause["kind"] == "server_error", cause
    finally:
        assert server.stop() == 0


def test_the_service_s_own_copies_are_nobody_s_source(ready, tmp_path):
    server = Server(ready, tmp_path, "--set", "objects.url=s3://own/kept", "--set", "objects.endpoint=http://127.0.0.1:9",
                    "--set", "sources.allow=s3://")
    try:
        for place in ("s3://own/kept", "s3://own/kept/default/1/model", "obs://own/kept/x", "s3://own",
                      "https://own.obs.example.com/kept/x"):
            refused = create(server, place)
            assert (refused.status, refused.json["error_code"]) == (400, "ModelArts.3017"), (place, str(refused))
        assert server.get("/models").json["count"] == 0
        beside = create(server, "s3://own/keptnot")
        assert beside.status == 200, str(beside)
    finally:
        assert server.stop() == 0
