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
