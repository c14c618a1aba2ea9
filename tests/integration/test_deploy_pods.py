"""deploy/kubernetes: the pods of the overlays, run as their manifests say on a real PostgreSQL, registry and
object store, which they find under the manifests' own names with TLS. Only the secrets are put in, and the
CA of those names."""
import contextlib
import json
import shutil
import ssl
from pathlib import Path

import pytest

from conftest import ROOT, wait_for
from containers import LIMITS, containers, image  # noqa: F401
from environments import Index, bring, python_layout, wheel  # noqa: F401
from kustomize import render
from pods import Cluster
from postgres import Postgres
from radosgw import free_port, rgw  # noqa: F401
from registries import SECRET, USER, Registry, make_certificate
from wholeness import assert_timeline

MANIFESTS = ROOT / "deploy/kubernetes"
REGISTRY, BUCKETS, INDEX, DATABASE = "registry.example.com", "s3.example.com", "pypi.org", "postgres.example.com"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
SECRETS = {"WAYBILL_SECURITY_SECRET_KEY": "5a" * 32, "PGPASSWORD": "pass word",
           "AWS_ACCESS_KEY_ID": "AKalice", "AWS_SECRET_ACCESS_KEY": "SKalice"}

RESTRICTED = {"uid": "8420", "capabilities": False, "no_new_privs": True, "filter": True}
PRIVILEGED = {"uid": "0", "capabilities": True, "no_new_privs": False, "filter": False}


def overlay(base, where):
    """The example's objects; with no-builds in place of the two bases, as that says."""
    shutil.copytree(MANIFESTS, where)
    path = where / "overlays/example/kustomization.yaml"
    if base == "no-builds":
        text = path.read_text().replace("../../base/api", "../no-builds").replace("  - ../../base/worker\n", "")
        path.write_text(text)
    things = render(path.parent)
    for thing in things:
        if thing["kind"] == "Secret" and thing["metadata"]["name"] == "waybill":
            assert set(thing["stringData"]) == set(SECRETS)
            thing["stringData"] = SECRETS
        elif thing["kind"] == "Secret":
            logins = json.loads(thing["stringData"][".dockerconfigjson"])
            assert set(logins["auths"][REGISTRY]) == {"username", "password"}
            logins["auths"][REGISTRY] = {"username": USER, "password": SECRET}
            thing["stringData"] = {".dockerconfigjson": json.dumps(logins)}
    return things


def start_postgres(stack, tls):
    """As docs/operations.md has it; with TLS and a password, which the pods have to bring."""
    server = Postgres(port=free_port())
    stack.callback(server.remove)
    for name in ("tls.crt", "tls.key"):
        shutil.copy(tls / name, server.where / name)
        shutil.chown(server.where / name, "postgres")
        (server.where / name).chmod(0o600)
        server.ask("postgres", f"ALTER SYSTEM SET ssl_{name[4:].replace('crt', 'cert')}_file = '{server.where / name}'")
    server.ask("postgres", "ALTER SYSTEM SET ssl = on")
    (server.where / "data/pg_hba.conf").write_text(
        "local all postgres trust\nhostssl waybill waybill 127.0.0.1/32 scram-sha-256\n")
    server.ask("postgres", f"CREATE ROLE waybill LOGIN PASSWORD '{SECRETS['PGPASSWORD']}'")
    server.ask("postgres", "CREATE DATABASE waybill OWNER waybill TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    server.ask("postgres", "SELECT pg_reload_conf()")
    return server


@pytest.fixture
def cluster_of(containers, image, rgw, tmp_path):  # noqa: F811
    """cluster_of(THINGS): on services of its own, with .registry and .index of them."""
    with contextlib.ExitStack() as stack:
        (tmp_path / "tls").mkdir()
        names = ",".join(f"DNS:{name}" for name in (REGISTRY, BUCKETS, INDEX, DATABASE))
        ca = make_certificate(tmp_path / "tls", names)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(tmp_path / "tls/tls.crt", tmp_path / "tls/tls.key")
        postgres = start_postgres(stack, tmp_path / "tls")
        registry = stack.enter_context(Registry(tmp_path / "registry", "basic", relative=True))
        index = Index()
        stack.callback(index.stop)

        def cluster_of(things):
            [pulled] = {container["image"] for thing in things if thing["kind"] == "Deployment"
                        for container in thing["spec"]["template"]["spec"]["containers"]}
            containers.podman("tag", image, pulled)
            cluster = Cluster(containers, things, {
                DATABASE: (5432, postgres.port, False), REGISTRY: (443, registry.port, True),
                BUCKETS: (443, rgw.port, True), INDEX: (443, index.port, True)}, tls, [
                f"--volume={ca}:{BUNDLE}:ro", f"--env=WAYBILL_BUILD_CA_FILE={BUNDLE}",
                "--env=WAYBILL_OBJECTS_PATH_STYLE=true"])
            stack.callback(cluster.stop)
            cluster.registry, cluster.index = registry, index
            return cluster
        yield cluster_of


def submit(api, source, name):
    answer = api.ask("POST", "/v1/default/models", {
        "model_name": name, "model_version": "0.0.1", "model_type": "Custom", "source_location": source})
    assert answer.status == 200, str(answer)
    return answer.json["model_id"]


def events_of(api, model):
    return api.get(f"/models/{model}/events", limit=500, order="asc").json["events"]


def told(api, model):
    """Its last events, for a failing test to show."""
    return json.dumps(events_of(api, model)[-3:], indent=1)


def has_ended(api, model):
    return api.get(f"/models/{model}").json["model_status"] in ("published", "failed")


def settled(api, model, cluster):
    try:
        return api.settled(model, 120)
    except AssertionError as error:
        raise AssertionError(cluster.said()) from error


def assert_imported(apis, model, cluster):
    """The same on each server: published, with a timeline that is whole. Its events."""
    details = settled(apis[0], model, cluster)
    events = events_of(apis[0], model)
    assert details["model_status"] == "published", told(apis[0], model) + cluster.said()
    assert_timeline(events)
    for other in apis[1:]:
        assert other.get(f"/models/{model}").json == details
        assert events_of(other, model) == events
    return events


def pull(cluster, name):
    """The image of a model, by podman out of the registry, with its login."""
    place = f"{cluster.registry.host}/waybill/default/{name}:0.0.1"
    cluster.engine.podman("pull", "--quiet", "--tls-verify=false", "--creds", f"{USER}:{SECRET}", place)
    return place


def in_image(cluster, image, *words):  # noqa: F811
    return cluster.engine.podman("run", "--rm", "--network", "none", *LIMITS, image, *words).stdout.strip()


def assert_ends(cluster, pod):
    """In order, in time, and nothing of a build is left: no scratch, no mount, no cgroup."""
    container = cluster.engine.podman("inspect", "--format", "{{.Id}}", pod.name).stdout.strip()
    status, seconds = pod.end()
    assert status == 0 and seconds < pod.spec["terminationGracePeriodSeconds"] / 2, (seconds, pod.said())
    assert not list((pod.where / "data").glob("sandbox/*"))
    assert not [path for path in Path("/sys/fs/cgroup").glob(f"*/*/libpod-{container}")]


def give_source(rgw, api, folder, name):  # noqa: F811
    """A package in the bucket that sources.allow names, and the project's own keys of it."""
    rgw.put_folder(rgw.make("models"), f"default/{name}", folder)
    answer = api.ask("POST", "/v1/default/credentials", {"for": "s3", "host": BUCKETS, "user": "AKalice",
                                                         "secret": "SKalice"})
    assert answer.status == 200, str(answer)
    return f"s3://models/default/{name}"


def start(cluster, layout):
    """What docs/deployment.md says, in its order: a token, the pods, a base image. The API's and the workers'."""
    refused = cluster.command("waybill-api")
    assert refused.returncode == 2 and "waybill token create" in refused.stderr, refused
    made = cluster.command("waybill-api", "token", "create", "--user", "root", "--role", "admin", "--project", "*",
                           "--quiet")
    assert made.returncode == 0, made
    cluster.token = made.stdout.strip()
    apis, workers = cluster.start("waybill-api"), cluster.start("waybill-worker")
    assert len(apis) == len(workers) == 2
    cluster.registry.push(layout, "bases/python:12", "--preserve-digests")
    apis[0].exec("waybill", "runtime", "add", "py", "--image", f"{REGISTRY}/bases/python:12")
    return apis, workers


def assert_rights(pods, **expected):
    """What the kernel says of a pod's first process."""
    for pod in pods:
        status = dict(line.split(":\t", 1) for line in pod.exec("cat", "/proc/1/status").stdout.splitlines())
        found = {"uid": status["Uid"].split()[0], "capabilities": int(status["CapBnd"], 16) > 0,
                 "no_new_privs": status["NoNewPrivs"] == "1", "filter": status["Seccomp"] == "2"}
        assert found == expected, (pod.name, found)
        assert pod.exec("touch", "/tmp/file", "/etc/waybill/file", check=False).returncode != 0


def test_pods_build_and_import(cluster_of, python_layout, package, rgw, tmp_path):  # noqa: F811
    cluster = cluster_of(overlay("base", tmp_path / "deploy"))
    apis, workers = start(cluster, python_layout)
    assert_rights(apis, **RESTRICTED)
    assert_rights(workers, **PRIVILEGED)
    source = give_source(rgw, apis[0], bring(package, ["tiny==1.0"]), "tiny")

    # A build hangs where it waits for the index; its worker is asked to end, and the other one does it.
    cluster.index.add(wheel("tiny"))
    cluster.index.hold("tiny")
    model = submit(apis[0], source, "tiny")
    wait_for(lambda: "/simple/tiny/" in cluster.index.asked or has_ended(apis[0], model), 60)
    assert not has_ended(apis[0], model), told(apis[0], model)
    [busy] = [worker["worker"] for worker in apis[1].ask("GET", "/v1/workers").json["workers"] if worker["busy"]]
    [first] = [pod for pod in workers if pod.name == busy.split("/")[0]]
    assert first.exec("ls", "/var/lib/waybill/sandbox").stdout
    assert_ends(cluster, first)
    cluster.index.let_go()
    events = assert_imported(apis, model, cluster)
    assert {event["evidence"]["worker"] for event in events if "worker" in event.get("evidence", {})} == \
        {f"{pod.name}/1" for pod in workers}
    version = in_image(cluster, pull(cluster, "tiny"), "python3", "-c", "import tiny; print(tiny.VERSION)")
    assert version == "1.0"

    # They are two machines: files that one of them has, the other has not. It packs them, and a worker builds.
    upload = apis[0].ask("POST", "/v1/default/uploads").json["upload_id"]
    assert apis[1].ask("PUT", f"/v1/default/uploads/{upload}/model/config.json", b"{}").status == 421
    sent = bring(package, ["tiny==1.0"], name="sent")
    for path in (sent / "model").iterdir():
        put = apis[0].ask("PUT", f"/v1/default/uploads/{upload}/model/{path.name}", path.read_bytes())
        assert put.status in (200, 201), str(put)
    events = assert_imported(apis, submit(apis[1], f"upload://{upload}", "sent"), cluster)
    assert events[0]["evidence"]["worker"] == f"{apis[0].name}/1"
    [built] = [event["evidence"]["worker"] for event in events if event["reason"] == "ImageBuildStarted"]
    assert built in [f"{pod.name}/1" for pod in set(workers) - {first}]
    for pod in [*apis, *set(workers) - {first}]:
        assert_ends(cluster, pod)


def test_pods_without_privileges_import(cluster_of, python_layout, package, rgw, tmp_path):  # noqa: F811
    cluster = cluster_of(overlay("no-builds", tmp_path / "deploy"))
    apis, workers = start(cluster, python_layout)
    assert_rights([*apis, *workers], **RESTRICTED)
    model = submit(apis[0], give_source(rgw, apis[0], package(), "plain"), "plain")
    assert_imported(apis, model, cluster)
    assert in_image(cluster, pull(cluster, "plain"), "cat", "/home/mind/model/weights.bin") == "weights"
    # What would need the sandbox says so.
    source = give_source(rgw, apis[0], bring(package, ["tiny==1.0"], name="other"), "needy")
    model = submit(apis[1], source, "needy")
    assert settled(apis[1], model, cluster)["failure"]["reason"] == "BuildStartFailed", told(apis[1], model)
    for pod in [*apis, *workers]:
        assert_ends(cluster, pod)
