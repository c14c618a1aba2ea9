"""Custom images and base images from a real registry (registries.py), put there by skopeo and podman."""
import json
import os
import subprocess
import tempfile

import pytest

from access import make_token, serve, with_token  # noqa: F401 (a fixture)
from conftest import write_package
from corpus_runner import assert_answered
from oci_layout import host_platform, make_base, make_layers
from registries import IDENTITY, SECRET, USER, auth_file, registry_at  # noqa: F401 (a fixture)
from wholeness import assert_store, index_of

FOREIGN = "linux/s390x"


@pytest.fixture
def lone(waybill, tmp_path):
    """Waybill for somebody who has no logins yet: neither podman's nor docker's."""
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        waybill.environment.pop(name, None)
    (tmp_path / "home").mkdir()
    waybill.environment["HOME"] = str(tmp_path / "home")
    waybill.environment |= {"WAYBILL_REGISTRY_RETRIES": "1", "WAYBILL_REGISTRY_TIMEOUT_SECONDS": "5"}
    return waybill


def image_import(waybill, reference, *options, name="m"):
    return waybill.run("import", reference, "--type", "Image", "--name", name, "--json", *options)


def assert_imported(waybill, reference, digest, *options):
    result = image_import(waybill, reference, *options)
    assert result.reasons[-1:] == ["ModelImported"], str(result)
    assert index_of(waybill.data) == {"default/m:0.0.1": digest}
    assert_store(waybill)
    return result


def failed(waybill, reference, *options):
    """The event that ended the import of it."""
    result = image_import(waybill, reference, *options)
    assert result.returncode == 1, str(result)
    assert SECRET not in str(result) and "Bearer" not in str(result)
    [cause] = [event for event in result.events if event["seq"] == result.events[-1]["cause"]]
    return cause


def add_credential(waybill, registry, user=USER, secret=SECRET, project="default"):
    done = subprocess.run(
        [waybill.program, "credential", "add", "--for", "registry", "--host", registry.host, "--user",
         user, "--secret-stdin", "--project", project], env=waybill.environment, input=secret, text=True,
        capture_output=True)
    assert done.returncode == 0, done


# -- what is read --

def test_an_image_by_its_tag(lone, registry_at, base_layout):
    registry = registry_at()
    digest = registry.push(base_layout)
    result = assert_imported(lone, registry.reference(), digest)
    [size] = [event for event in result.events if event["reason"] == "SourceImageSizeCalculated"]
    assert size["evidence"]["digest"] == digest


def test_an_image_by_its_digest_asks_for_no_tag(lone, registry_at, base_layout):
    registry = registry_at()
    digest = registry.push(base_layout, "team/by-digest:1")
    assert_imported(lone, registry.reference(f"team/by-digest@{digest}"), digest)
    asked = (registry.where / "registry.log").read_text()
    assert "team/by-digest/manifests/" in asked and "team/by-digest/tags/list" not in asked


def test_an_image_of_docker_media_types_that_podman_pushed(lone, registry_at, podman_layout, tmp_path):
    registry = registry_at()
    environment = {key: value for key, value in os.environ.items() if key != "REGISTRY_AUTH_FILE"}
    environment["HOME"] = str(tmp_path)
    with tempfile.TemporaryDirectory(prefix="waybill-") as runroot:  # podman wants a short path
        def podman(*command):
            done = subprocess.run(["podman", "--root", tmp_path / "root", "--runroot", runroot,
                                   "--storage-driver", "vfs", *map(str, command)], env=environment,
                                  capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done
            return done.stdout.strip().splitlines()[-1:]
        [image] = podman("pull", "--quiet", f"oci:{podman_layout}:latest")
        podman("push", "--quiet", "--tls-verify=false", "--format", "v2s2", "--digestfile",
               tmp_path / "digest", image, f"docker://{registry.host}/team/docker:1")
    assert_imported(lone, registry.reference("team/docker:1"), (tmp_path / "digest").read_text())


def test_an_image_of_many_layers(lone, registry_at, tmp_path):
    registry = registry_at()
    make_layers(tmp_path / "many", 60)
    digest = registry.push(tmp_path / "many", "team/many:1")
    assert_imported(lone, registry.reference("team/many:1"), digest)


def test_the_platform_is_picked_from_an_index(lone, registry_at, tmp_path):
    registry = registry_at()
    make_base(tmp_path / "two", [FOREIGN, host_platform()])
    registry.push(tmp_path / "two", "team/two:1")
    for number, options in enumerate([[], ["--platform", FOREIGN]]):
        result = image_import(lone, registry.reference("team/two:1"), *options, name=f"m{number}")
        [size] = [event for event in result.events if event["reason"] == "SourceImageSizeCalculated"]
        assert size["evidence"]["platform"] == (FOREIGN if options else host_platform())
    assert len(set(index_of(lone.data).values())) == 2
    assert_store(lone)


def test_a_platform_that_is_not_there(lone, registry_at, tmp_path):
    registry = registry_at()
    make_base(tmp_path / "foreign", [FOREIGN])
    registry.push(tmp_path / "foreign", "team/foreign:1")
    event = failed(lone, registry.reference("team/foreign:1"))
    assert (event["reason"], event["kind"]) == ("SourceImageNotFound", "platform")
    assert event["evidence"]["found"] == [FOREIGN]


def test_tags_and_repositories_that_are_not_there(lone, registry_at, base_layout):
    registry = registry_at()
    digest = registry.push(base_layout, "team/tags:release-1")
    registry.push(base_layout, "team/tags:release-2")
    event = failed(lone, registry.reference("team/tags:relaese-1"))
    assert event["reason"] == "ImageTagNotFound"
    assert event["evidence"]["tags"] == ["release-1", "release-2"] and event["evidence"]["n"] == 2
    assert event["evidence"]["nearest"] == "release-1"
    for place in ("team/nowhere:1", f"team/tags@sha256:{'0' * 64}"):
        event = failed(lone, registry.reference(place))
        assert (event["reason"], event["kind"]) == ("SourceImageNotFound", "manifest"), event
    registry.delete("team/tags", digest)
    event = failed(lone, registry.reference(f"team/tags@{digest}"))
    assert (event["reason"], event["evidence"]["http"]["status"]) == ("SourceImageNotFound", 404)


def test_a_tag_that_moved_is_said_at_the_retry(lone, registry_at, base_layout, tmp_path):
    registry = registry_at()
    registry.push(base_layout, "team/moving:1")
    failed(lone, registry.reference("team/moving:1"), "--set", "limits.image_gib=0.0000001")
    make_layers(tmp_path / "other", 2)
    digest = registry.push(tmp_path / "other", "team/moving:1")
    result = lone.run("retry", "m", "--json")
    assert result.reasons[-1] == "ModelImported" and index_of(lone.data) == {"default/m:0.0.1": digest}


def test_an_image_that_is_imported_again(lone, registry_at, base_layout, tmp_path):
    """What --if-exists same compares is read with the project's login, too."""
    registry = registry_at("basic")
    registry.push(base_layout, "team/again:1")
    add_credential(lone, registry)
    again = ["import", registry.reference("team/again:1"), "--type", "Image", "--name", "m", "--version",
             "1.0.0", "--if-exists", "same"]
    lone.run(*again, check=True)
    assert "unchanged" in lone.run(*again, check=True).stdout
    make_layers(tmp_path / "other", 2)
    digest = registry.push(tmp_path / "other", "team/again:1")
    other = lone.run(*again)
    assert other.returncode == 2 and digest in other.stderr, str(other)


# -- who asks --

@pytest.mark.parametrize("mode", ["basic", "token"])
def test_the_login_of_the_project(mode, lone, registry_at, base_layout):
    registry = registry_at(mode)
    digest = registry.push(base_layout)
    event = failed(lone, registry.reference())
    assert (event["reason"], event["kind"]) == ("SourceImageTokenExpired", "anonymous")
    assert event["evidence"]["who"] == "anonymous" and event["evidence"]["credential"] == "none"
    assert_answered(lone, event)
    add_credential(lone, registry, secret="wrong")
    event = failed(lone, registry.reference())
    assert (event["reason"], event["kind"]) == ("SourceImageTokenExpired", "denied")
    assert event["evidence"]["who"] == USER and event["evidence"]["credential"] == "project"
    add_credential(lone, registry)
    assert_imported(lone, registry.reference(), digest)


@pytest.mark.parametrize("mode", ["basic", "token"])
def test_the_login_of_podman(mode, lone, registry_at, base_layout, tmp_path):
    registry = registry_at(mode)
    digest = registry.push(base_layout)
    lone.environment["REGISTRY_AUTH_FILE"] = str(
        auth_file(tmp_path / "auth.json", **{registry.host: (USER, SECRET)}))
    assert_imported(lone, registry.reference(), digest)


def test_podman_login_itself(lone, registry_at, base_layout, tmp_path):
    registry = registry_at("basic")
    digest = registry.push(base_layout)
    done = subprocess.run(["podman", "login", "--tls-verify=false", "--authfile", tmp_path / "auth.json",
                           "-u", USER, "--password-stdin", registry.host], input=SECRET, text=True,
                          capture_output=True)
    assert done.returncode == 0, done
    lone.environment["WAYBILL_IMAGES_AUTH_FILE"] = str(tmp_path / "auth.json")
    assert_imported(lone, registry.reference(), digest)


def test_the_login_of_a_credential_helper(lone, registry_at, base_layout, tmp_path):
    registry = registry_at("basic")
    digest = registry.push(base_layout)
    helper = tmp_path / "bin/docker-credential-tests"
    helper.parent.mkdir()
    helper.write_text('#!/bin/sh\nread -r host\necho "$1 $host" >> "$0.asked"\n'
                      f'echo \'{{"Username": "{USER}", "Secret": "{SECRET}"}}\'\n')
    helper.chmod(0o755)
    lone.environment["PATH"] = f"{helper.parent}:{os.environ['PATH']}"
    docker = tmp_path / "home/.docker"
    docker.mkdir()
    (docker / "config.json").write_text(json.dumps({"credHelpers": {registry.host: "tests"}}))
    assert_imported(lone, registry.reference(), digest)
    assert set((tmp_path / "bin/docker-credential-tests.asked").read_text().split("\n")) == {
        f"get {registry.host}", ""}


def test_an_identity_token(lone, registry_at, base_layout, tmp_path):
    registry = registry_at("token")
    digest = registry.push(base_layout)
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {registry.host: {
        "identitytoken": IDENTITY}}}))
    lone.environment["REGISTRY_AUTH_FILE"] = str(tmp_path / "auth.json")
    assert_imported(lone, registry.reference(), digest)


def test_tokens_of_a_second_are_renewed(lone, registry_at, tmp_path):
    registry = registry_at("token", token_seconds=1)
    make_layers(tmp_path / "many", 20)
    digest = registry.push(tmp_path / "many", "team/many:1")
    add_credential(lone, registry)
    assert_imported(lone, registry.reference("team/many:1"), digest)


def test_logins_that_cannot_be_read_are_named(lone, registry_at, base_layout, tmp_path):
    registry = registry_at("basic")
    registry.push(base_layout)
    for content, said in (("no JSON", "auth.json"),
                          ('{"credsStore": "that-is-not-there"}', "docker-credential-that-is-not-there"),
                          ('{"credsStore": "../x"}', "credential helper")):
        (tmp_path / "auth.json").write_text(content)
        lone.environment["REGISTRY_AUTH_FILE"] = str(tmp_path / "auth.json")
        event = failed(lone, registry.reference())
        assert (event["reason"], event["kind"]) == ("SourceImageTokenExpired", "login_unread"), event
        assert said in event["summary"] and event["fix_by"] == "you"
        assert_answered(lone, event)


# -- TLS --

def test_a_certificate_of_a_ca_that_is_set(lone, registry_at, base_layout):
    registry = registry_at("tls")
    digest = registry.push(base_layout)
    event = failed(lone, registry.reference())
    assert (event["reason"], event["kind"], event["fix_by"]) == ("ImageTagListFailed", "tls", "admin")
    assert event["evidence"]["attempts"] == 1 and "certificate" in event["evidence"]["peer"]["tls_error"]
    assert_answered(lone, event)
    lone.environment["WAYBILL_REGISTRY_CA_FILE"] = str(registry.ca)
    assert_imported(lone, registry.reference(), digest)


def test_a_registry_without_tls_that_is_asked_with_it(lone, registry_at):
    event = failed(lone, f"{registry_at().host}/team/app:1")
    assert (event["reason"], event["kind"]) == ("ImageTagListFailed", "tls")
    assert any("registry+http://" in step for step in event["advice"])


# -- as a base, and by a package --

@pytest.mark.parametrize("mode", ["plain", "token"])
def test_a_base_image_and_a_package_on_it(mode, lone, registry_at, base_layout, package, tmp_path):
    registry = registry_at(mode)
    registry.push(base_layout, "bases/python:3.11")
    if mode == "token":
        refused = lone.run("runtime", "add", "base", "--image", registry.reference("bases/python:3.11"))
        assert refused.returncode == 1 and "401" in refused.stderr, str(refused)
        assert not lone.data.exists()
    lone.environment["REGISTRY_AUTH_FILE"] = str(
        auth_file(tmp_path / "auth.json", **{registry.host: (USER, SECRET)}))
    lone.run("runtime", "add", "base", "--image", registry.reference("bases/python:3.11"), check=True)
    [shown] = lone.run("runtime", "list", "--json", check=True).stdout.splitlines()
    assert json.loads(shown)["image"] == registry.reference("bases/python:3.11")
    result = lone.run("import", package(), "--name", "m", "--json")
    assert result.reasons[-1] == "ModelImported", str(result)
    assert_store(lone)


def test_a_base_image_is_fetched_once(lone, registry_at, base_layout):
    registry = registry_at()
    registry.push(base_layout, "bases/once:1")
    log = registry.where / "registry.log"
    before = len(log.read_text())
    lone.run("runtime", "add", "base", "--image", registry.reference("bases/once:1"), check=True)
    # The config twice, to look at it; the layer once.
    assert log.read_text()[before:].count('"GET /v2/bases/once/blobs/') == 3


def test_a_package_that_names_its_image(lone, registry_at, base_layout, package):
    registry = registry_at()
    digest = registry.push(base_layout)
    source = package(config={"model_type": "Image", "swr_location": registry.reference(),
                             "health": {"url": "/health"}}, files={"model/weights.bin": None})
    result = lone.run("import", source, "--name", "m", "--json")
    assert result.reasons[-1] == "ModelImported", str(result)
    assert index_of(lone.data) == {"default/m:0.0.1": digest}


# -- over HTTP --

def create_image(server, reference, token=None, project="default", name="m"):
    body = {"model_name": name, "model_version": "0.0.1", "model_type": "Image",
            "source_location": reference}
    return server.ask("POST", f"/v1/{project}/models", body, with_token(token) if token else {})


def cause_of(server, model_id, token=None, project="default"):
    headers = with_token(token) if token else {}
    details = server.ask("GET", f"/v1/{project}/models/{model_id}?wait=10", headers=headers).json
    while details["model_status"] == "publishing":
        details = server.ask("GET", f"/v1/{project}/models/{model_id}?wait=10", headers=headers).json
    if details["model_status"] == "published":
        return None
    events = server.ask("GET", f"/v1/{project}/models/{model_id}/events", headers=headers).json["events"]
    [cause] = [event for event in events if event["reason"] not in ("ImportStarted", "ImportFailed")
               and event["event_type"] == "abnormal"]
    return cause


def test_over_http_only_the_projects_own_login_is_used(ready, lone, registry_at, base_layout, serve,
                                                       tmp_path):
    """Neither another project's, nor that of who runs the service."""
    registry = registry_at("basic")
    digest = registry.push(base_layout)
    lone.environment["REGISTRY_AUTH_FILE"] = str(
        auth_file(tmp_path / "auth.json", **{registry.host: (USER, SECRET)}))
    add_credential(lone, registry, project="vision")
    server = serve()
    tokens = {project: make_token(lone, project, "writer", project) for project in ("vision", "speech")}
    answers = {project: create_image(server, registry.reference(), token, project)
               for project, token in tokens.items()}
    assert all(answer.status == 200 for answer in answers.values()), answers
    causes = {project: cause_of(server, answer.json["model_id"], tokens[project], project)
              for project, answer in answers.items()}
    assert causes["vision"] is None
    assert causes["speech"]["reason"] == "SourceImageTokenExpired"
    assert causes["speech"]["kind"] == "anonymous"
    assert digest in index_of(lone.data).values()


def test_over_http_registries_are_bounded_by_their_prefixes(ready, lone, registry_at, base_layout, serve,
                                                            tmp_path):
    registry = registry_at()
    for place in ("default/app:1", "other/app:1", "shared/app:1"):
        registry.push(base_layout, place)
    server = serve("--set", f"sources.allow={registry.host}/{{project}} {registry.host}/shared "
                            f"file://{tmp_path}")
    for number, place in enumerate(["default/app:1", "shared/app:1"]):
        answer = create_image(server, registry.reference(place), name=f"m{number}")
        assert answer.status == 200, str(answer)
        assert cause_of(server, answer.json["model_id"]) is None
    for place in ("other/app:1", "sharedx/app:1", "default-x/app:1"):
        assert create_image(server, registry.reference(place), name="n").status in (400, 403), place
    # Nor by a package that names the image itself.
    source = write_package(tmp_path / "named", {"model/config.json": {
        "model_algorithm": "a", "model_type": "Image", "swr_location": registry.reference("other/app:1"),
        "health": {"url": "/health"}}})
    answer = server.create(source, name="p", model_type="Image")
    assert answer.status == 200, str(answer)
    assert cause_of(server, answer.json["model_id"])["reason"] == "ConfigValueInvalid"


def test_an_image_that_is_stored_already_is_not_fetched_again(lone, registry_at, base_layout):
    """What an earlier attempt stored stays, so that a retry goes on from there."""
    registry = registry_at()
    digest = registry.push(base_layout, "team/again:1")
    assert_imported(lone, registry.reference("team/again:1"), digest)
    log = registry.where / "registry.log"
    before = len(log.read_text())
    result = image_import(lone, registry.reference("team/again:1"), name="other")
    assert result.reasons[-1] == "ModelImported"
    shared = next(event for event in result.events if event["reason"] == "SourceImageShared")
    assert shared["evidence"]["bytes_copied"] == 0
    asked = log.read_text()[before:]
    assert '"GET /v2/team/again/manifests/' in asked
    assert asked.count('"GET /v2/team/again/blobs/') == 2  # the config, to look at it, by each stage
