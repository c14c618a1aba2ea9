"""Environment images: what is installed, out of what, and when it is used again."""
import json
import os
import subprocess
import threading
import time

import pytest

from environments import (BUILT, FRESH, HIT, builder, bring, dependencies, fresh_builder, index,
                          left_behind, make_builder,
                          python_layout, reasons, sdist, wheel)  # noqa: F401
from wholeness import assert_store, assert_timeline


def imported(waybill, source, name, *arguments, env=None):
    done = waybill.run("import", source, "--name", name, "--json", *arguments, env=env)
    assert done.returncode == 0, str(done) + waybill.run("log", name).stdout
    return done.events


def shown(waybill, name):
    return json.loads(waybill.run("show", name, "--json", check=True).stdout)


def packages(waybill, name):
    return {row["name"]: row["version"] for row in shown(waybill, name)["packages"]}


def explained(events):
    [event] = [event for event in events if event["reason"] == "EnvImageExplained"]
    return event


def layer_files(waybill, name):
    [layer] = [layer for layer in shown(waybill, name)["layers"] if layer["origin"] == "environment"]
    blob = waybill.data / "images/blobs/sha256" / layer["digest"].split(":")[1]
    listed = subprocess.run(["tar", "tf", blob], capture_output=True, text=True, check=True).stdout
    return listed.splitlines()


def test_a_wheel_of_the_package_is_installed(builder, package):
    file = wheel("ownwheel")
    events = imported(builder, bring(package, [file[0]], [file]), "own")
    assert [name for name in reasons(events) if name in FRESH] == FRESH
    assert reasons(events)[-7:] == BUILT
    assert packages(builder, "own") == {"ownwheel": "1.0"}
    files = layer_files(builder, "own")
    assert "usr/local/lib/python3.11/dist-packages/ownwheel/__init__.py" in files
    assert not [path for path in files if path.endswith((".pyc", "direct_url.json"))
                or path.split("/")[0] in ("run", "tmp", "proc", "sys", "dev", "root")]
    assert_timeline(events)
    assert_store(builder)


@pytest.mark.parametrize("wanted, version", [("ruled==1.5", "1.5"), ("ruled>=1.5", "2.0"),
                                             ("ruled<=1.9", "1.5"), ("ruled", "2.0")])
def test_restraints_choose_the_version(builder, package, index, wanted, version):
    index.add(*[wheel("ruled", number) for number in ("1.0", "1.5", "2.0")])
    name = "rule-" + "".join(filter(str.isalnum, wanted))
    imported(builder, bring(package, [wanted]), name, env=index.env)
    assert packages(builder, name) == {"ruled": version}


def test_a_package_is_built_with_what_stands_above_it(builder, package, index):
    index.add(wheel("firstone"), sdist("needsfirst", before="import firstone"))
    imported(builder, bring(package, ["firstone", "needsfirst"]), "ordered", env=index.env)
    assert packages(builder, "ordered") == {"firstone": "1.0", "needsfirst": "1.0"}
    assert "one by one, in their order" in builder.run("log", "ordered").stdout


def test_the_same_environment_is_used_again(builder, package, index):
    index.add(wheel("again_a"), wheel("again_b"))
    first = bring(package, ["again_a==1.0", "again_b==1.0"], name="first")
    assert FRESH[0] in reasons(imported(builder, first, "again1", env=index.env))
    asked = len(index.asked)
    # another model, other keys, another spelling of the same name
    other = package({"model/other.bin": "other"}, name="other", config={
        "model_algorithm": "another", "dependencies": [{"packages": [
            {"restraint": "EXACT", "package_version": "1.0", "package_name": "Again.a"},
            {"package_name": "again-b", "package_version": "1.0", "restraint": "EXACT"}],
            "installer": "pip"}]})
    events = imported(builder, other, "again2", env=index.env)
    assert [name for name in reasons(events) if name.startswith("Env")] == HIT
    assert len(index.asked) == asked, "nothing is asked of the index"
    why = explained(events)
    assert why["event_info"] == ("Environment image: base image, packages and their sources are "
                                 "those of again1:0.0.1.")
    assert why["evidence"]["decision"] == "reuse"
    hit = next(event for event in events if event["reason"] == "EnvImageCacheHit")["evidence"]
    assert hit["first_model"] == "again1:0.0.1" and hit["packages"] == 2
    assert packages(builder, "again2") == packages(builder, "again1")


def test_a_miss_names_the_line(builder, package, index):
    index.add(wheel("lined", "1.0"), wheel("lined", "1.1"), wheel("lined_b"))
    imported(builder, bring(package, ["lined==1.0", "lined_b==1.0"], name="one"), "line1",
             env=index.env)
    events = imported(builder, bring(package, ["lined==1.1", "lined_b==1.0"], name="two"), "line2",
                      env=index.env)
    why = explained(events)
    assert why["event_info"] == "Environment image: lined==1.0 became lined==1.1."
    assert why["evidence"]["changes"] == [
        {"what": "package", "from": "lined==1.0", "to": "lined==1.1"}]
    assert why["evidence"]["nearest_model"] == "line1:0.0.1"
    events = imported(builder, bring(package, ["lined_b==1.0", "lined==1.1"], name="three"),
                      "line3", env=index.env)
    assert "another order" in explained(events)["event_info"]


def test_a_wheel_of_other_content_is_another_environment(builder, package):
    name, content = wheel("changing")
    imported(builder, bring(package, [name], [(name, content)], name="a"), "content1")
    changed = wheel("changing", files={"changing/more.py": "MORE = 1\n"})
    events = imported(builder, bring(package, [name], [changed], name="b"), "content2")
    assert explained(events)["event_info"] == "Environment image: a wheel's content changed."
    assert "changing/more.py" in "\n".join(layer_files(builder, "content2"))


def test_no_cache_builds_anew_and_gives_the_same_layer(builder, package, index):
    index.add(wheel("anew"))
    source = bring(package, ["anew==1.0"])
    imported(builder, source, "anew1", env=index.env)
    events = imported(builder, source, "anew2", "--no-cache", env=index.env)
    assert explained(events)["event_info"] == "Environment image: it was asked for (--no-cache)."
    one, two = (next(layer["digest"] for layer in shown(builder, name)["layers"]
                     if layer["origin"] == "environment") for name in ("anew1", "anew2"))
    assert one == two, "the layer is deterministic"


def test_two_imports_at_once_build_it_once(builder, package, index):
    index.add(sdist("slowbuilt", before="import time; time.sleep(4)"))
    source = bring(package, ["slowbuilt==1.0"])
    environment = builder.environment | index.env
    running = [subprocess.Popen([builder.program, "import", source, "--name", f"twin{number}",
                                 "--json"], env=environment, stdout=subprocess.PIPE, text=True)
               for number in (1, 2)]
    told = [[json.loads(line) for line in process.communicate(timeout=120)[0].splitlines()]
            for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    decisions = sorted(explained(events)["evidence"]["decision"] for events in told)
    assert decisions == ["build", "join"]
    assert sum(path.startswith("/files/slowbuilt") for path in index.asked) == 1
    logs = [builder.run("log", f"twin{number}").stdout for number in (1, 2)]
    assert all("Successfully installed slowbuilt" in log for log in logs), logs
    assert packages(builder, "twin1") == packages(builder, "twin2") == {"slowbuilt": "1.0"}
    for events in told:
        assert_timeline(events)


def test_an_update_of_dependencies_builds_and_reuses(builder, package, index, tmp_path):
    index.add(wheel("updated", "1.0"), wheel("updated", "2.0"))
    imported(builder, bring(package, ["updated==1.0"]), "up", env=index.env)
    file = tmp_path / "dependencies.json"
    file.write_text(json.dumps(dependencies("updated==2.0")))
    done = builder.run("update", "up", "--dependencies", file, "--json", env=index.env, check=True)
    assert reasons(done.events)[:2] == ["DependenciesUpdated", "ImportStarted"]
    assert FRESH[0] in reasons(done.events) and packages(builder, "up") == {"updated": "2.0"}
    file.write_text(json.dumps(dependencies("updated==1.0")))
    done = builder.run("update", "up", "--dependencies", file, "--json", env=index.env, check=True)
    assert HIT[1] in reasons(done.events) and packages(builder, "up") == {"updated": "1.0"}


def test_a_retry_goes_on_at_the_environment(builder, package, index):
    source = bring(package, ["comeslater==1.0"])
    first = builder.run("import", source, "--name", "later", "--json", env=index.env)
    assert first.returncode == 1
    index.add(wheel("comeslater"))
    again = builder.run("retry", "later", "--json", env=index.env, check=True)
    assert reasons(again.events)[:4] == ["ImportStarted", *FRESH]
    assert "ModelFilesImported" not in reasons(again.events)


class Follower:
    """`waybill log NAME --follow`: its lines, each with the moment when it came."""

    def __init__(self, waybill, name):
        self.lines = []
        self.process = waybill.start("log", name, "--follow")
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), line))

    def wait_for(self, words, seconds=60):
        """The moment when a line with these words came."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for came, line in list(self.lines):
                if words in line:
                    return came
            time.sleep(0.01)
        raise AssertionError(f"{words}: {self.lines}")

    def text(self):
        return "".join(line for _, line in self.lines)


def follow_held(builder, package, index, name):
    """(process of the import, its follower) while pip waits for the second of two wheels."""
    index.add(wheel(f"{name}_first"), wheel(f"{name}_second"))
    index.hold(wheel(f"{name}_second")[0])
    process = subprocess.Popen(
        [builder.program, "import", bring(package, [f"{name}_first", f"{name}_second"], name=name),
         "--name", name], env=builder.environment | index.env, stdout=subprocess.DEVNULL)
    while not builder.run("log", name).stdout:
        assert process.poll() is None
    return process, Follower(builder, name)


def test_the_log_is_followed_while_pip_runs(builder, package, index):
    process, follower = follow_held(builder, package, index, "talk")
    follower.wait_for("Collecting talk_first")
    while f"/files/{wheel('talk_second')[0]}" not in index.asked:
        time.sleep(0.01)
    asked = time.monotonic()
    assert follower.wait_for("Collecting talk_second") < asked + 2, "not only at the end"
    assert process.poll() is None and "Successfully installed" not in follower.text()
    index.let_go()
    assert process.wait(60) == 0
    assert follower.process.wait(10) == 0, "it ends with the import"
    follower.reader.join(10)
    assert "Successfully installed talk_first-1.0 talk_second-1.0" in follower.text()
    assert follower.text() == builder.run("log", "talk").stdout, "each line once, in their order"


def test_lines_before_a_kill_stay_and_the_follower_goes_on(builder, package, index):
    process, follower = follow_held(builder, package, index, "cut")
    follower.wait_for("Collecting cut_second")
    process.kill()
    process.wait()
    before = builder.run("log", "cut").stdout
    assert "Collecting cut_first" in before and "Collecting cut_second" in before
    index.let_go()
    assert follower.process.poll() is None, "the attempt is open"
    builder.run("retry", "cut", env=index.env, check=True)
    assert follower.process.wait(10) == 0
    follower.reader.join(10)
    assert follower.text() == builder.run("log", "cut").stdout
    assert follower.text().startswith(before) and follower.text().count("Collecting cut_first") == 2
    assert "Successfully installed" in follower.text()[len(before):]


def test_gc_keeps_the_environments_and_verify_finds_them_whole(builder, package, index):
    index.add(wheel("kept_one"))
    imported(builder, bring(package, ["kept_one==1.0"]), "kept", env=index.env)
    builder.run("delete", "kept", check=True)
    builder.run("gc", check=True)
    builder.run("verify", check=True)
    events = imported(builder, bring(package, ["kept_one==1.0"], name="b"), "kept2",
                      env=index.env)
    assert HIT[1] in reasons(events)


def test_check_says_beforehand_that_nothing_can_be_had(builder, package, index):
    source = bring(package, ["numpy==1.0"])
    checked = builder.run("check", source, "--json")
    assert checked.returncode == 1
    [finding] = json.loads(checked.stdout)["findings"]
    assert (finding["reason"], finding["kind"]) == ("ImageBuildFailedSeeLog", "no_network")
    assert finding["evidence"]["setting"] == "build.pip_index_url"
    assert builder.run("check", source, env=index.env).returncode == 0
    file = wheel("owned")
    assert builder.run("check", bring(package, [file[0]], [file], name="own")).returncode == 0


def test_pips_own_configuration_counts_on_the_command_line(builder, package, index, tmp_path):
    conf = tmp_path / "pip.conf"
    conf.write_text(f"# of the user\n[global]\nindex-url = {index.url}\n")
    index.add(wheel("configured"))
    imported(builder, bring(package, ["configured==1.0"]), "configured",
             env={"WAYBILL_BUILD_NETWORK": "", "PIP_CONFIG_FILE": str(conf)})
    folder = tmp_path / "links"
    folder.mkdir()
    file = wheel("linked")
    (folder / file[0]).write_bytes(file[1])
    imported(builder, bring(package, ["linked==1.0"], name="b"), "linked",
             env={"PIP_FIND_LINKS": str(folder)})
    assert packages(builder, "linked") == {"linked": "1.0"}


def test_doctor_looks_at_the_sandbox(builder, index):
    def checks(**env):
        return {row["id"]: row for row in builder.run("doctor", "--json", env=env).events}
    found = checks(**index.env)
    assert found["sandbox-runtime"]["status"] == found["sandbox-rootfs"]["status"] == "ok", found
    assert found["package-sources"]["status"] == "ok"
    found = checks(WAYBILL_BUILD_RUNTIME="/nowhere/runc")
    assert found["sandbox-runtime"]["status"] == "warn" and found["sandbox-runtime"]["mend"]
    assert found["package-sources"]["status"] == "warn"


def test_diff_compares_what_was_installed(builder, package, index):
    index.add(wheel("loose", "1.0"))
    source = bring(package, ["loose"])
    imported(builder, source, "loose1", env=index.env)
    index.add(wheel("loose", "1.1"))
    imported(builder, source, "loose2", "--no-cache", env=index.env)
    differs = builder.run("diff", "loose1", "loose2", "--json")
    assert json.loads(differs.stdout)["facts"]["loose"] == {"old": "1.0", "new": "1.1"}, differs


def test_an_imported_model_is_built_anew_with_no_cache(builder, package, index):
    index.add(wheel("renewed"))
    imported(builder, bring(package, ["renewed==1.0"]), "renewed", env=index.env)
    again = builder.run("retry", "renewed", "--no-cache", "--json", env=index.env)
    assert again.returncode == 0, str(again)
    assert [name for name in reasons(again.events) if name in FRESH] == FRESH


def test_an_old_environment_with_loose_versions_is_built_anew(fresh_builder, package, index):
    import sqlite3
    index.add(wheel("aging"))
    imported(fresh_builder, bring(package, ["aging"]), "aging1", env=index.env)
    with sqlite3.connect(fresh_builder.data / "waybill.db") as store:
        store.execute("UPDATE environments SET created_at = created_at - 3 * 86400000")
    again = imported(fresh_builder, bring(package, ["aging"], name="b"), "aging2", "--set",
                     "build.max_env_age_days=2", env=index.env)
    assert "is older than 2 days" in explained(again)["event_info"]


def test_other_tools_take_the_image(builder, package, tmp_path):
    file = wheel("foreigntool")
    imported(builder, bring(package, [file[0]], [file]), "foreigntool")
    copied = tmp_path / "copied"
    subprocess.run(["skopeo", "copy", f"oci:{builder.data}/images:default/foreigntool:0.0.1",
                    f"oci:{copied}:latest"], check=True, capture_output=True)
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    subprocess.run(["umoci", "unpack", *rootless, "--image", f"{copied}:latest", tmp_path / "bundle"],
                   check=True, capture_output=True)
    root = tmp_path / "bundle/rootfs"
    where = root / "usr/local/lib/python3.11/dist-packages/foreigntool/__init__.py"
    assert where.read_text() == "VERSION = '1.0'\n" and where.stat().st_uid == os.geteuid()
    assert (root / "home/mind/model" / file[0]).read_bytes() == file[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_of_the_host_is_not_the_packages_fault(waybill_at, python_layout, package,
                                                            index, tmp_path):
    """The data directory lies on a disk of its own, which a build fills."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700m", "tmpfs", disk], check=True)
    try:
        waybill = make_builder(disk / "data", python_layout)
        index.add(sdist("filler", before="open('/var/filler', 'wb').write(bytes(600 << 20))"))
        done = waybill.run("import", bring(package, ["filler==1.0"]), "--name", "full", "--json",
                           env=index.env)
        told = [event for event in done.events if event["reason"] == "ImageBuildSystemError"]
        assert [event["kind"] for event in told] == ["disk_full"], str(done)
        assert not left_behind(waybill)
    finally:
        subprocess.run(["umount", disk], check=True)
