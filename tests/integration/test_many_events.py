"""Millions of events in PostgreSQL: every list and timeline that the program asks for goes by an index. The plans
are those of its own statements, as the server notes them (auto_explain), not of copies of them."""
import json
import os
import re

import pytest

from conftest import Waybill
from postgres import postgres  # noqa: F401
from serving import Server

MODELS = int(os.environ.get("WAYBILL_TEST_MODELS", "50000"))
EVENTS_OF_EACH = 40  # two millions
LARGE_TABLES = ("events", "models", "attempts", "jobs")

FILL = f"""
INSERT INTO models(id, project, name, version, version_number, description, owner, created_at, attempt, last_seq,
                   last_time, changed)
SELECT 'model-' || n, CASE WHEN n % 5 = 0 THEN 'default' ELSE 'p' || n % 50 END, 'm' || n / 10, '0.0.' || n % 10, n % 10,
       '', 'fill', n, 1, {EVENTS_OF_EACH}, n + {EVENTS_OF_EACH}, n FROM generate_series(1, {MODELS}) n;
INSERT INTO attempts(model_id, attempt, request, outcome, created_at)
SELECT id, 1, '{{"name":"m","source":"/x"}}', 'imported', created_at FROM models;
INSERT INTO jobs(kind, model_id, attempt, state, leases, created_at)
SELECT 'import', id, 1, 'done', 1, created_at FROM models;
INSERT INTO events(model_id, seq, attempt, occur_time, event_type, reason, stage, event, project)
SELECT m.id, s, 1, m.created_at + s, CASE WHEN s % 20 = 0 THEN 'abnormal' ELSE 'normal' END,
       CASE WHEN s % 20 = 0 THEN 'ImportFailed' ELSE 'ImageBuildStatus' END, 'build',
       '{{"event_id":"' || m.id || s || '","seq":' || s || ',"occur_time":' || m.created_at + s
       || ',"reason":"ImageBuildStatus"}}', m.project FROM models m, generate_series(1, {EVENTS_OF_EACH}) s;
ANALYZE;
"""


@pytest.fixture
def filled(tmp_path, postgres, base_layout):  # noqa: F811
    waybill = Waybill(tmp_path / "data")
    url = waybill.environment["WAYBILL_STORE_URL"] = postgres.create()
    waybill.database = url.rsplit("/", 1)[1]
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    for number in range(50):
        postgres.ask(waybill.database, f"INSERT INTO projects(id, created_at) VALUES ('p{number}', 0)")
    with open(postgres.where / "fill.sql", "w") as file:
        file.write(FILL)
    os.chmod(postgres.where / "fill.sql", 0o644)
    postgres.run("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", postgres.where / "fill.sql", timeout=300)
    for setting in ("session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0",
                    "auto_explain.log_format = 'json'"):
        postgres.ask("postgres", f"ALTER DATABASE {waybill.database} SET {setting}")
    return waybill


def nodes_of(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes_of(child)


def plans_in(text):
    """(statement, plan) of each that the server noted."""
    for found in re.finditer(r"plan:\n((?:\t.*\n)+)", text):
        plan = json.loads(found[1].replace("\n\t", "\n"))
        yield plan["Query Text"], plan["Plan"]


def scans_whole(plan):
    return [node["Relation Name"] for node in nodes_of(plan) if node["Node Type"] == "Seq Scan"
            and re.sub(r"_\d+$", "", node["Relation Name"]) in LARGE_TABLES]


def test_lists_and_timelines_go_by_an_index(filled, postgres, tmp_path):  # noqa: F811
    log = postgres.where / "log"
    server = Server(filled, tmp_path)
    begin = log.stat().st_size
    model = f"model-{MODELS // 2 // 5 * 5}"
    try:
        for path in (f"/models/{model}/events?limit=20", f"/models/{model}/events?after=30&event_type=abnormal",
                     f"/models/{model}/events?order=desc&limit=5", f"/models/{model}", f"/models/{model}/log",
                     "/events?limit=50", "/events?limit=50&event_type=abnormal", "/events?reason=ImportFailed&limit=20",
                     f"/events?limit=20&since={MODELS // 2}", "/models?limit=20", "/models?limit=20&offset=40"):
            answer = server.get(path)
            assert answer.status == 200, (path, str(answer))
        connection = server.connection()
        connection.request("GET", f"/v1/default/models/{model}/events/stream", headers={"Last-Event-ID": "37"})
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read(20)
        connection.close()
    finally:
        assert server.stop() == 0
    noted = list(plans_in(log.read_text(errors="replace")[begin:]))
    of_events = [statement for statement, _ in noted if "FROM events" in statement]
    assert len(of_events) >= 8, of_events
    # How many there are of a project is counted over all that it has.
    whole = {statement: scans_whole(plan) for statement, plan in noted
             if scans_whole(plan) and not statement.startswith("SELECT count(*)")}
    assert not whole, json.dumps(whole, indent=1)
