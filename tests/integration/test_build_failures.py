"""What can go wrong while an environment is built, made by the real pip, apt, runc and kernel, and
how it is named."""
import os
import signal
import subprocess
import time

import pytest

from conftest import wait_for
from corpus_runner import assert_answered
from environments import (Index, builder, bring, dependencies, failed, fresh_builder, helpers, index,
                          left_behind, python_layout, reasons, sdist, wheel)  # noqa: F401
from oci_layout import make_layers
from wholeness import assert_timeline

SEE_LOG = "ImageBuildFailedSeeLog"


def test_no_network(builder, package):
    told = failed(builder, bring(package, ["numpy"]), SEE_LOG, "no_network", "nonet")
    assert told["summary"] == ("numpy must be downloaded, but the build has no network "
                               "(no index is set).")
    assert told["evidence"]["setting"] == "build.pip_index_url" and told["fix_by"] == "admin"
    assert_answered(builder, told)


def test_no_version(builder, package, index):
    index.add(wheel("choose", "1.0"), wheel("choose", "2.0"))
    told = failed(builder, bring(package, ["choose==9.9"]), SEE_LOG, "no_version", "nover",
                  env=index.env)
    assert told["summary"] == (f"{index.url} has no choose ==9.9 for Python 3.11; "
                               "it has 1.0, 2.0.")
    evidence = told["evidence"]
    assert evidence["exit_status"] == 1 and evidence["command"].startswith("python3 -m pip install")
    assert any(line.startswith("ERROR: No matching distribution found for choose==9.9")
               for line in evidence["error_lines"])
    assert evidence["log"]["from"] < evidence["log"]["to"]
    assert_answered(builder, told)


def test_a_package_that_does_not_exist(builder, package, index):
    told = failed(builder, bring(package, ["nosuchthing"]), SEE_LOG, "no_version", "nosuch",
                  env=index.env)
    assert told["evidence"]["package"] == "nosuchthing"
    assert told["evidence"]["versions"] == ["none"]


def test_a_wheel_for_another_platform(builder, package):
    file = wheel("foreign", tag="cp38-cp38-win_amd64")
    told = failed(builder, bring(package, [file[0]], [file]), SEE_LOG, "unsupported", "foreign")
    assert told["evidence"]["package"] == file[0]
    assert_answered(builder, told)


def test_what_cannot_be_compiled(builder, package, index):
    index.add(sdist("compiled", setup='ext_modules=[Extension("x", ["x.c"])]'))
    told = failed(builder, bring(package, ["compiled==1.0"]), SEE_LOG, "compile", "compile",
                  env=index.env)
    assert told["evidence"]["package"] == "compiled"
    assert "gcc" in told["evidence"]["error_line"], told
    assert_answered(builder, told)


def test_two_that_do_not_agree(builder, package, index):
    index.add(wheel("left", requires=["common==1.0"]), wheel("right", requires=["common==2.0"]),
              wheel("common", "1.0"), wheel("common", "2.0"))
    told = failed(builder, bring(package, ["left==1.0", "right==1.0"]), SEE_LOG, "conflict",
                  "conflict", env=index.env)
    assert told["summary"] == "left 1.0 wants common ==1.0, right 1.0 wants ==2.0."
    assert_answered(builder, told)


@pytest.mark.parametrize("names", [["needy"], ["needy", "provider"]])
def test_a_package_that_needs_another_before_it(builder, package, index, names):
    index.add(wheel("provider"), sdist("needy", before="import provider"))
    told = failed(builder, bring(package, names), SEE_LOG, "order", f"order{len(names)}",
                  env=index.env)
    assert told["summary"] == "needy needs provider installed before it."
    assert_answered(builder, told)


@pytest.mark.skipif(os.geteuid() != 0, reason="without a cgroup: test_rootless.py")
def test_memory_is_limited(builder, package, index):
    index.add(sdist("greedy", before="x = bytearray(600 << 20)"))
    told = failed(builder, bring(package, ["greedy==1.0"]), SEE_LOG, "memory", "greedy",
                  "--set", "build.memory_mib=192", env=index.env)
    assert told["evidence"]["limit"] == 192 and told["evidence"]["peak"] >= 180
    assert_answered(builder, told)


def test_disk_is_limited(builder, package, index):
    index.add(sdist("filler", before="open('/var/filler', 'wb').write(bytes(300 << 20))"))
    told = failed(builder, bring(package, ["filler==1.0"]), SEE_LOG, "disk", "filler",
                  "--set", "build.disk_mib=64", env=index.env)
    assert told["evidence"]["disk_limit"] == 64
    assert_answered(builder, told)


@pytest.fixture
def certificate(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                    tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_an_index_whose_certificate_is_not_trusted(builder, package, certificate):
    index = Index(certificate=certificate).add(wheel("secure"))
    told = failed(builder, bring(package, ["secure==1.0"]), SEE_LOG, "index_tls", "tls",
                  env=index.env)
    assert_answered(builder, told)
    trusted = index.env | {"WAYBILL_BUILD_CA_FILE": str(certificate[0])}
    builder.run("retry", "tls", env=trusted, check=True)
    index.stop()


def test_an_index_that_refuses_the_login(builder, package):
    index = Index(answer=401)
    secret = index.env | {"WAYBILL_BUILD_PIP_INDEX_URL":
                          index.url.replace("//", "//robot:hunter2secret@")}
    told = failed(builder, bring(package, ["locked==1.0"]), SEE_LOG, "index_auth", "auth",
                  env=secret)
    assert_answered(builder, told)
    everything = (builder.run("events", "auth", "--json", env=secret).stdout
                  + builder.run("log", "auth").stdout + builder.run("report", "auth").stdout)
    assert "hunter2secret" not in everything
    index.stop()


def test_an_index_that_is_away(builder, package):
    index = Index()
    index.stop()
    told = failed(builder, bring(package, ["gone==1.0"]), SEE_LOG, "index_away", "away",
                  env=index.env)
    assert told["retryable"] and told["fix_by"] == "wait"
    assert_answered(builder, told)


def test_a_base_without_the_installer(builder, package):
    told = failed(builder, bring(package, ["cudatoolkit"], installer="conda"), SEE_LOG,
                  "no_installer", "conda")
    assert told["summary"].endswith("has no conda.")
    assert_answered(builder, told)


def test_a_wheel_that_is_none(builder, package):
    file = wheel("broken")[0], b"this is no zip archive"
    told = failed(builder, bring(package, [file[0]], [file]), SEE_LOG, "command", "broken")
    assert told["evidence"]["exit_status"] != 0
    assert_answered(builder, told)


def test_a_build_that_takes_too_long(builder, package, index):
    index.add(sdist("sleepy", before="import subprocess, time\n"
                                     "subprocess.Popen(['sleep', '1234'])\ntime.sleep(1000)"))
    began = time.monotonic()
    told = failed(builder, bring(package, ["sleepy==1.0"]), "ImageBuildTimeout", "", "sleepy",
                  "--set", "build.timeout_minutes=0.15", env=index.env)
    assert time.monotonic() - began < 40
    assert told["params"] == {"minutes": "0.15"} and "0.15-minute" in told["event_info"]
    assert told["evidence"]["package"].startswith("sleepy")
    assert not subprocess.run(["pgrep", "-f", "^sleep 1234"], capture_output=True).stdout
    assert not left_behind(builder)
    assert "Collecting sleepy" in builder.run("log", "sleepy").stdout, "the log is kept"
    statuses = [event["params"]["status"] for event in
                builder.run("events", "sleepy", "--json").events
                if event["reason"] == "ImageBuildStatus"]
    assert statuses == ["timeout"]
    assert_answered(builder, told)


def test_no_runtime_that_works(builder, package):
    told = failed(builder, bring(package, ["numpy"]), "BuildStartFailed", "no_sandbox", "norun",
                  env={"WAYBILL_BUILD_RUNTIME": "/nowhere/runc"})
    assert told["evidence"]["check"] == "sandbox-runtime"
    assert_answered(builder, told)


def test_a_root_file_system_that_cannot_be_mounted(waybill_at, package, tmp_path):
    """More layers than one mount takes."""
    make_layers(tmp_path / "many", 300)
    waybill = waybill_at("data")
    waybill.environment |= {"WAYBILL_BUILD_RUNTIME": ""}
    waybill.run("runtime", "add", "many", "--image", f"oci:{tmp_path / 'many'}:latest", check=True)
    told = failed(waybill, bring(package, ["numpy"]), "BuildStartFailed", "no_rootfs", "many")
    assert told["evidence"]["check"] == "sandbox-rootfs"
    assert not left_behind(waybill)
    assert_answered(waybill, told)


SLEEPING = "import time; time.sleep(60)"


def importing(waybill, source, name, env):
    return subprocess.Popen([waybill.program, "import", source, "--name", name, "--json"],
                            env=waybill.environment | env, stdout=subprocess.PIPE, text=True)


def building(waybill, name):
    """Whether the build of that model has begun to run its package."""
    return lambda: "Collecting" in waybill.run("log", name).stdout


def test_a_sandbox_that_crashes(builder, package, index):
    index.add(sdist("crashing", before=SLEEPING))
    process = importing(builder, bring(package, ["crashing==1.0"]), "crash", index.env)
    wait_for(building(builder, "crash"))
    os.kill(helpers(builder)[0], signal.SIGKILL)
    assert process.wait(30) == 1
    told = [event for event in builder.run("events", "crash", "--json").events
            if event["reason"] == "ImageBuildSystemError"][0]
    assert told["kind"] == "sandbox_crashed"
    assert not left_behind(builder)
    assert_answered(builder, told)


def test_workers_that_die_again_and_again(builder, package, index):
    index.add(sdist("deadly", before=SLEEPING))
    source = bring(package, ["deadly==1.0"])
    arguments = ["import", source, "--name", "deadly"]
    for _ in range(3):
        process = subprocess.Popen([builder.program, *arguments], stdout=subprocess.DEVNULL,
                                   env=builder.environment | index.env)
        wait_for(lambda: helpers(builder) and building(builder, "deadly")())
        process.kill()
        process.wait()
        wait_for(lambda: not helpers(builder), 10)
        arguments = ["retry", "deadly"]
    assert "Collecting deadly" in builder.run("log", "deadly").stdout, "the log is not lost"
    last = builder.run("retry", "deadly", "--json", env=index.env)
    assert last.returncode == 1, str(last)
    told = [event for event in last.events if event["reason"] == "BuildSchedulingFailed"][0]
    assert told["kind"] == "lease_lost" and told["evidence"]["attempts"] == 3
    assert_timeline(builder.run("events", "deadly", "--json").events)
    assert_answered(builder, told)


def test_a_cancelled_build_leaves_nothing(builder, package, index):
    index.add(sdist("unwanted", before=SLEEPING))
    process = importing(builder, bring(package, ["unwanted==1.0"]), "unwanted", index.env)
    wait_for(building(builder, "unwanted"))
    builder.run("cancel", "unwanted", check=True)
    assert process.wait(20) == 1
    names = reasons(builder.run("events", "unwanted", "--json").events)
    assert names[-3:] == ["ImportCancelled", "ImageBuildStatus", "ImportFailed"]
    assert not left_behind(builder)


def test_a_killed_build_goes_on_in_the_same_attempt(builder, package, index):
    index.add(sdist("survivor", before="import time; time.sleep(3)"))
    source = bring(package, ["survivor==1.0"])
    process = importing(builder, source, "survivor", index.env)
    wait_for(building(builder, "survivor"))
    process.kill()
    process.wait()
    wait_for(lambda: not helpers(builder), 10)
    builder.run("retry", "survivor", env=index.env, check=True)
    events = builder.run("events", "survivor", "--json").events
    names = reasons(events)
    assert {event["attempt"] for event in events} == {1}
    assert names.count("EnvImageBuildStarted") == 1 and names.count("EnvImageBuildRequested") == 1
    [resumed] = [event for event in events if event["reason"] == "ImportResumed"]
    assert resumed["params"]["stage"] == "environment"
    assert names[-1] == "ModelImported"
    assert_timeline(events)
    assert not left_behind(builder)
