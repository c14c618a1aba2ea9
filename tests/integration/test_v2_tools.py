"""The registry at /v2/ as skopeo, podman and umoci use one."""
import json
import shutil
import subprocess
import tempfile

import pytest

from access import make_token, serve  # noqa: F401
from oci_layout import make_base
from v2_client import Registry

pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("skopeo", "podman", "umoci"))),
                                reason="skopeo, podman and umoci are not there")


def run(*command, check=True, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120,
                          **options)
    assert not check or done.returncode == 0, (command, done.stderr)
    return done


def skopeo(verb, *arguments, **options):
    return run("skopeo", "--insecure-policy", verb, *arguments, **options)


@pytest.fixture
def podman(tmp_path):
    """Podman with a storage of its own. Its --runroot has at most 50 characters."""
    short = tempfile.mkdtemp(prefix="waybill-")
    where = ["--root", tmp_path / "podman", "--runroot", short, "--storage-driver", "vfs",
             "--runtime", "runc", "--cgroup-manager", "cgroupfs"]
    yield lambda *arguments, **options: run("podman", *where, *arguments, **options)
    run("podman", *where, "rmi", "--all", "--force", check=False)
    shutil.rmtree(short, ignore_errors=True)


@pytest.fixture
def digits(server, package):
    details = server.settled(server.create(package(), "digits").json["model_id"])
    assert details["model_status"] == "published", details
    return f"{server.netloc}/default/digits:0.0.1", details["image_digest"]


def test_skopeo_copies_in_both_directions(server, base_layout, tmp_path):
    where = f"docker://{server.netloc}/default/copied:1"
    skopeo("copy", "--dest-tls-verify=false", f"oci:{base_layout}:latest", where)
    out = tmp_path / "out"
    skopeo("copy", "--src-tls-verify=false", where, f"oci:{out}:latest")
    digest = json.loads((out / "index.json").read_text())["manifests"][0]["digest"]
    shown = json.loads(skopeo("inspect", "--tls-verify=false", where).stdout)
    assert shown["Digest"] == digest and shown["RepoTags"] == ["1"]
    copied = f"docker://{server.netloc}/second/copied:1"
    skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", where, copied)
    assert json.loads(skopeo("inspect", "--tls-verify=false", copied).stdout)["Digest"] == digest
    skopeo("delete", "--tls-verify=false", where)
    assert skopeo("inspect", "--tls-verify=false", where, check=False).returncode != 0


@pytest.mark.parametrize("kind", ["v2s2", "oci"])
def test_skopeo_copies_a_model_in_a_format(server, digits, tmp_path, kind):
    where = f"docker://{server.netloc}/default/other:{kind}"
    skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--format", kind,
           f"docker://{digits[0]}", where)
    raw = json.loads(skopeo("inspect", "--tls-verify=false", "--raw", where).stdout)
    assert ("docker" in raw["mediaType"]) == (kind == "v2s2")
    skopeo("copy", "--src-tls-verify=false", where, f"dir:{tmp_path / 'dir'}")


def test_skopeo_copies_every_platform_of_an_index(server, tmp_path):
    make_base(tmp_path / "both", ["linux/amd64", "linux/arm64"])
    where = f"docker://{server.netloc}/default/both:1"
    skopeo("copy", "--all", "--dest-tls-verify=false", f"oci:{tmp_path / 'both'}:latest", where)
    raw = json.loads(skopeo("inspect", "--tls-verify=false", "--raw", where).stdout)
    assert len(raw["manifests"]) == 2
    skopeo("copy", "--all", "--src-tls-verify=false", where, f"oci:{tmp_path / 'again'}:latest")


def test_umoci_unpacks_a_model_that_skopeo_pulled(digits, tmp_path):
    skopeo("copy", "--src-tls-verify=false", f"docker://{digits[0]}", f"oci:{tmp_path / 'oci'}:m")
    run("umoci", "unpack", "--rootless", "--image", f"{tmp_path / 'oci'}:m", tmp_path / "bundle")
    model = tmp_path / "bundle" / "rootfs" / "home" / "mind" / "model"
    assert (model / "weights.bin").read_text() == "weights"


def test_umoci_changes_an_image_and_skopeo_pushes_it(server, base_layout, tmp_path):
    shutil.copytree(base_layout, tmp_path / "own")
    (tmp_path / "note").write_text("added\n")
    run("umoci", "insert", "--rootless", "--image", f"{tmp_path / 'own'}:latest", "--tag", "next",
        tmp_path / "note", "/note")
    where = f"docker://{server.netloc}/default/changed:next"
    skopeo("copy", "--dest-tls-verify=false", f"oci:{tmp_path / 'own'}:next", where)
    skopeo("copy", "--src-tls-verify=false", where, f"oci:{tmp_path / 'back'}:next")
    run("umoci", "unpack", "--rootless", "--image", f"{tmp_path / 'back'}:next",
        tmp_path / "bundle")
    assert (tmp_path / "bundle" / "rootfs" / "note").read_text() == "added\n"


def test_podman_pulls_a_model(podman, digits):
    image = podman("pull", "--quiet", "--tls-verify=false", digits[0]).stdout.strip()
    [shown] = json.loads(podman("inspect", image).stdout)
    assert shown["Digest"] == digits[1]
    assert shown["Labels"]["org.opencontainers.image.title"] == "digits"


def test_podman_pushes_a_custom_image_which_is_imported(podman, server, ready, podman_layout):
    image = podman("pull", "--quiet", f"oci:{podman_layout}:latest").stdout.strip()
    where = f"{server.netloc}/default/custom:1"
    podman("push", "--quiet", "--tls-verify=false", image, where)
    podman("rmi", "--force", image)
    podman("pull", "--quiet", "--tls-verify=false", where)
    done = ready.run("import", f"registry+http://{where}", "--type", "Image", "--name", "custom",
                     "--json")
    assert done.returncode == 0, str(done)
    custom = Registry(server, "default/custom")
    assert custom.ask("GET", "/tags/list").json["tags"] == ["0.0.1", "1"]
    assert custom.ask("GET", "/manifests/0.0.1").body == custom.ask("GET", "/manifests/1").body
    podman("pull", "--quiet", "--tls-verify=false", f"{server.netloc}/default/custom:0.0.1")


def test_the_tools_log_in_with_a_token(podman, serve, ready, base_layout, tmp_path):
    server = serve()
    writer, reader = make_token(ready), make_token(ready, "bob", "reader")
    where = f"docker://{server.netloc}/default/custom:1"
    refused = skopeo("copy", "--dest-tls-verify=false", f"oci:{base_layout}:latest", where,
                     check=False)
    assert refused.returncode != 0
    skopeo("copy", "--dest-tls-verify=false", "--dest-creds", "any:" + writer["token"],
           f"oci:{base_layout}:latest", where)
    refused = skopeo("copy", "--dest-tls-verify=false", "--dest-creds", "any:" + reader["token"],
                     f"oci:{base_layout}:latest", where + "2", check=False)
    assert refused.returncode != 0 and "role" in refused.stderr, refused.stderr
    login = ["--tls-verify=false", "--authfile", tmp_path / "auth.json"]
    podman("login", *login, "--username", "bob", "--password", reader["token"], server.netloc)
    podman("pull", "--quiet", *login, f"{server.netloc}/default/custom:1")
    wrong = podman("login", *login, "--username", "bob", "--password", "wrong", server.netloc,
                   check=False)
    assert wrong.returncode != 0


def test_a_layer_goes_from_repository_to_repository_without_being_sent(server, base_layout):
    first = f"docker://{server.netloc}/default/first:1"
    skopeo("copy", "--dest-tls-verify=false", f"oci:{base_layout}:latest", first)
    manifest = Registry(server, "default/first").ask("GET", "/manifests/1").body
    layer = json.loads(manifest)["layers"][0]["digest"]
    second = Registry(server, "default/second")
    assert second.ask("POST", "/blobs/uploads/", mount=layer,
                      **{"from": "default/first"}).status == 201
    skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", first,
           f"docker://{server.netloc}/default/second:1")
    assert second.ask("GET", "/manifests/1").body == manifest
