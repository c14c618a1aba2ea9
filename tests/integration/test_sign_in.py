"""How people and programs sign in: links, sessions, a trusted proxy, what providers ask."""
import http.client
import json
import re
import sqlite3
import threading
from datetime import datetime

import pytest

from access import error, keystone, make_token, serve, sign_in, with_token
from conftest import finish


# -- signing in --

def first_lines(ready, *arguments):
    """What `serve` prints at its start, until the server answers."""
    process = ready.start("serve", "--set", "server.listen=127.0.0.1:0", *arguments)
    lines = [process.stdout.readline().strip()]
    netloc = lines[0].split("//")[1]
    connection = http.client.HTTPConnection(netloc, timeout=30)
    connection.request("GET", "/v1/event-catalog")
    assert connection.getresponse().read()
    connection.close()
    process.terminate()
    status, rest, _ = finish(process)
    assert status == 0
    return lines + rest.splitlines()


@pytest.mark.parametrize("language, words", [("en", "once, within 15 minutes"),
                                             ("zh", "只能使用一次")])
def test_the_first_start_prints_a_link_and_no_later_one(ready, language, words):
    lines = first_lines(ready, "--lang", language)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", lines[0])
    assert words in lines[1]
    assert re.fullmatch(re.escape(f"  {lines[0]}/sign-in?code=") + r"wbl_[\w-]{22}", lines[2])
    assert all(len(line) <= 80 for line in lines)
    assert first_lines(ready, "--lang", language)[1:] == []


def test_a_link_signs_in_once(serve, ready):
    server = serve("--quiet")
    link = json.loads(ready.run("token", "link", "--user", "carol", "--role", "writer", "--json",
                                check=True).stdout)["url"]
    assert server.ask("GET", "/v1/whoami").json["open"], "a link is no token: it closes nothing"
    make_token(ready)
    looked = server.ask("HEAD", link[link.index("/sign-in"):])
    assert looked.status == 200 and "set-cookie" not in looked.headers
    answer, cookie = sign_in(server, link)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert re.fullmatch(r"waybill_session=wbs_[\w-]{43}; Path=/; Max-Age=43200; HttpOnly; "
                        r"SameSite=Strict", answer.headers["set-cookie"])
    assert server.ask("GET", "/v1/whoami", headers=cookie).json == {
        "user": "carol", "project": "default", "role": "writer", "open": False}
    again, _ = sign_in(server, link)
    assert again.status == 401 and "set-cookie" not in again.headers
    assert "waybill token link" in again.body.decode()
    chinese = server.ask("GET", "/sign-in?code=wbl_x", headers={"Accept-Language": "zh-CN"})
    assert "登录链接" in chinese.body.decode()
    session = cookie["Cookie"].split("=")[1]
    assert server.ask("GET", "/v1/whoami", headers=with_token(session)).status == 401, \
        "a cookie's value is no token"


def test_of_two_who_use_a_link_at_once_one_is_signed_in(serve, ready):
    server = serve()
    link = ready.run("token", "link", "--url", "http://x", "-q", check=True).stdout.strip()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(sign_in(server, link)[0].status))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303] + [401] * 7


def test_an_old_link_signs_nobody_in(serve, ready):
    server = serve()
    link = ready.run("token", "link", "--url", "http://x", "-q", check=True).stdout.strip()
    with sqlite3.connect(ready.data / "waybill.db") as store:
        store.execute("UPDATE tokens SET expires_at = created_at - 1 WHERE kind = 'link'")
    assert sign_in(server, link)[0].status == 401


def test_a_cookie_changes_nothing_from_another_origin(serve, ready):
    server = serve()
    token = make_token(ready)
    answer = server.ask("POST", "/v1/sign-in", {"token": token["token"]})
    assert answer.status == 200 and answer.json["user"] == "alice"
    cookie = {"Cookie": answer.headers["set-cookie"].split(";")[0]}
    cancel = "/v1/default/models/nothing/cancel"
    own = {"Origin": f"http://{server.netloc}"}
    assert server.ask("GET", "/v1/default/models", headers=cookie).status == 200
    assert error(server.ask("POST", cancel, {}, cookie)) == (403, "ModelArts.0108")
    for origin in ("http://evil.example", "null", f"http://{server.netloc}.evil.example"):
        assert server.ask("POST", cancel, {}, cookie | {"Origin": origin}).status == 403
        assert server.ask("POST", "/v1/sign-out", {}, cookie | {"Origin": origin}).status == 403
        assert server.ask("POST", "/v1/sign-in", {"token": token["token"]},
                          {"Origin": origin}).status == 403
    assert server.ask("POST", cancel, {}, cookie | own).status == 404
    out = server.ask("POST", "/v1/sign-out", {}, cookie | own)
    assert out.status == 200 and "Max-Age=0" in out.headers["set-cookie"]
    assert server.ask("GET", "/v1/whoami", headers=cookie).status == 401


def test_a_session_ends_with_the_token_it_was_got_with(serve, ready):
    server = serve()
    token = make_token(ready, "alice", "reader", "default", "--expires", "1h")
    answer = server.ask("POST", "/v1/sign-in", {"token": token["token"]})
    assert answer.json["expires_at"] == token["expires_at"]
    cookie = {"Cookie": answer.headers["set-cookie"].split(";")[0]}
    assert server.ask("GET", "/v1/whoami", headers=cookie).status == 200
    ready.run("token", "revoke", token["id"], check=True)
    assert server.ask("GET", "/v1/whoami", headers=cookie).status == 401
    assert error(server.ask("POST", "/v1/sign-in", {"token": token["token"]})) == \
        (401, "ModelArts.0203")
    assert error(server.ask("POST", "/v1/sign-in", {})) == (400, "ModelArts.0104")


# -- a trusted proxy --

def test_only_a_trusted_proxy_names_a_user(serve, ready, package):
    trusting = ("--set", "server.user_header=X-Forwarded-User", "--set")
    server = serve(*trusting, "server.trusted_proxy=10.0.0.0/8, 127.0.0.1")
    assert server.ask("GET", "/v1/whoami").status == 401, "past the proxy nobody is let in"
    named = {"X-Forwarded-User": "dora@example.org"}
    assert server.ask("GET", "/v1/whoami", headers=named).json == {
        "user": "dora@example.org", "project": "default", "role": "writer", "open": False}
    wanted = {"model_name": "m", "model_version": "0.0.1", "model_type": "Custom",
              "source_location": f"file://{package()}"}
    refused = server.ask("POST", "/v1/default/models", wanted, named)
    assert error(refused) == (400, "ModelArts.3017"), "others than this machine's users ask"
    server.stop()
    server = serve(*trusting, "server.trusted_proxy=10.0.0.0/8, 127.0.0.1", "--set",
                   "sources.allow=file:///")
    created = server.ask("POST", "/v1/default/models", wanted, named)
    assert created.status == 200, str(created)
    events = server.ask("GET", f"/v1/default/models/{created.json['model_id']}/events",
                        headers=named, wait=10).json["events"]
    assert events[0]["actor"] == "dora@example.org"
    assert server.ask("POST", "/v1/default/models/x/cancel", {}, named | {
        "Origin": "http://evil.example"}).status == 403
    for odd in ("a b", "", "x" * 65):
        assert server.ask("GET", "/v1/whoami", headers={"X-Forwarded-User": odd}).status == 401
    connection = server.connection()
    connection.putrequest("GET", "/v1/whoami")
    connection.putheader("X-Forwarded-User", "mallory")
    connection.putheader("X-Forwarded-User", "dora")
    connection.endheaders()
    assert connection.getresponse().status == 401, "the client said it too"
    connection.close()
    server.stop()
    server.arguments = (*trusting, "server.trusted_proxy=10.0.0.0/8")
    server.start()
    assert server.ask("GET", "/v1/whoami", headers=named).status == 401


@pytest.mark.parametrize("sets, words", [
    (["server.user_header=X-User"], "server.trusted_proxy"),
    (["server.user_header=X-User", "server.trusted_proxy=localnet"], "localnet"),
    (["server.user_header=X User", "server.trusted_proxy=::1"], "X User"),
    (["server.user_header=X-User", "server.trusted_proxy=::1", "server.proxy_role=boss"], "boss"),
    (["server.user_header=X-User", "server.trusted_proxy=::1", "server.proxy_project=a/b"], "a/b"),
    (["server.loopback_open=maybe"], "true or false"),
])
def test_settings_of_access_that_are_none(ready, sets, words):
    refused = ready.run("serve", "--set", "server.listen=127.0.0.1:0",
                        *(part for one in sets for part in ("--set", one)))
    assert refused.returncode == 2, str(refused)
    assert words in refused.stderr


# -- what providers ask --

def test_a_provider_gets_a_token_of_a_day(serve, ready):
    server = serve()
    token = make_token(ready, "alice", "writer", "vision")
    tokens = "/v3/auth/tokens"
    answer = server.ask("POST", tokens, keystone(token["id"], token["token"],
                                                 project={"name": "vision"}))
    assert answer.status == 201, str(answer)
    body = answer.json["token"]
    assert body["methods"] == ["password"]
    assert (body["project"]["id"], body["project"]["name"]) == ("vision", "vision")
    assert (body["user"]["id"], body["user"]["name"]) == (token["id"], "alice")
    issued, expires = (datetime.fromisoformat(body[key].replace("Z", "+00:00"))
                       for key in ("issued_at", "expires_at"))
    assert abs((expires - issued).total_seconds() - 24 * 3600) < 2
    urls = {entry["type"]: entry["endpoints"][0]["url"] for entry in body["catalog"]}
    assert urls["modelarts"] == f"http://{server.netloc}/v1/vision"
    subject = with_token(answer.headers["x-subject-token"])
    assert server.ask("GET", "/v1/whoami", headers=subject).json["user"] == "alice"
    assert server.ask("GET", "/v1/default/models", headers=subject).status == 403
    domain = server.ask("POST", tokens, keystone(token["id"], token["token"],
                                                 domain={"name": "default"}))
    assert domain.status == 201 and "project" not in domain.json["token"]
    ready.run("token", "revoke", token["id"], check=True)
    assert server.ask("GET", "/v1/whoami", headers=subject).status == 401


def test_what_is_no_login_is_answered_as_keystone_does(serve, ready):
    server = serve()
    token, other = make_token(ready), make_token(ready, "bob", "reader", "vision")
    for body in (keystone(token["id"], "wb_wrong"), keystone("alice", token["token"]),
                 keystone(other["id"], token["token"]),
                 keystone(token["id"], token["token"], project={"id": "vision"})):
        answer = server.ask("POST", "/v3/auth/tokens", body)
        assert answer.status == 401 and "x-subject-token" not in answer.headers
        assert answer.json["error"]["code"] == 401 and answer.json["error"]["title"] == "Unauthorized"
    for body in ({}, {"auth": []}, b"[", {"auth": {"identity": {"methods": ["token"]}}},
                 keystone(token["id"], 3)):
        answer = server.ask("POST", "/v3/auth/tokens", body)
        assert (answer.status, answer.json["error"]["code"]) == (400, 400), str(answer)
    assert server.ask("GET", "/v3/projects").json["error"]["code"] == 401


def test_what_providers_ask_at_their_start(serve, ready):
    server = serve()
    token, operator = make_token(ready, project="vision"), make_token(ready, "root", "admin", "*")

    def names(path, kind, who, **query):
        answer = server.ask("GET", path, headers=with_token(who), **query).json
        assert answer["links"]["next"] is None
        return [item["name"] for item in answer[kind]]

    for path in ("/v3/projects", "/v3/auth/projects"):
        assert names(path, "projects", token) == ["vision"]
        assert names(path, "projects", token, name="default") == []
        assert names(path, "projects", operator) == ["default", "vision"]
        assert names(path, "projects", operator, name="vision") == ["vision"]
    assert names("/v3/auth/domains", "domains", token) == ["default"]
    assert {entry["type"] for entry in
            server.ask("GET", "/v3/auth/catalog", headers=with_token(token)).json["catalog"]} == \
        {"identity", "modelarts"}
    for path in ("/v3", "/v3/"):
        version = server.ask("GET", path).json["version"]
        assert version["id"].startswith("v3") and version["status"] == "stable"
