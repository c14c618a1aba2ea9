"""The pods of rendered Deployments, run by podman with what a kubelet would give them: user, rights, files,
environment, probes and how they end are what the manifests say, and anything in them that is not
understood here is an error. (Debian's `podman kube play` knows no Secret's volume, no fsGroup, no probes.)

Each has a network of its own: no way out but to the services, under the names and at the ports that the
manifests have them at."""
import asyncio
import concurrent.futures
import contextlib
import ctypes
import functools
import http.client
import json
import os
import socket
import subprocess
import threading
import time

from conftest import wait_for
from containers import LIMITS
from kustomize import containers
from registries import end_with_us
from serving import Server

# What tells the scheduler and the API of Kubernetes something, not the node.
ELSEWHERE = {"serviceAccountName", "automountServiceAccountToken", "enableServiceLinks",
             "topologySpreadConstraints", "nodeSelector", "tolerations"}
POD = ELSEWHERE | {"terminationGracePeriodSeconds", "securityContext", "containers", "volumes"}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
CONTAINER = {"name", "image", "args", "ports", "envFrom", "lifecycle", "resources", "securityContext",
             "volumeMounts", *PROBES}
RIGHTS = {"runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "seccompProfile", "privileged",
          "allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"}
libc = ctypes.CDLL(None, use_errno=True)


# -- networks --

class Network:
    """A network namespace with nothing but loopback, which has these addresses."""

    def __init__(self, *addresses):
        words = ["ip link set lo up", *(f"ip address add {address}/32 dev lo" for address in addresses),
                 "echo up", "exec sleep infinity"]
        self.process = subprocess.Popen(["unshare", "--net", "sh", "-ec", "\n".join(words)],
                                        stdout=subprocess.PIPE, preexec_fn=end_with_us)
        assert self.process.stdout.readline() == b"up\n"
        self.path = f"/proc/{self.process.pid}/ns/net"

    def inside(self, make):
        """What make() returns: a socket belongs to the network in which it was made."""
        def enter():
            with open(self.path) as file:
                assert libc.setns(file.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
            return make()
        with concurrent.futures.ThreadPoolExecutor(1) as thread:  # of its own: it stays in there
            return thread.submit(enter).result()

    def remove(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Carrier:
    """Carries what comes at a socket to a port of this machine's loopback, out of TLS where there is some."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def do(self, what):
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(30)

    def carry(self, listener, port, tls):
        self.do(asyncio.start_server(functools.partial(self.join, port), sock=listener, ssl=tls))

    async def join(self, port, reader, writer):
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(self.copy(reader, far_writer), self.copy(far_reader, writer))
        writer.close()

    @staticmethod
    async def copy(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def end(self):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self):
        self.do(self.end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


# -- what a pod spec says, as options of podman --

def rights(pod, container):
    context = pod.get("securityContext", {}) | container["securityContext"]
    assert set(context) <= RIGHTS, context
    options = ["--user", f"{context['runAsUser']}:{context['runAsGroup']}"]
    assert not context.get("runAsNonRoot") or context["runAsUser"] != 0
    if "fsGroup" in context:
        options += ["--group-add", str(context["fsGroup"])]
    if context.get("readOnlyRootFilesystem"):
        options += ["--read-only", "--read-only-tmpfs=false"]
    if context.get("privileged"):
        options += ["--privileged", "--cgroupns", "host"]
    else:  # podman's filter is on unless it is told otherwise
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    if context.get("allowPrivilegeEscalation") is False:
        options += ["--security-opt", "no-new-privileges"]
    assert set(context.get("capabilities", {})) <= {"drop"}
    return options + [f"--cap-drop={name.lower()}" for name in context.get("capabilities", {}).get("drop", [])]


def size(text):
    number, unit = text[:-2], text[-2:]
    return int(number) << {"Mi": 20, "Gi": 30}[unit]


def resources(container):
    """The limit of memory; podman has none for ephemeral-storage, and requests are the scheduler's."""
    assert set(container["resources"]["limits"]) <= {"memory", "ephemeral-storage"}
    limit = size(container["resources"]["limits"]["memory"])
    return ["--memory", str(limit), "--memory-swap", str(limit)]


def give(path, mode, group):
    """As a kubelet does it: root's, and the fsGroup's."""
    os.chown(path, 0, group or 0)
    path.chmod(mode | (0o2000 if group and path.is_dir() else 0))


def write_files(where, files, group):
    """A volume of a ConfigMap or a Secret: its names are links, so that all of it changes at once."""
    kept = where / "..2026_01_01_00_00_00.000000000"
    kept.mkdir()
    give(kept, 0o755, group)
    (where / "..data").symlink_to(kept.name)
    for name, text in files.items():
        (kept / name).write_text(text)
        give(kept / name, 0o644, group)
        (where / name).symlink_to(f"..data/{name}")


class Pod(Server):
    """A running one, and a client of its port where it has one."""

    def __init__(self, cluster, deployment, name, args=None):
        self.cluster, self.engine, self.name = cluster, cluster.engine, name
        self.namespace = deployment["metadata"]["namespace"]
        self.spec = deployment["spec"]["template"]["spec"]
        [self.container] = containers(deployment)
        assert set(self.spec) <= POD and set(self.container) <= CONTAINER, self.spec
        self.address = cluster.next_address()
        self.network = cluster.network(self.address)
        self.where = self.engine.where / "volumes" / name
        self.options = [
            "--name", name, "--hostname", name, "--network", f"ns:{self.network.path}", "--no-healthcheck",
            *(f"--add-host={host}:{address}" for host, address in cluster.hosts.items()),
            *LIMITS, *rights(self.spec, self.container), *resources(self.container), *self.environment(),
            *self.volumes(), *cluster.options, self.container["image"], *(args or self.container["args"])]

    def find(self, kind, name):
        [found] = [thing for thing in self.cluster.things if thing["kind"] == kind and
                   thing["metadata"]["name"] == name and thing["metadata"]["namespace"] == self.namespace]
        return found

    def environment(self):
        for source in self.container["envFrom"]:
            assert set(source) == {"secretRef"}
            for name, value in self.find("Secret", source["secretRef"]["name"])["stringData"].items():
                yield f"--env={name}={value}"

    def volumes(self):
        group = self.spec.get("securityContext", {}).get("fsGroup")
        made = {volume["name"]: volume for volume in self.spec["volumes"]}
        for mount in self.container["volumeMounts"]:
            volume, where = made[mount["name"]], self.where / mount["name"]
            where.mkdir(parents=True)
            give(where, 0o777, group)
            if "configMap" in volume:
                write_files(where, self.find("ConfigMap", volume["configMap"]["name"])["data"], group)
            elif "secret" in volume:
                write_files(where, self.find("Secret", volume["secret"]["secretName"])["stringData"], group)
            else:
                assert set(volume) == {"name", "emptyDir"} and set(volume["emptyDir"]) <= {"sizeLimit"}, volume
            yield f"--volume={where}:{mount['mountPath']}" + (":ro" if mount.get("readOnly") else "")

    # -- its life --

    def start(self):
        self.engine.podman("run", "--detach", *self.options)
        for probe in [self.container[name] for name in PROBES if name in self.container]:
            wait_for(lambda: self.state()["Status"] != "running" or self.probe(probe), 60)
            assert self.state()["Status"] == "running", self.said()
        return self

    def probe(self, probe):
        """Whether it succeeds, as the kubelet asks: by the pod's address, which no setting knows."""
        assert set(probe) <= {"httpGet", "periodSeconds", "timeoutSeconds", "failureThreshold"}
        port = {port["name"]: port["containerPort"] for port in self.container["ports"]}[probe["httpGet"]["port"]]
        with contextlib.suppress(OSError):
            connection = self.connection(probe.get("timeoutSeconds", 1), port)
            connection.request("GET", probe["httpGet"]["path"], headers={"User-Agent": "kube-probe/1.30"})
            return 200 <= connection.getresponse().status < 400
        return False

    def probes(self):
        return [self.probe(self.container[name]) for name in PROBES if name in self.container]

    def run(self):
        """To its end, as a job would: the exit status and what it wrote."""
        return self.engine.podman("run", "--rm", *self.options, check=False)

    def state(self):
        return json.loads(self.engine.podman("inspect", self.name).stdout)[0]["State"]

    def said(self):
        done = self.engine.podman("logs", self.name, check=False)
        return f"-- {self.name}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"

    def exec(self, *words, check=True):
        return self.engine.podman("exec", self.name, *words, check=check)

    def end(self):
        """As a kubelet ends it: preStop, SIGTERM, and SIGKILL when the grace is over. Exit status, seconds."""
        began, grace = time.monotonic(), self.spec["terminationGracePeriodSeconds"]
        lifecycle = self.container.get("lifecycle", {})
        assert set(lifecycle) <= {"preStop"}
        if lifecycle:
            self.exec(*lifecycle["preStop"]["exec"]["command"])
        left = grace - int(time.monotonic() - began)
        self.engine.podman("stop", "--time", str(left), self.name)
        return self.state()["ExitCode"], time.monotonic() - began

    # -- its port --

    def connection(self, timeout=30, port=8420):
        connection = http.client.HTTPConnection(self.address, port, timeout=timeout)
        connection.sock = self.network.inside(lambda: socket.create_connection((self.address, port), timeout))
        return connection

    def ask(self, method, path, body=None, headers=None, **query):
        headers = {"Authorization": f"Bearer {self.cluster.token}"} | (headers or {})
        return super().ask(method, path, body, headers, **query)


class Cluster:
    """Rendered objects, and the services that they name: {HOST: (PORT, this machine's port, TLS or not)}."""

    def __init__(self, engine, things, services, tls, options=()):
        self.engine, self.things, self.services, self.tls, self.options = engine, things, services, tls, options
        self.hosts = {host: f"10.96.0.{number}" for number, host in enumerate(services, 10)}
        self.carrier, self.networks, self.pods, self.token = Carrier(), [], [], ""

    def next_address(self):
        return f"10.244.0.{len(self.networks) + 10}"

    def network(self, address):
        network = Network(address, *self.hosts.values())
        self.networks.append(network)
        for host, (port, target, with_tls) in self.services.items():
            listener = network.inside(lambda: socket.create_server((self.hosts[host], port)))
            self.carrier.carry(listener, target, self.tls if with_tls else None)
        return network

    def deployment(self, name):
        [found] = [thing for thing in self.things if (thing["kind"], thing["metadata"]["name"]) == ("Deployment", name)]
        return found

    def start(self, name):
        """All of its replicas."""
        deployment = self.deployment(name)
        pods = [Pod(self, deployment, f"{name}-{number}") for number in range(deployment["spec"]["replicas"])]
        self.pods += pods
        return [pod.start() for pod in pods]

    def command(self, name, *args):
        """`waybill ARGS…`, or what it has, in a pod of a Deployment's, to its end."""
        return Pod(self, self.deployment(name), f"{name}-job-{len(self.networks)}", list(args)).run()

    def said(self):
        return "\n".join(pod.said() for pod in self.pods)

    def stop(self):
        self.carrier.stop()
        for network in self.networks:
            network.remove()
