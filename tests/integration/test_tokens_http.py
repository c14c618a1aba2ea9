"""Tokens, sign-in links, members and space over HTTP."""
import json
import os

import pytest

from access import error, import_as, make_token, serve, sign_in, with_token

DAY = 24 * 3600 * 1000


def create(server, asker=None, **fields):
    return server.ask("POST", "/v1/tokens", fields, with_token(asker) if asker else {})


def test_a_token_is_made_used_and_revoked(serve, ready):
    server = serve("--quiet")
    made = create(server, user="root", project="*", role="admin", expires="90d")
    assert made.status == 200 and made.json["token"].startswith("wb_")
    assert made.headers["cache-control"] == "no-store"
    root = made.json
    assert abs(root["expires_at"] - root["created_at"] - 90 * DAY) < 1000
    assert error(create(server, user="x", project="*", role="admin")) == (401, "ModelArts.0201"), \
        "the first one closes the open server"
    alice = create(server, root, user="alice", project="vision", role="writer").json
    assert alice["expires_at"] is None
    assert server.ask("GET", "/v1/vision/models", headers=with_token(alice)).status == 200
    listed = server.ask("GET", "/v1/tokens", headers=with_token(root))
    assert [row["user"] for row in listed.json["tokens"]] == ["root", "alice"]
    for secret in (root["token"], alice["token"]):
        assert secret.encode() not in listed.body
    gone = server.ask("DELETE", f"/v1/tokens/{alice['id']}", headers=with_token(root))
    assert gone.json == {"id": alice["id"], "user": "alice", "revoked_before": False}
    assert server.ask("GET", "/v1/vision/models", headers=with_token(alice)).status == 401
    again = server.ask("DELETE", f"/v1/tokens/{alice['id']}", headers=with_token(root))
    assert again.json["revoked_before"]
    rows = server.ask("GET", "/v1/audit", headers=with_token(root)).json["entries"]
    told = [(row["action"], row["actor"], row["object"], row["credential"]) for row in rows[::-1]]
    assert told == [("token.create", "api", root["id"], None),
                    ("token.create", "root", alice["id"], root["id"]),
                    ("token.revoke", "root", alice["id"], root["id"])]
    assert all(row["request_id"] for row in rows)


def test_an_admin_of_one_project_has_that_one_only(serve, ready, package):
    server = serve()
    root = make_token(ready, "root", "admin", "*")
    boss = make_token(ready, "boss", "admin", "ours")
    theirs = make_token(ready, "tom", "writer", "theirs")
    model = import_as(server, theirs, package(), "theirs")["model_id"]
    for project in ("theirs", "*"):
        assert error(create(server, boss, user="eve", project=project, role="admin")) == \
            (403, "ModelArts.0108")
        link = server.ask("POST", "/v1/sign-in-links", {"role": "admin", "project": project},
                          with_token(boss))
        assert error(link) == (403, "ModelArts.0108")
    assert error(server.ask("GET", "/v1/tokens", headers=with_token(boss), project="theirs")) == \
        (403, "ModelArts.0108")
    for token in (root, theirs):
        assert server.ask("DELETE", f"/v1/tokens/{token['id']}",
                          headers=with_token(boss)).status == 404
        assert server.ask("GET", "/v1/whoami", headers=with_token(token)).status == 200
    ours = create(server, boss, user="ann", role="reader").json
    assert ours["project"] == "ours", "its own, where it names none"
    seen = server.ask("GET", "/v1/tokens", headers=with_token(boss)).json["tokens"]
    assert [row["user"] for row in seen] == ["boss", "ann"]
    projects = server.ask("GET", "/v1/projects", headers=with_token(boss)).json
    assert [row["project"] for row in projects["projects"]] == ["ours"]
    assert projects["operators"] == []
    space = server.ask("GET", "/v1/space", headers=with_token(boss))
    assert space.json["models"] == [] and model.encode() not in space.body
    assert "images" not in space.json and "store_bytes" not in space.json
    assert server.ask("DELETE", f"/v1/tokens/{ours['id']}", headers=with_token(boss)).status == 200


@pytest.mark.parametrize("fields, words", [
    ({"project": "p", "role": "writer"}, "user is missing"),
    ({"user": "a", "project": "p"}, "role is missing"),
    ({"user": "a", "role": "writer"}, "project is missing"),
    ({"user": "a b", "project": "p", "role": "writer"}, "user a b: expected 1 to 64"),
    ({"user": "a", "project": "a/b", "role": "writer"}, "project a/b: expected"),
    ({"user": "a", "project": "p", "role": "boss"}, "reader, writer or admin"),
    ({"user": "a", "project": "*", "role": "writer"}, "expected role admin"),
    ({"user": "a", "project": "p", "role": "writer", "expires": "90"}, "expires 90: expected"),
    ({"user": "a", "project": "p", "role": "writer", "expires": "2001-01-01"}, "in the future"),
    ({"user": "a", "project": "p", "role": "writer", "days": "9"}, "days is not a field"),
    ({"user": 7, "project": "p", "role": "writer"}, "user must be a string"),
])
def test_what_makes_no_token_is_told_and_leaves_the_server_open(server, fields, words):
    refused = create(server, **fields)
    assert error(refused) == (400, "ModelArts.0104")
    assert words in refused.json["error_msg"]
    assert server.ask("GET", "/v1/whoami").json["open"]


def test_another_page_makes_no_token(serve, ready):
    server = serve()
    body = {"user": "eve", "project": "*", "role": "admin"}
    foreign = {"Origin": "https://evil.example"}
    assert server.ask("POST", "/v1/tokens", body, foreign).status == 403
    assert server.ask("POST", "/v1/tokens", body, {"Content-Type": "text/plain"}).status == 415
    root = create(server, **body).json
    signed_in = server.ask("POST", "/v1/sign-in", {"token": root["token"]})
    cookie = {"Cookie": signed_in.headers["set-cookie"].split(";")[0]}
    for headers in (cookie, cookie | foreign):
        assert server.ask("POST", "/v1/tokens", body, headers).status == 403
        assert server.ask("DELETE", f"/v1/tokens/{root['id']}", headers=headers).status == 403
    own = cookie | {"Origin": f"http://{server.netloc}"}
    assert server.ask("POST", "/v1/tokens", body, own).status == 200


def test_a_link_signs_its_user_in_once(serve, ready):
    server = serve()
    root = make_token(ready, "root", "admin", "*")
    link = server.ask("POST", "/v1/sign-in-links", {"user": "ann", "project": "vision",
                                                    "role": "reader"}, with_token(root)).json
    answer, cookie = sign_in(server, link["path"])
    assert answer.status == 303
    assert server.ask("GET", "/v1/whoami", headers=cookie).json == {
        "user": "ann", "project": "vision", "role": "reader", "open": False}
    assert sign_in(server, link["path"])[0].status == 401
    mine = server.ask("POST", "/v1/sign-in-links", {"project": "*", "role": "admin"},
                      with_token(root)).json
    assert mine["user"] == "root"


def test_members_are_those_with_something_of_worth(serve, ready):
    server = serve()
    root = make_token(ready, "root", "admin", "*")
    for role in ("writer", "writer", "reader"):
        make_token(ready, "ann", role, "vision")
    gone = make_token(ready, "bob", "writer", "vision")
    ready.run("token", "revoke", gone["id"], check=True)
    ready.run("access-key", "create", "--user", "ci", "--role", "writer", "--project", "vision",
              check=True)
    answer = server.ask("GET", "/v1/projects", headers=with_token(root)).json
    assert [row["project"] for row in answer["projects"]] == ["default", "vision"]
    members = [(row["user"], row["role"], row["tokens"], row["access_keys"])
               for row in answer["projects"][1]["members"]]
    assert members == [("ann", "reader", 1, 0), ("ann", "writer", 2, 0), ("ci", "writer", 0, 1)]
    assert [row["user"] for row in answer["operators"]] == ["root"]


def test_space_says_what_deleting_a_model_frees(serve, ready, package):
    server = serve()
    root = make_token(ready, "root", "admin", "*")
    same = {"model/weights.bin": os.urandom(300_000)}
    first = import_as(server, root, package(same, name="one"), "default", "one")
    second = import_as(server, root, package(same, name="two"), "vision", "two")
    space = server.ask("GET", "/v1/space", headers=with_token(root)).json
    assert space["disk"]["bytes"] >= space["disk"]["free_bytes"] > 0
    assert space["store_bytes"] > 0
    images = space["images"]
    assert images["bytes"] == images["kept_bytes"] > 300_000
    models = {row["model_id"]: row for row in space["models"]}
    for model in (first, second):
        row = models[model["model_id"]]
        assert row["bytes"] > 300_000 > row["alone_bytes"], "the layer is the other one's, too"
    [default, vision] = space["projects"]
    assert (default["project"], default["models"]) == ("default", 1)
    assert default["bytes"] == models[first["model_id"]]["bytes"]
    server.ask("DELETE", f"/v1/vision/models/{second['model_id']}", headers=with_token(root))
    space = server.ask("GET", "/v1/space", headers=with_token(root)).json
    assert space["models"][0]["alone_bytes"] > 300_000
    assert [row["project"] for row in space["projects"]] == ["default"]
    assert str(ready.data) not in json.dumps(space)
