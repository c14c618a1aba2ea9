"""deploy/prometheus: the rules ask for what /metrics has."""
import re
import shutil
import subprocess

import pytest
import yaml

from conftest import ROOT, wait_for

RULES = ROOT / "deploy/prometheus/waybill.rules.yml"


def expressions():
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


def test_the_server_has_every_series_that_a_rule_names(server, package):
    # One that waits, one that has run: the series are there while there is something to count.
    server.create(package())
    wait_for(lambda: 'waybill_attempts{outcome="imported"} 1' in server.ask("GET", "/metrics").body.decode())
    server.waybill.run("maintenance", "on", check=True)
    server.create(package(name="other"), name="other")
    metrics = wait_for(lambda: (text := server.ask("GET", "/metrics").body.decode()) and
                       'waybill_jobs{state="queued"} 1' in text and text)
    series = {match[1]: match[2] or "" for match in
              re.finditer(r"^(waybill_\w+)(\{.*?\})? ", metrics, flags=re.M)}
    documented = (ROOT / "docs/operations.md").read_text()
    for name in re.findall(r"^# TYPE (waybill_\w+)", metrics, flags=re.M):
        assert f"`{name}" in documented, name
    reasons = {event["reason"] for event in server.ask("GET", "/v1/event-catalog").json["events"]}
    for alert, expression in expressions().items():
        for name, labels in re.findall(r"(waybill_\w+)(\{.*?\})?", re.sub(r'job="waybill"', "", expression)):
            assert name in series, (alert, name)
            for label, values in re.findall(r'(\w+)=~?"([^"]*)"', labels or ""):
                assert label + "=" in series[name], (alert, name, label)
                if label == "reason":
                    assert set(values.split("|")) <= reasons, alert
                if label == "state":
                    assert values in ("queued", "running"), alert


def test_promtool_takes_the_rules():
    if not shutil.which("promtool"):
        pytest.skip("promtool (Debian: prometheus) is not installed")
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
