"""Who may use the registry at /v2/: tokens as passwords, roles, projects kept apart."""
import pytest

from access import make_token, serve, with_token  # noqa: F401
from v2_client import NOWHERE, Registry, basic, code, describe, digest_of, manifest_of

ASKED = [("GET", "/tags/list"), ("GET", "/manifests/1"), ("HEAD", "/manifests/1"),
         ("PUT", "/manifests/1"), ("DELETE", "/manifests/1"), ("GET", "/blobs/" + NOWHERE),
         ("DELETE", "/blobs/" + NOWHERE), ("POST", "/blobs/uploads/"),
         ("GET", "/blobs/uploads/none"), ("PATCH", "/blobs/uploads/none"),
         ("PUT", "/blobs/uploads/none"), ("DELETE", "/blobs/uploads/none"),
         ("GET", "/referrers/" + NOWHERE)]
CHANGES = ("PUT", "DELETE", "POST", "PATCH")


@pytest.fixture
def closed(serve, ready):
    server = serve()
    return server, {role: make_token(ready, role, role) for role in ("reader", "writer", "admin")}


def test_a_token_is_the_password_whatever_the_user(closed, ready):
    server, tokens = closed
    nobody = server.ask("GET", "/v2/")
    assert code(nobody) == (401, "UNAUTHORIZED")
    assert nobody.headers["www-authenticate"] == 'Basic realm="waybill"'
    for user in ("reader", "anybody", ""):
        assert server.ask("GET", "/v2/", headers=basic(tokens["reader"], user)).status == 200
    for headers in (with_token(tokens["reader"]),
                    {"Authorization": "Bearer " + tokens["reader"]["token"]}):
        assert server.ask("GET", "/v2/", headers=headers).status == 200
    for headers in (basic("wb_" + "A" * 43), basic(""), basic(tokens["reader"]["token"] + "x"),
                    {"Authorization": "Basic !!!"}, {"Authorization": "Basic"},
                    {"Authorization": "Basic " + "QQ=="}):
        assert code(server.ask("GET", "/v2/", headers=headers)) == (401, "UNAUTHORIZED"), headers
    ready.run("token", "revoke", tokens["reader"]["id"], check=True)
    assert server.ask("GET", "/v2/", headers=basic(tokens["reader"])).status == 401


def test_basic_is_for_the_registry_alone(closed):
    server, tokens = closed
    assert server.ask("GET", "/v1/whoami", headers=basic(tokens["admin"])).status == 401


def test_failed_logins_are_counted(closed):
    server, tokens = closed
    answers = [server.ask("GET", "/v2/", headers=basic("wb_" + "%043d" % number))
               for number in range(12)]
    assert code(answers[0]) == (401, "UNAUTHORIZED")
    assert code(answers[-1]) == (429, "TOOMANYREQUESTS") and "retry-after" in answers[-1].headers
    assert server.ask("GET", "/v2/", headers=basic(tokens["reader"])).status == 200


def test_readers_pull_and_writers_push(closed):
    server, tokens = closed
    Registry(server, headers=basic(tokens["writer"])).push_image("1")
    reader = Registry(server, headers=basic(tokens["reader"]))
    assert reader.ask("GET", "/manifests/1").status == 200
    for method, path in ASKED:
        answer = reader.ask(method, path)
        if method in CHANGES or "uploads" in path:
            assert code(answer) == (403, "DENIED"), (method, path)
        else:
            assert answer.status not in (401, 403), (method, path)


def test_another_project_is_like_one_that_is_not_there(closed, ready):
    server, tokens = closed
    Registry(server, "default/secret", basic(tokens["writer"])).push_image("1", (b"secret",))
    theirs = basic(make_token(ready, project="theirs", role="admin"))
    for name in ("default/secret", "nowhere/secret"):
        registry = Registry(server, name, theirs)
        for method, path in ASKED:
            answer = registry.ask(method, path)
            assert answer.status == 404, (method, path, str(answer))
            if method != "HEAD":
                assert code(answer) == (404, "NAME_UNKNOWN"), (method, path, str(answer))
    assert server.ask("GET", "/v2/_catalog", headers=theirs).json == {"repositories": []}


def test_a_blob_of_another_project_is_not_reached_through_ones_own(closed, ready):
    server, tokens = closed
    manifest = Registry(server, "default/secret", basic(tokens["writer"])).push_image(
        "1", (b"secret",))
    mine = Registry(server, "theirs/own", basic(make_token(ready, project="theirs")))
    secret = digest_of(b"secret")
    for path in (f"/blobs/{secret}", "/blobs/" + digest_of(manifest),
                 "/manifests/" + digest_of(manifest)):
        assert mine.ask("GET", path).status == 404, path
    mounted = mine.ask("POST", "/blobs/uploads/", mount=secret, **{"from": "default/secret"})
    assert mounted.status == 202
    mine.push_blob(b"{}")
    named = mine.put_manifest("1", manifest_of(b"{}", (b"secret",)))
    assert code(named) == (404, "MANIFEST_BLOB_UNKNOWN")
    subject = manifest_of(b"{}", (), subject=describe(manifest))
    assert mine.put_manifest("points", subject).status == 201, "which tells nothing"
    assert mine.ask("GET", f"/blobs/{secret}").status == 404
    mine.push_blob(b"secret")  # who has the bytes has them
    assert mine.ask("GET", f"/blobs/{secret}").body == b"secret"


def test_an_upload_is_its_repositorys(closed, ready):
    server, tokens = closed
    writer = basic(tokens["writer"])
    location = Registry(server, headers=writer).start()
    session = location.rsplit("/", 1)[1]
    other = Registry(server, "default/other", writer)
    theirs = Registry(server, "theirs/own", basic(make_token(ready, project="theirs")))
    for registry in (other, theirs):
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            answer = registry.ask(method, f"/blobs/uploads/{session}", digest=NOWHERE)
            assert code(answer) == (404, "BLOB_UPLOAD_UNKNOWN"), method


def test_an_operator_sees_every_project(closed, ready):
    server, tokens = closed
    operator = basic(make_token(ready, "root", "admin", "*"))
    Registry(server, "default/a", basic(tokens["writer"])).push_image("1")
    Registry(server, "made/b", operator).push_image("1")
    assert server.ask("GET", "/v2/_catalog", headers=operator).json["repositories"] == [
        "default/a", "made/b"]
    assert server.ask("GET", "/v2/_catalog", headers=basic(tokens["reader"])).json == {
        "repositories": ["default/a"]}


def test_an_open_server_is_for_this_machine_alone(server):
    assert server.ask("GET", "/v2/", headers=basic("any")).status == 200
    answer = server.ask("GET", "/v2/", headers={"Host": "evil.example"})
    assert code(answer) == (403, "DENIED")
    answer = server.ask("POST", "/v2/default/x/blobs/uploads/",
                        headers={"Origin": "https://evil.example"})
    assert code(answer) == (403, "DENIED")


def test_what_a_push_did_names_who_and_with_which_token(closed):
    server, tokens = closed
    Registry(server, headers=basic(tokens["writer"], "somebody-else")).push_image("1")
    rows = server.ask("GET", "/v1/audit", headers=with_token(tokens["admin"]),
                      action="image.push").json["entries"]
    assert [(row["actor"], row["credential"], row["object"]) for row in rows] == [
        ("writer", tokens["writer"]["id"], "default/custom:1")]
