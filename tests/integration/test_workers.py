"""`waybill workers`: who works on what, on a data directory and of a server."""
import signal
import time

import pytest

from conftest import wait_for
from serving import Server
from terminal import run_on_terminal

MIB = 1 << 20
OBJECT = {"worker", "serves", "busy", "since", "heartbeat_age_ms"}


def url(server):
    return f"http://{server.netloc}"


@pytest.fixture
def stopped(ready, package):
    """An import that stands still while it copies: its process is stopped."""
    process = ready.start("import", package({"model/w.bin": 512 * MIB}), "--name", "m")
    wait_for(lambda: any(worker.get("stage") == "copy" for worker in
                         ready.run("workers", "--json", check=True).events))
    process.send_signal(signal.SIGSTOP)
    yield process
    process.kill()
    process.communicate()


def test_without_a_worker_it_says_so(ready):
    done = ready.run("workers", check=True)
    assert done.stdout == "workers of a server: 0, busy: 0; imports that wait: 0\n"
    assert ready.run("workers", "--json", check=True).stdout == ""
    assert ready.run("workers", "--quiet", check=True).stdout == ""


def test_what_a_command_works_on(ready, stopped):
    [worker] = ready.run("workers", "--json", check=True).events
    assert worker["worker"].endswith(f"/{stopped.pid}")
    assert worker["busy"] and not worker["serves"]
    assert (worker["project"], worker["model_name"], worker["model_version"]) == \
        ("default", "m", "0.0.1")
    row, counts = ready.run("workers", check=True).stdout.splitlines()
    assert row.split()[:2] == [worker["worker"], "copy"] and "m:0.0.1" in row
    assert counts == "workers of a server: 0, busy: 0; imports that wait: 0"
    chinese = ready.run("workers", "--lang", "zh", check=True).stdout
    assert "服务的工作进程 0 个" in chinese


@pytest.mark.parametrize("columns", [60, 80, 132])
def test_a_terminal_has_a_table_that_fits(ready, stopped, columns):
    status, output = run_on_terminal([ready.program, "workers", "--color", "never"],
                                     ready.environment | {"TERM": "xterm"}, columns)
    assert status == 0 and output.split()[:2] == ["Worker", "Stage"]
    assert all(len(line) < columns for line in output.splitlines()[:-1]), output


def test_a_worker_that_is_silent_says_why(ready, stopped):
    time.sleep(10.5)
    assert "last heard of" in ready.run("workers", check=True).stdout


def test_a_server_says_the_same_as_its_data_directory(ready, stopped, tmp_path):
    server = Server(ready, tmp_path, "--workers", "2")
    rows = wait_for(lambda: (lambda rows: rows if len(rows) == 3 else None)(
        ready.run("workers", "--json", "--server", url(server), check=True).events))
    assert sorted(worker["serves"] for worker in rows) == [False, True, True]
    assert all(OBJECT <= set(worker) for worker in rows)
    here = ready.run("workers", "--json", check=True).events
    assert {row["worker"] for row in here} == {row["worker"] for row in rows}
    assert [row for row in here if row["busy"]][0]["model_id"] == \
        [row for row in rows if row["busy"]][0]["model_id"]
    there = ready.run("workers", "--server", url(server), check=True).stdout.splitlines()
    assert there[-1] == "workers of a server: 2, busy: 0; imports that wait: 0"
    assert sum("idle" in row for row in there) == 2
    assert server.stop() == 0


def test_a_token_that_sees_one_project_sees_its_models_alone(ready, stopped, tmp_path):
    server = Server(ready, tmp_path)
    token = ready.run("token", "create", "--user", "eve", "--role", "reader", "--project", "other",
                      "--quiet", check=True).stdout.strip()
    rows = ready.run("workers", "--json", "--server", url(server), "--project", "other", check=True,
                     env={"WAYBILL_TOKEN": token}).events
    [busy] = [row for row in rows if row["busy"]]
    assert "model_name" not in busy and busy["worker"].endswith(f"/{stopped.pid}")
    assert server.stop() == 0


def test_who_cannot_be_reached_is_exit_3(ready, tmp_path):
    assert ready.run("workers", "--server", "http://127.0.0.1:1").returncode == 3
    assert ready.run("workers", "--data", tmp_path / "nowhere").returncode == 3
    assert ready.run("workers", "surplus").returncode == 2
