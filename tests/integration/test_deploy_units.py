"""deploy/systemd: what systemd says of the units, and that they start under one, with all of their
hardening."""
import json
import re
import shutil
import subprocess
import uuid

import pytest

import python_base
from conftest import PROGRAM, ROOT, wait_for
from containers import BASE, LIMITS, containers  # noqa: F401
from environments import bring, reasons, sdist
from postgres import postgres_server  # noqa: F401

UNITS = ROOT / "deploy/systemd"
# systemd's exposure, 0 (safe) to 10, at most. What the second and the third do without they say why.
EXPOSURE = {"waybill-api": 1.5, "waybill-worker": 4.7, "waybill": 6.6}

BOOTED = f"""FROM {BASE}
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \\
    systemd systemd-sysv libglib2.0-0 libjansson4 libarchive13 libmicrohttpd12 libcurl4 libsqlite3-0 \\
    libpq5 libssl3 runc e2fsprogs uidmap curl openssl
COPY waybill /usr/bin/waybill
COPY *.service /etc/systemd/system/
COPY shared.conf /etc/systemd/system/waybill-api.service.d/
RUN mkdir /etc/waybill && cd /etc/waybill && touch pgpass registry.json && openssl rand -hex 32 >secret_key
COPY waybill.sysusers.conf /usr/lib/sysusers.d/waybill.conf
COPY waybill.tmpfiles.conf /usr/lib/tmpfiles.d/waybill.conf
# Mounts spread as they do on a machine, where systemd sees to that itself: credentials are mounts.
CMD mount --make-rshared / && exec /sbin/init
"""


@pytest.mark.parametrize("unit", EXPOSURE)
def test_systemd_finds_no_fault_in_a_unit(unit, tmp_path):
    # As it is installed: systemd looks for the program, too.
    for name, source in {"usr/bin/waybill": PROGRAM,
                         f"etc/systemd/system/{unit}.service": UNITS / f"{unit}.service"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(open(source, "rb").read())
    (tmp_path / "usr/bin/waybill").chmod(0o755)
    for target in ("sysinit", "basic", "shutdown", "multi-user", "network-online"):
        (tmp_path / f"etc/systemd/system/{target}.target").write_text("[Unit]\n")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"--root={tmp_path}", f"{unit}.service"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done
    done = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=yes",
                           f"--threshold={EXPOSURE[unit] * 10:.0f}", UNITS / f"{unit}.service"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-200:]


def has_workers():
    """Whether this program has `waybill worker`."""
    return subprocess.run([PROGRAM, "worker", "--help"], capture_output=True).returncode == 0


def test_units_start_under_systemd(containers, postgres_server, package, tmp_path):  # noqa: F811
    for path in UNITS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "waybill").write_bytes(open(PROGRAM, "rb").read())
    (tmp_path / "waybill").chmod(0o755)
    (tmp_path / "Containerfile").write_text(BOOTED)
    containers.base()
    image = containers.build(tmp_path / "Containerfile", tmp_path)
    name = "systemd-" + uuid.uuid4().hex
    containers.podman("run", "--detach", "--name", name, "--privileged", "--systemd=always", "--network", "none",
                      "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "-v", f"{postgres_server.where}:/srv/postgres",
                      "-v", f"{python_base.python_layout()}:/srv/base:ro", *LIMITS, image)

    def run(*words, check=True):
        return containers.podman("exec", name, *words, check=check).stdout.strip()

    wait_for(lambda: run("systemctl", "is-system-running", check=False) in ("running", "degraded"), 60)
    # The user and the directories come of sysusers.d and tmpfiles.d; the range of ids is the operator's.
    assert run("stat", "-c", "%U %a", "/var/lib/waybill") == "waybill 700"
    run("usermod", "--add-subuids", "524288-589823", "--add-subgids", "524288-589823", "waybill")

    for unit in ("waybill", "waybill-api"):
        run("systemctl", "start", unit)  # Type=notify: it said READY=1
        assert run("curl", "-sS", "http://127.0.0.1:8420/readyz") == '{"status":"ready"}'
        if unit == "waybill-api":  # shared.conf: the key is nobody else's, as waybill demands
            pid = run("systemctl", "show", "-P", "MainPID", unit)
            key = f"/run/credentials/{unit}.service/secret_key"
            assert run("nsenter", "-t", pid, "-m", "stat", "-c", "%U %a", key) == "waybill 400"
            assert f"WAYBILL_SECURITY_SECRET_KEY={key}" in run("cat", f"/proc/{pid}/environ").split("\0")
        run("systemctl", "stop", unit)
        assert run("systemctl", "show", "-P", "Result", unit) == "success"

    if has_workers():  # on a shared store, as root
        database = postgres_server.create().rsplit("/", 1)[1]
        settings = (f"WAYBILL_STORE_URL=postgresql://postgres@%2Fsrv%2Fpostgres/{database}\n"
                    "WAYBILL_IMAGES_URL=registry+http://127.0.0.1:1/models\n"
                    f"WAYBILL_SECURITY_SECRET_KEY={'5' * 64}\n")
        containers.podman("exec", "-i", name, "sh", "-c", "cat >/etc/waybill/waybill.env", stdin=settings)
        run("systemctl", "start", "waybill-worker")
        assert run("systemctl", "show", "-P", "ActiveState", "waybill-worker") == "active"
        assert postgres_server.ask(database, "SELECT count(*) FROM migrations") != ["0"]
        run("systemctl", "stop", "waybill-worker")
        assert run("systemctl", "show", "-P", "Result", "waybill-worker") == "success"
        run("rm", "/etc/waybill/waybill.env")

    # An environment is built under what the units leave, without root and as root: it is installed with
    # another owner and a set-user-ID bit.
    shape = "import os; open('/opt/odd', 'w').close(); os.chown('/opt/odd', 8, 8); os.chmod('/opt/odd', 0o4755)"
    links, source = tmp_path / "srv/links", bring(package, ["odd==1.0"])
    links.mkdir(parents=True)
    file, content = sdist("odd", before=shape)
    (links / file).write_bytes(content)
    shutil.copytree(source, tmp_path / "srv/package")
    containers.podman("cp", tmp_path / "srv", f"{name}:/srv/in")
    run("chmod", "-R", "a+rX", "/srv/in")
    for unit, limits in (("waybill", "warn"), ("waybill-worker", "ok")):
        text = (UNITS / f"{unit}.service").read_text()
        text = re.sub("^(Type|Exec|Restart).*=.*", "", text, flags=re.M)
        text = text.replace("[Service]", "\n".join((
            "[Service]", "Type=oneshot", f"StandardOutput=append:/run/{unit}.said",
            f"StandardError=append:/run/{unit}.errors",
            "Environment=WAYBILL_BUILD_PIP_FIND_LINKS=/srv/in/links WAYBILL_BUILD_NETWORK=none",
            "ExecStart=-waybill doctor --json",
            "ExecStart=waybill runtime add py --image oci:/srv/base:latest -q",
            "ExecStart=waybill import /srv/in/package --name odd --json")))
        containers.podman("exec", "-i", name, "sh", "-c", "cat >/run/systemd/system/job.service", stdin=text)
        run("systemctl", "daemon-reload")
        run("systemctl", "start", "job", check=False)
        said = [json.loads(line) for line in run("cat", f"/run/{unit}.said").splitlines() if line.startswith("{")]
        checks = {thing["id"]: thing for thing in said if "found" in thing}
        assert checks["sandbox-rootfs"]["status"] == "ok", (unit, checks)
        assert checks["sandbox-limits"]["status"] == limits, (unit, checks)
        events = [thing for thing in said if "reason" in thing]
        assert events and events[-1]["reason"] == "ModelImported", (unit, events, run("cat", f"/run/{unit}.errors"))
        assert "EnvImageBuildStarted" in reasons(events)
