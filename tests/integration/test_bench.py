"""The benchmarks run from their first line to their last. What they measure is not looked at:
that is the machine's."""
import os
import subprocess
from pathlib import Path

import pytest

from conftest import PROGRAM

ROOT = Path(__file__).resolve().parents[2]


def bench(program, *arguments):
    return subprocess.run([ROOT / "scripts/bench", "events", "--waybill", program, *arguments],
                          capture_output=True, text=True, timeout=300)


@pytest.fixture
def built():
    if not (Path(PROGRAM).resolve().parent / "bench/events/bench-get").exists():
        pytest.skip("the clients of the benchmark are not beside this program")
    return PROGRAM


def test_bench_events_measures_everything_and_leaves_nothing_behind(built, tmp_path):
    done = bench(built, "--quick", "--dir", tmp_path)
    assert done.returncode == 0, done.stderr
    goals = [line for line in done.stdout.splitlines() if line.startswith(("met ", "MISSED "))]
    assert len(goals) == 7, done.stdout
    for heading in ("durable appends", "GET of 50 events", "from commit to receipt, 40 streams"):
        assert heading in done.stdout
    assert os.listdir(tmp_path) == []


def test_bench_events_refuses_numbers_that_measure_nothing(built, tmp_path):
    done = bench(built, "--models", "0", "--dir", tmp_path)
    assert done.returncode == 2 and "must be more than 0" in done.stderr
    assert os.listdir(tmp_path) == []


def test_bench_push_measures_what_waybill_sends_and_leaves_nothing_behind(tmp_path):
    done = subprocess.run([ROOT / "scripts/bench", "push", "--waybill", PROGRAM, "--mib", "256",
                           "--rounds", "1", "--pulls", "0", "--only", "curl,waybill",
                           "--dir", tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for row in ("curl, one blob (the limit)", "waybill copy", "waybill import"):
        assert row in done.stdout
    assert os.listdir(tmp_path) == []


def test_bench_source_measures_an_import_from_a_bucket_and_leaves_nothing_behind(tmp_path):
    done = subprocess.run([ROOT / "scripts/bench", "source", "--waybill", PROGRAM, "--mib", "64",
                           "--rounds", "1", "--dir", tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for row in ("curl, parallel GET", "cp + fsync", "sha256", "waybill import, own bucket"):
        assert row in done.stdout
    assert os.listdir(tmp_path) == []
