"""Environment images as a server builds them."""
import pytest

from environments import (FRESH, HIT, builder, bring, index, left_behind, python_layout, reasons,
                          sdist, wheel)  # noqa: F401
from serving import Server


@pytest.fixture
def serve(builder, tmp_path):
    """serve(**settings in the environment) is a running server on the builder's data directory."""
    running = []

    def start(**environment):
        kept = builder.environment
        builder.environment = kept | environment
        running.append(Server(builder, tmp_path))
        builder.environment = kept
        return running[-1]
    yield start
    for server in running:
        assert server.stop() == 0
    assert not left_behind(builder)


def events_of(server, model_id):
    return server.get(f"/models/{model_id}/events").json["events"]


def test_a_server_takes_its_index_from_its_settings_alone(serve, package, index, tmp_path):
    index.add(wheel("by_server"))
    conf = tmp_path / "pip.conf"
    conf.write_text(f"[global]\nindex-url = {index.url}\n")
    source = bring(package, ["by_server==1.0"])
    server = serve(PIP_CONFIG_FILE=str(conf), WAYBILL_BUILD_NETWORK="")
    model_id = server.create(source, name="server1").json["model_id"]
    settled = server.settled(model_id)
    assert settled["failure"]["kind"] == "no_network", settled
    server.stop()
    server = serve(**index.env)
    model_id = server.create(source, name="server2").json["model_id"]
    assert server.settled(model_id)["model_status"] == "published"
    assert [name for name in reasons(events_of(server, model_id)) if name in FRESH] == FRESH
    log = server.get(f"/models/{model_id}/log")
    assert "Successfully installed" in str(log), log


def test_a_build_goes_on_after_the_server_was_stopped(serve, package, index):
    index.add(sdist("interrupted", before="import time; time.sleep(3)"))
    server = serve(**index.env)
    model_id = server.create(bring(package, ["interrupted==1.0"]), name="server3").json["model_id"]
    while "EnvImageBuildStarted" not in reasons(events_of(server, model_id)):
        pass
    server.stop()
    server = serve(**index.env)
    assert server.settled(model_id)["model_status"] == "published"
    assert reasons(events_of(server, model_id)).count("EnvImageBuildStarted") == 1


def test_an_environment_is_built_anew_when_the_server_is_asked_to(serve, package, index, builder):
    index.add(wheel("anew"))
    server = serve(**index.env)
    source = bring(package, ["anew==1.0"])
    model_id = server.create(source, name="server4").json["model_id"]
    assert server.settled(model_id)["model_status"] == "published"
    again = server.create(source, name="server5", no_cache=True).json["model_id"]
    assert server.settled(again)["model_status"] == "published"
    assert [name for name in reasons(events_of(server, again)) if name in FRESH] == FRESH
    answer = server.ask("POST", f"/v1/default/models/{model_id}/retry", {"no_cache": True})
    assert answer.status == 200 and answer.json["attempt"] == 2, answer
    assert server.settled(model_id)["model_status"] == "published"
    second = [event for event in events_of(server, model_id) if event["attempt"] == 2]
    assert [name for name in reasons(second) if name in FRESH] == FRESH
    told = server.ask("POST", f"/v1/default/models/{model_id}/retry", {})
    assert told.status == 200 and told.json["attempt"] == 2, "there is nothing to retry"
    wrong = server.ask("POST", f"/v1/default/models/{model_id}/retry", {"no_cache": "yes"})
    assert wrong.status == 400 and "no_cache must be true or false" in wrong.json["error_msg"]
    address = f"http://{server.netloc}"
    remote = builder.run("retry", "server4", "--no-cache", "--json", "--server", address)
    assert remote.returncode == 0 and "EnvImageBuildStarted" in remote.reasons, str(remote)
    local = builder.run("import", source, "--name", "server6", "--no-cache", "--json", "--server",
                        address)
    assert local.returncode == 0 and "EnvImageBuildStarted" in local.reasons, str(local)


def test_a_server_verifies_where_it_is_asked_to(serve, package, builder):
    """The base of the tests serves nothing."""
    server = serve()
    model_id = server.create(package(), name="server7", runtime="py", verify=True).json["model_id"]
    settled = server.settled(model_id, timeout=120)
    assert settled["model_status"] == "failed", settled
    assert settled["failure"]["reason"] == "ImageVerifyFailed", settled
