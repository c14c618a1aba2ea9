"""Who may use `waybill serve`: open loopback, tokens, roles, projects, the audit list."""
import http.client
import json
import re
import shlex
import sqlite3

import pytest

from access import (error, import_as, keystone, make_token, path_of, serve, sign_in, with_token)
from conftest import ROOT, finish

HOUR = 3600 * 1000
MODEL = "/v1/{project_id}/models/{model_id}"
REPO = "/v2/{name...}"
# Every route, and the least role that may ask for it. None: whoever reaches the server.
ROUTES = {
    ("GET", "/"): None,
    ("GET", "/console.js"): None,
    ("GET", "/console.css"): None,
    ("GET", "/favicon.svg"): None,
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): "reader",
    ("GET", "/client/waybill.py"): None,
    ("GET", "/openapi.json"): None,
    ("GET", "/v1/event-catalog"): None,
    ("GET", "/sign-in"): None,
    ("POST", "/v1/sign-in"): None,
    ("POST", "/v1/sign-out"): None,
    ("GET", "/v1/whoami"): "reader",
    ("GET", "/v1/audit"): "admin",
    ("GET", "/v1/tokens"): "admin",
    ("POST", "/v1/tokens"): "admin",
    ("DELETE", "/v1/tokens/{token_id}"): "admin",
    ("POST", "/v1/sign-in-links"): "admin",
    ("GET", "/v1/projects"): "admin",
    ("GET", "/v1/space"): "admin",
    ("GET", "/v3"): None,
    ("POST", "/v3/auth/tokens"): None,
    ("GET", "/v3/auth/catalog"): "reader",
    ("GET", "/v3/auth/domains"): "reader",
    ("GET", "/v3/auth/projects"): "reader",
    ("GET", "/v3/projects"): "reader",
    ("GET", "/v1/settings"): "operator",
    ("PATCH", "/v1/settings"): "operator",
    ("GET", "/v1/maintenance"): "reader",
    ("POST", "/v1/maintenance"): "operator",
    ("GET", "/v1/workers"): "reader",
    ("GET", "/v1/{project_id}/events"): "reader",
    ("GET", "/v1/{project_id}/events/stream"): "reader",
    ("GET", "/v1/{project_id}/credentials"): "admin",
    ("POST", "/v1/{project_id}/credentials"): "admin",
    ("DELETE", "/v1/{project_id}/credentials"): "admin",
    ("GET", "/v1/{project_id}/statistics"): "reader",
    ("GET", "/v1/{project_id}/models/ai-engine-runtimes"): "reader",
    ("GET", "/v1/{project_id}/models/template"): "reader",
    ("POST", "/v1/{project_id}/models"): "writer",
    ("GET", "/v1/{project_id}/models"): "reader",
    ("POST", "/v1/{project_id}/models/check"): "writer",
    ("POST", "/v1/{project_id}/uploads"): "writer",
    ("PUT", "/v1/{project_id}/uploads/{upload_id}"): "writer",
    ("GET", "/v1/{project_id}/uploads/{upload_id}"): "reader",
    ("DELETE", "/v1/{project_id}/uploads/{upload_id}"): "writer",
    ("GET", "/v1/{project_id}/uploads/{upload_id}/{path...}"): "reader",
    ("PUT", "/v1/{project_id}/uploads/{upload_id}/{path...}"): "writer",
    ("GET", "/v2/"): "reader",
    ("GET", "/v2/_catalog"): "reader",
    ("GET", REPO + "/tags/list"): "reader",
    ("GET", REPO + "/referrers/{digest}"): "reader",
    ("GET", REPO + "/manifests/{reference}"): "reader",
    ("PUT", REPO + "/manifests/{reference}"): "writer",
    ("DELETE", REPO + "/manifests/{reference}"): "writer",
    ("GET", REPO + "/blobs/{digest}"): "reader",
    ("DELETE", REPO + "/blobs/{digest}"): "writer",
    ("POST", REPO + "/blobs/uploads/"): "writer",
    ("GET", REPO + "/blobs/uploads/{session}"): "writer",
    ("PATCH", REPO + "/blobs/uploads/{session}"): "writer",
    ("PUT", REPO + "/blobs/uploads/{session}"): "writer",
    ("DELETE", REPO + "/blobs/uploads/{session}"): "writer",
    ("GET", MODEL): "reader",
    ("PUT", MODEL): "writer",
    ("DELETE", MODEL): "writer",
    ("POST", MODEL + "/retry"): "writer",
    ("POST", MODEL + "/cancel"): "writer",
    ("GET", MODEL + "/log"): "reader",
    ("GET", MODEL + "/diff"): "reader",
    ("GET", MODEL + "/events"): "reader",
    ("GET", MODEL + "/events/stream"): "reader",
}
ROLES = ["reader", "writer", "admin", "operator"]  # an operator: an admin of every project


def routes_of_the_program():
    text = (ROOT / "src/server/router.c").read_text()
    text = text.replace('PROJECT "', '"/v1/{project_id}').replace(
        'MODEL "', f'"{MODEL}').replace(
        'UPLOAD "', '"/v1/{project_id}/uploads/{upload_id}').replace(
        "UPLOAD,", '"/v1/{project_id}/uploads/{upload_id}",').replace("MODEL,", f'"{MODEL}",').replace(
        'REPO "', f'"{REPO}').replace("SESSION,", f'"{REPO}/blobs/uploads/{{session}}",')
    rows = text[text.index("API_ROUTES[] = {"):]
    return set(re.findall(r'^    \{"([A-Z]+)",\s*"([^"]+)"', rows, re.M))


# -- projects and roles --

def test_every_route_has_its_least_role_here():
    assert routes_of_the_program() == set(ROUTES)


def test_a_token_of_one_project_reaches_nothing_of_another(serve, ready, package):
    server = serve()
    ours, theirs = make_token(ready, project="ours", role="admin"), make_token(ready)
    model = import_as(server, theirs, package())["model_id"]
    tried = 0
    for (method, route), _ in ROUTES.items():
        if "{project_id}" not in route:
            continue
        body = {} if method != "GET" else None
        answer = server.ask(method, path_of(route, "default", model), body, with_token(ours))
        assert error(answer) == (403, "ModelArts.0108"), (method, route, str(answer))
        assert model not in answer.body.decode()
        if "{model_id}" in route:  # not by way of the own project either
            answer = server.ask(method, path_of(route, "ours", model), body, with_token(ours))
            assert error(answer) == (404, "ModelArts.3001"), (method, route, str(answer))
        tried += 1
    assert tried > 10
    assert server.ask("GET", "/v1/ours/models", headers=with_token(ours)).json["models"] == []
    mine = import_as(server, ours, package(), "ours")["model_id"]
    listed = server.ask("GET", "/v1/ours/models", headers=with_token(ours)).json
    assert [item["model_id"] for item in listed["models"]] == [mine]
    assert server.ask("GET", f"/v1/ours/models/{mine}/diff", headers=with_token(ours),
                      against=model).status == 404
    assert server.ask("GET", f"/v1/default/models/{model}", headers=with_token(theirs)).status == 200


def test_a_role_may_what_its_routes_say(serve, ready):
    server = serve()
    tokens = {role: make_token(ready, role, role) for role in ROLES[:3]}
    tokens["operator"] = make_token(ready, "operator", "admin", "*")
    for (method, route), least in ROUTES.items():
        path, body = path_of(route, "default"), {} if method != "GET" else None
        if route == "/v1/{project_id}/events/stream":
            path += "?since=none"  # which is refused, where a stream would have no end
        nobody = server.ask(method, path, body)
        if least is None:
            assert nobody.status not in (403, 500), (method, route, str(nobody))
            continue
        assert nobody.status == 401, (method, route, str(nobody))
        for role, token in tokens.items():
            answer = server.ask(method, path, body, with_token(token))
            may = ROLES.index(role) >= ROLES.index(least)
            assert (answer.status not in (401, 403)) == may, (method, route, role, str(answer))


def test_an_operator_sees_every_project(serve, ready, package):
    server = serve()
    operator = make_token(ready, "root", "admin", "*")
    import_as(server, operator, package(), "vision")
    assert server.ask("GET", "/v1/vision/models", headers=with_token(operator)).json["count"] == 1
    odd = server.ask("GET", "/v1/a.b/models", headers=with_token(operator))
    assert error(odd) == (400, "ModelArts.0104"), str(odd)
    assert "project_id" in odd.json["error_msg"]


# -- tokens --

def test_tokens_that_are_none_expired_or_revoked(serve, ready):
    server = serve()
    token, short = make_token(ready), make_token(ready, "bob", "reader", "default",
                                                 "--expires", "1h")
    with sqlite3.connect(ready.data / "waybill.db") as store:
        store.execute("UPDATE tokens SET expires_at = 1 WHERE id = ?", (short["id"],))
    models = "/v1/default/models"
    assert error(server.ask("GET", models)) == (401, "ModelArts.0201")
    assert error(server.ask("GET", models, headers=with_token(short))) == (401, "ModelArts.0202")
    for odd in ("x", "wb_" + "A" * 43, token["token"] + "x", token["token"][:-1], token["id"],
                "A" * 900):
        assert error(server.ask("GET", models, headers=with_token(odd))) == (401, "ModelArts.0203")
    assert server.ask("GET", models, headers=with_token(token)).status == 200
    bearer = {"Authorization": "Bearer " + token["token"]}
    assert server.ask("GET", models, headers=bearer).status == 200
    signed = {"Authorization": "SDK-HMAC-SHA256 Access=A, SignedHeaders=host, Signature=0"}
    assert error(server.ask("GET", models, headers=signed)) == (401, "APIGW.0301")
    ready.run("token", "revoke", token["id"], check=True)
    assert error(server.ask("GET", models, headers=bearer)) == (401, "ModelArts.0203")


def test_the_first_token_closes_an_open_server_at_once(serve, ready):
    server = serve()
    open_to_all = server.ask("GET", "/v1/whoami").json
    assert open_to_all == {"user": "api", "project": "*", "role": "admin", "open": True}
    assert server.ask("GET", "/v1/default/models", headers=with_token("any")).status == 200
    assert server.ask("GET", "/v1/whoami", headers={"Host": "evil.example"}).status == 403
    token = make_token(ready)
    assert server.ask("GET", "/v1/whoami").status == 401
    assert server.ask("GET", "/healthz").status == 200
    assert server.ask("GET", "/v1/whoami", headers=with_token(token) | {
        "Host": "waybill.example", "Origin": "https://else.example"}).json == {
            "user": "alice", "project": "default", "role": "writer", "open": False}
    ready.run("token", "revoke", token["id"], check=True)
    assert server.ask("GET", "/v1/whoami").status == 401, "the last one's end opens nothing"
    server.stop()
    server.start()
    assert server.ask("GET", "/v1/whoami").status == 401


def test_a_setting_closes_the_server_before_there_is_a_token(serve):
    server = serve("--set", "server.loopback_open=false")
    assert server.ask("GET", "/v1/whoami").status == 401


@pytest.mark.parametrize("arguments, words", [
    (["create", "--user", "a", "--role", "boss"], "reader, writer or admin"),
    (["create", "--user", "a b", "--role", "admin"], "--user a b"),
    (["create", "--user", "", "--role", "admin"], "1 to 64"),
    (["create", "--role", "admin"], "--user is missing"),
    (["create", "--user", "a"], "--role is missing"),
    (["create", "--user", "a", "--role", "writer", "--project", "*"], "--role admin"),
    (["create", "--user", "a", "--role", "writer", "--project", "a/b"], "--project a/b"),
    (["create", "--user", "a", "--role", "writer", "--expires", "90"], "--expires 90"),
    (["create", "--user", "a", "--role", "writer", "--expires", "0d"], "--expires 0d"),
    (["create", "--user", "a", "--role", "writer", "--expires", "2001-01-01"], "future"),
    (["create", "--user", "a", "--role", "writer", "--expires", "2030-13-01"], "2030-12-31"),
    (["revoke"], "ID is missing"),
    (["frobnicate"], "create | list"),
    (["link", "--url", "somewhere"], "--url somewhere"),
])
def test_what_makes_no_token_is_told(waybill, arguments, words):
    refused = waybill.run("token", *arguments)
    assert refused.returncode == 2, str(refused)
    assert words in refused.stderr
    assert not waybill.data.exists()


def test_tokens_are_listed_without_their_secret_and_revoked(ready):
    token = make_token(ready, "alice", "writer", "vision", "--expires", "90d")
    assert re.fullmatch(r"wb_[A-Za-z0-9_-]{43}", token["token"])
    assert abs(token["expires_at"] - token["created_at"] - 90 * 24 * HOUR) < HOUR
    shown = ready.run("token", "create", "--user", "bob", "--role", "reader", check=True)
    assert re.fullmatch(r"wb_[A-Za-z0-9_-]{43}\n", shown.stdout), "for scripts: nothing but it"
    rows = ready.run("token", "list", check=True).stdout
    assert token["id"] in rows and "bob" in rows and "wb_" not in rows
    assert "bob" not in ready.run("token", "list", "--project", "vision", check=True).stdout
    ready.run("token", "revoke", token["id"], check=True)
    [row] = [json.loads(line) for line in
             ready.run("token", "list", "--json", check=True).stdout.splitlines()
             if token["id"] in line]
    assert row["revoked_at"] and "token" not in row
    assert "already" in ready.run("token", "revoke", token["id"], check=True).stderr
    nothing = ready.run("token", "revoke", "t-nothing")
    assert nothing.returncode == 1 and "t-nothing" in nothing.stderr


def test_when_a_token_was_used_is_known_afterwards(serve, ready):
    server, token = serve(), make_token(ready)
    server.ask("GET", "/v1/whoami", headers=with_token(token))
    server.stop()
    [row] = [json.loads(line) for line in
             ready.run("token", "list", "--json", check=True).stdout.splitlines()]
    assert row["last_used_at"] >= row["created_at"]
    server.start()


@pytest.mark.parametrize("path, first", [("models/{}/events/stream", b"id: 1"),
                                         ("events/stream", b"event: reset")])
def test_a_stream_ends_soon_after_the_token_that_reads_it(serve, ready, package, path, first):
    server = serve()
    writer, reader = make_token(ready), make_token(ready, "bob", "reader")
    model = import_as(server, writer, package())
    connection = server.connection(timeout=25)
    connection.request("GET", "/v1/default/" + path.format(model["model_id"]),
                       headers=with_token(reader))
    response = connection.getresponse()
    assert response.readline() == first + b"\n"
    ready.run("token", "revoke", reader["id"], check=True)
    last = [line for line in response if line.strip()][-1]
    assert last.startswith(b": the token"), last
    connection.close()


# -- addresses that others reach --

def test_an_address_that_others_reach_needs_a_token_and_says_what_to_type(serve, ready):
    refused = ready.run("serve", "--listen", "0.0.0.0:0")
    assert refused.returncode == 2, str(refused)
    lines = [line.strip() for line in refused.stderr.splitlines()]
    [create] = [line for line in lines if line.startswith("waybill token create ")]
    assert "waybill serve --listen 0.0.0.0:0" in lines
    ready.run(*shlex.split(create)[1:], check=True)
    process = ready.start("serve", "--listen", "0.0.0.0:0")
    address = process.stdout.readline().split()[-1]
    connection = http.client.HTTPConnection("127.0.0.1", int(address.rsplit(":", 1)[1]), timeout=30)
    connection.request("GET", "/v1/whoami")
    assert connection.getresponse().status == 401
    connection.close()
    process.terminate()
    status, _, stderr = finish(process)
    assert status == 0 and "server.tls_cert is not set" in stderr


# -- the audit list --

def test_what_was_done_is_in_the_audit_list(serve, ready, package):
    server = serve("--quiet")
    operator = make_token(ready, "root", "admin", "*")
    alice = make_token(ready)
    model = import_as(server, alice, package({"model/config.json": {"model_type": "Custom"}}))
    model_id = model["model_id"]
    for verb in ("retry", "cancel"):
        server.ask("POST", f"/v1/default/models/{model_id}/{verb}", {}, with_token(alice))
    deleted = server.ask("DELETE", f"/v1/default/models/{model_id}", headers=with_token(alice))
    server.ask("POST", "/v1/sign-in", {"token": "wb_wrong"})
    rows = server.ask("GET", "/v1/audit", headers=with_token(operator)).json["entries"]
    told = [(row["action"], row["outcome"], row["actor"]) for row in rows[::-1]]
    assert ("model.create", "done", "alice") in told
    assert ("model.delete", "done", "alice") in told
    assert ("token.create", "done", told[0][2]) == told[0]
    assert told[-1] == ("sign-in", "refused", "nobody")
    [gone] = [row for row in rows if row["action"] == "model.delete"]
    assert gone["request_id"] == deleted.headers["x-request-id"]
    assert (gone["object"], gone["model"], gone["credential"], gone["project"]) == \
        (model_id, "m:0.0.1", alice["id"], "default")
    page = server.ask("GET", "/v1/audit", headers=with_token(operator), limit=2).json
    rest = server.ask("GET", "/v1/audit", headers=with_token(operator), before=page["next"]).json
    assert page["entries"] + rest["entries"] == rows and rest["next"] is None
    only = server.ask("GET", "/v1/audit", headers=with_token(operator), action="model.delete").json
    assert only["entries"] == [gone]
    local = [json.loads(line) for line in ready.run("audit", "--json", check=True).stdout.splitlines()]
    assert local == rows[::-1]
    assert "model.delete  m:0.0.1  done  alice  default" in ready.run("audit", check=True).stdout


def test_the_administrator_of_a_project_sees_its_rows_only(serve, ready):
    server = serve("--quiet")
    make_token(ready, "other", "writer", "default")
    admin = make_token(ready, "vera", "admin", "vision")
    rows = server.ask("GET", "/v1/audit", headers=with_token(admin)).json["entries"]
    assert [(row["action"], row["object"]) for row in rows] == [("token.create", admin["id"])]
    assert server.ask("GET", "/v1/audit", headers=with_token(admin), project="default").status == 403


def test_the_command_line_is_in_the_audit_list(ready, package):
    ready.run("import", package(), "--name", "m", "--project", "mine", check=True)
    ready.run("delete", "m", "--project", "mine", check=True)
    rows = [json.loads(line) for line in ready.run("audit", "--json", check=True).stdout.splitlines()]
    assert [(row["action"], row["project"], row["request_id"]) for row in rows] == \
        [("model.create", "mine", None), ("model.delete", "mine", None)]
    ready.run("maintenance", "on", check=True)
    ready.run("maintenance", "off", check=True)
    rows = [json.loads(line) for line in ready.run("audit", "--json", check=True).stdout.splitlines()]
    assert [row["action"] for row in rows if row["project"] == "*"] == \
        ["maintenance.on", "maintenance.off"]


def test_refused_sign_ins_do_not_fill_the_store(serve, ready):
    server = serve("--quiet")
    for _ in range(130):
        assert server.ask("GET", "/sign-in?code=wbl_guess").status in (401, 429)
    with sqlite3.connect(ready.data / "waybill.db") as store:
        [count] = store.execute("SELECT count(*) FROM audit WHERE outcome = 'refused'").fetchone()
    assert 60 <= count <= 120, "of one minute, or of two that it fell into"


def test_who_guesses_waits_and_who_knows_does_not(serve, ready):
    server = serve()
    token = make_token(ready)
    answers = [server.ask("GET", "/v1/whoami", headers={"X-Auth-Token": f"wb_guess{i}"})
               for i in range(20)]
    assert {answer.status for answer in answers[:9]} == {401}
    assert answers[-1].status == 429 and int(answers[-1].headers["retry-after"]) > 0
    assert server.ask("GET", "/v1/whoami", headers=with_token(token)).status == 200


def test_an_access_key_closes_loopback_too(serve, ready):
    server = serve()
    assert server.ask("GET", "/v1/default/models").status == 200
    ready.run("access-key", "create", "--user", "ci", "--role", "writer", check=True)
    assert server.ask("GET", "/v1/default/models").status == 401


# -- secrets --

def test_no_secret_is_written_or_answered(serve, ready, package, tmp_path):
    log = (tmp_path / "log").open("w")
    server = serve("--log-format", "json", stderr=log)
    token = make_token(ready, role="admin")
    secret, link = token["token"], ready.run("token", "link", "--url", "http://x", "-q",
                                             check=True).stdout.strip()
    bodies = []

    def ask(*arguments, **options):
        answer = server.ask(*arguments, **options)
        bodies.append(answer.body + json.dumps(answer.headers).encode())
        return answer

    headers = with_token(secret)
    _, cookie = sign_in(server, link)
    subject = server.ask("POST", "/v3/auth/tokens",
                         keystone(token["id"], secret)).headers["x-subject-token"]
    bodies.append(json.dumps(import_as(server, secret, package())).encode())
    for (method, route), _ in ROUTES.items():
        if not route.endswith("/events/stream"):
            ask(method, path_of(route, "default"), {} if method != "GET" else None, headers)
    ask("POST", "/v1/sign-in", {"token": secret + "x"})
    ask("POST", "/v3/auth/tokens", keystone(secret, "x"))
    ask("GET", f"/v1/default/models?token={secret}", headers=headers)
    ask("GET", "/v1/audit", headers=headers)
    server.stop()
    log.close()
    kept = b"".join(path.read_bytes() for path in ready.data.rglob("*") if path.is_file())
    said = (tmp_path / "log").read_bytes() + ready.run("audit", "--json").stdout.encode() + \
        ready.run("token", "list", "--json").stdout.encode()
    assert b"/v1/audit" in said
    for one in (secret, link.split("code=")[1], cookie["Cookie"].split("=")[1], subject):
        assert len(one) > 20
        for where in (kept, said, b"".join(bodies)):
            assert one.encode() not in where
