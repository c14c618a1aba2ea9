"""What a build may not do: everything here is tried by a package's own setup.py, as root of the
sandbox."""
import json
import os
import shutil
import socket
import subprocess
import threading

from environments import (builder, bring, fresh_builder, index, left_behind, python_layout,
                          sdist, wheel)  # noqa: F401

SBIN = os.environ["PATH"] + ":/usr/sbin:/sbin"
PROBE = r'''
import ctypes, json, os, socket, subprocess, sys, urllib.request
SECRET, PORT = %r, %d
told = {}
def attempt(name, call):
    try:
        told[name] = repr(call())
    except BaseException as error:
        told[name] = type(error).__name__ + ": " + str(error)
def connect(host, port):
    socket.create_connection((host, port), 3).close()
    return "connected"
def by_proxy(url):
    handler = urllib.request.ProxyHandler({"http": "http://127.0.0.1:3128"})
    return urllib.request.build_opener(handler).open(url, timeout=5).status
libc = ctypes.CDLL(None, use_errno=True)
def syscall(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
    return "done"
attempt("file", lambda: open(SECRET).read())
attempt("by proc", lambda: open("/proc/1/root" + SECRET).read())
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("write proc", lambda: open("/proc/sys/kernel/hostname", "w").write("x"))
attempt("sysrq", lambda: open("/proc/sysrq-trigger", "w").write("h"))
attempt("write sys", lambda: open("/sys/kernel/mm/ksm/run", "w").write("0"))
attempt("cgroup", lambda: os.mkdir("/sys/fs/cgroup/mine"))
attempt("disk node", lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(254, 0)))
attempt("mount", lambda: syscall("mount", b"tmpfs", b"/mnt", b"tmpfs", 0, None))
attempt("unshare", lambda: syscall("unshare", 0x10000000))
attempt("ptrace", lambda: syscall("ptrace", 0, 0, 0, 0))
attempt("setns", lambda: syscall("setns", 0, 0))
attempt("chroot out", lambda: os.listdir("/../../.."))
attempt("internet", lambda: connect("1.1.1.1", 53))
attempt("metadata", lambda: connect("169.254.169.254", 80))
attempt("host loopback", lambda: connect("127.0.0.1", PORT))
attempt("proxy to host", lambda: by_proxy("http://127.0.0.1:%%d/" %% PORT))
attempt("proxy to metadata", lambda: by_proxy("http://169.254.169.254/latest/"))
status = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
told["status"] = {key: status[key] for key in ("NoNewPrivs", "Seccomp", "CapEff", "CapBnd")}
told["processes"] = sum(name.isdigit() for name in os.listdir("/proc"))
print("PROBE " + json.dumps(told), file=sys.stderr, flush=True)
sys.exit("that is enough")
'''


def probed(waybill, package, index, secret, port, *arguments):
    index.add(sdist("prober", before=PROBE % (str(secret), port)))
    name = "probe" + str(len(arguments))
    waybill.run("import", bring(package, ["prober==1.0"]), "--name", name, *arguments,
                env=index.env)
    log = waybill.run("log", name).stdout
    [line] = [line for line in log.splitlines() if "PROBE " in line]
    return json.loads(line.split("PROBE ")[1])


def assert_contained(waybill, package, index, secret):
    listener = socket.create_server(("127.0.0.1", 0))
    asked = []
    threading.Thread(target=lambda: asked.append(listener.accept()), daemon=True).start()
    told = probed(waybill, package, index, secret, listener.getsockname()[1])
    assert "host's own" not in told["file"] and "Error" in told["file"]
    assert "Error" in told["by proc"]
    host = open("/etc/shadow").read() if os.geteuid() == 0 else "nobody's"
    assert told["shadow"].strip("'") != host and "Error" not in told["shadow"], "the base's own"
    for name in ("write proc", "sysrq", "write sys", "cgroup"):
        assert "Error" in told[name], (name, told[name])
    for name in ("disk node", "mount", "unshare", "ptrace", "setns"):
        assert "not permitted" in told[name] or "PermissionError" in told[name], (name, told[name])
    for name in ("internet", "metadata"):
        assert "unreachable" in told[name], (name, told[name])
    assert "refused" in told["host loopback"]
    assert "403" in told["proxy to host"] and "403" in told["proxy to metadata"], told
    assert not asked
    assert told["status"]["NoNewPrivs"] == "1" and told["status"]["Seccomp"] == "2"
    allowed = 0xd | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 18 | 1 << 31 | 2  # see sandbox_config.c
    assert int(told["status"]["CapBnd"], 16) & ~allowed == 0, told["status"]
    assert told["processes"] < 10
    assert not left_behind(waybill)


def test_a_build_is_contained(builder, package, index, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the host's own secret")
    assert_contained(builder, package, index, secret)


def test_processes_are_limited(builder, package, index):
    bomb = ("import subprocess\nfor _ in range(300):\n"
            "    subprocess.Popen(['sleep', '77.7'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)")
    index.add(sdist("bomb", before=bomb))
    result = builder.run("import", bring(package, ["bomb==1.0"]), "--name", "bomb", "--json",
                         "--set", "build.pids=64", env=index.env)
    assert result.returncode == 1, str(result)
    assert "Resource temporarily unavailable" in builder.run("log", "bomb").stdout
    assert not subprocess.run(["pgrep", "-f", "^sleep 77.7"], capture_output=True).stdout
    assert not left_behind(builder)


def test_no_name_of_a_package_reaches_a_shell(builder, package, tmp_path):
    """What config.json's rules let through is an argument, whatever it is."""
    file = wheel("plain")
    odd = "plain-1.0-py3-none-any.whl"
    done = builder.run("import", bring(package, [odd], [file]), "--name", "odd", "--json")
    assert done.returncode == 0, str(done)
    log = builder.run("log", "odd").stdout
    assert "-- /run/waybill/wheels/plain-1.0-py3-none-any.whl" in log


def test_apt_installs_a_package_of_an_exact_version(builder, package):
    """Of Debian's own mirror, through the proxy."""
    source = bring(package, ["tree"], installer="apt")
    done = builder.run("import", source, "--name", "apt", "--json",
                       env={"WAYBILL_BUILD_NETWORK": ""}, timeout=300)
    assert done.returncode == 0, str(done) + builder.run("log", "apt").stdout
    [installed] = json.loads(builder.run("show", "apt", "--json").stdout)["packages"]
    assert installed["installer"] == "apt" and installed["name"] == "tree"
    exact = bring(package, ["tree==" + installed["version"]], installer="apt", name="exact")
    done = builder.run("import", exact, "--name", "apt2", "--json",
                       env={"WAYBILL_BUILD_NETWORK": ""}, timeout=300)
    assert done.returncode == 0, str(done) + builder.run("log", "apt2").stdout
    wrong = bring(package, ["tree==0.0.1"], installer="apt", name="wrong")
    done = builder.run("import", wrong, "--name", "apt3", "--json",
                       env={"WAYBILL_BUILD_NETWORK": ""}, timeout=300)
    told = [event for event in done.events if event["reason"] == "ImageBuildFailedSeeLog"][0]
    assert told["kind"] == "no_version" and told["evidence"]["package"] == "tree", told
    assert told["evidence"]["wanted"] == "0.0.1"


def test_of_two_runtimes_the_one_that_is_fit_is_taken(builder, package, index, tmp_path):
    """crun starts containers where runc does not, and the other way round."""
    index.add(wheel("fit"))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in (("runc", "echo 'cgroups are not as I like them' >&2; exit 1"),
                         ("crun", 'case $1 in --cgroup-manager=*) shift ;; esac\n'  # crun's own
                                  f'exec {shutil.which("runc", path=SBIN)} "$@"')):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    env = index.env | {"PATH": f"{programs}:{os.environ['PATH']}"}
    builder.run("import", bring(package, ["fit==1.0"]), "--name", "fit", env=env, check=True)
    refused = builder.run("import", bring(package, ["fit==1.0"]), "--name", "unfit", "--no-cache",
                          "--json", "--set", "build.runtime=runc", env=env)
    assert "BuildStartFailed" in refused.reasons and "as I like them" in refused.stdout, str(refused)
