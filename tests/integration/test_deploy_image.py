"""deploy/Containerfile: an image is built of it and run, as docs/operations.md says."""
import json
import re
import uuid

from conftest import ROOT, wait_for
from containers import LIMITS, containers, image  # noqa: F401

PORT = "http://127.0.0.1:8420"


def sandbox(containers, image, *options):  # noqa: F811
    """What `waybill doctor` says of a build's sandbox, in a container with these options."""
    done = containers.podman("run", "--rm", "--network", "none", *LIMITS, *options, image, "doctor",
                             "--json", check=False)
    said = {check["id"]: check for check in map(json.loads, done.stdout.splitlines())}
    return said["sandbox-rootfs"]["status"], str(said)


def test_an_image_is_built_and_serves(containers, image):  # noqa: F811
    config = json.loads(containers.inspect(image))[0]
    assert config["Config"]["User"] == "8420:8420"
    assert config["Config"]["Entrypoint"] == ["waybill"]
    labels = config["Config"]["Labels"]
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text()).group(1)
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"

    volume, name = "data-" + uuid.uuid4().hex, "waybill-" + uuid.uuid4().hex
    kept = ["-v", f"{volume}:/var/lib/waybill", "--network", "none", *LIMITS]
    # Others reach it: without a token it does not start, and says what to type.
    refused = containers.podman("run", "--rm", *kept, image, check=False)
    assert refused.returncode == 2 and "waybill token create" in refused.stderr, refused
    token = containers.podman("run", "--rm", *kept, image, "token", "create", "--user", "root", "--role",
                              "admin", "--project", "*", "--quiet").stdout.strip()

    # As Kubernetes' restricted profile has it: no root, no capability, nothing to write but the data.
    containers.podman("run", "--detach", "--name", name, *kept, "--cap-drop", "all", "--read-only",
                      "--read-only-tmpfs=false", "--security-opt", "no-new-privileges", image)

    def ask(path, *words):
        return containers.podman("exec", name, "curl", "-sS", *words, PORT + path, check=False).stdout

    wait_for(lambda: ask("/readyz") == '{"status":"ready"}')
    assert "waybill_attempts" in ask("/metrics", "-H", "Authorization: Bearer " + token)
    assert "waybill_attempts" not in ask("/metrics")
    assert "<title>" in ask("/")
    # The image's own HEALTHCHECK.
    assert containers.podman("healthcheck", "run", name, check=False).returncode == 0
    compilers = containers.podman("exec", name, "sh", "-c", "command -v gcc cc node meson", check=False)
    assert compilers.stdout == ""
    assert containers.podman("exec", name, "id", "-u").stdout.strip() == "8420"
    # SIGTERM ends process 1 in order.
    containers.podman("stop", "--time", "20", name)
    state = json.loads(containers.podman("inspect", name).stdout)[0]["State"]
    assert state["ExitCode"] == 0, containers.podman("logs", name).stdout

    # What a build's sandbox takes: neither the profile above nor a container's defaults have it,
    status, said = sandbox(containers, image)
    assert status == "warn", said
    # root and privileged have (deploy/kubernetes/base/worker), and so has who is not root where ids may
    # be mapped, /proc is whole and no profile of the engine's is in the way.
    status, said = sandbox(containers, image, "--user", "0:0", "--privileged", "--read-only",
                           "--read-only-tmpfs=false")
    assert status == "ok", said
    status, said = sandbox(containers, image, "--security-opt", "seccomp=unconfined", "--security-opt",
                           "apparmor=unconfined", "--security-opt", "unmask=ALL", "--cap-add", "SYS_ADMIN")
    assert status == "ok", said
