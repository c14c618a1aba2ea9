"""Servers that ask who asks, and who asks them."""
import json
import time

import pytest

from serving import Server


def make_token(waybill, user="alice", role="writer", project="default", *more):
    """The token as `waybill token create --json` says it."""
    done = waybill.run("token", "create", "--user", user, "--role", role, "--project", project,
                       "--json", *more, check=True)
    return json.loads(done.stdout)


def with_token(token):
    return {"X-Auth-Token": token["token"] if isinstance(token, dict) else token}


def error(answer):
    return answer.status, answer.json["error_code"]


def path_of(route, project, model="00000000-0000-0000-0000-000000000000"):
    return (route.replace("{project_id}", project).replace("{model_id}", model)
            .replace("{name...}", project + "/none"))


@pytest.fixture
def serve(ready, tmp_path):
    """serve(OPTION…) starts a server on ready's data directory; all of them end with the test."""
    running, log = [], open(tmp_path / "server.log", "a+")

    def start(*arguments, **options):
        running.append(Server(ready, tmp_path, *arguments, **{"stderr": log} | options))
        return running[-1]
    yield start
    statuses = [server.stop() for server in running]
    log.seek(0)
    assert set(statuses) <= {0}, log.read()[-2000:]
    log.close()


def import_as(server, token, source, project="default", name="m"):
    body = {"model_name": name, "model_version": "0.0.1", "model_type": "Custom",
            "source_location": f"file://{source}"}
    answer = server.ask("POST", f"/v1/{project}/models", body, with_token(token))
    assert answer.status == 200, str(answer)
    end = time.monotonic() + 60
    model_id = answer.json["model_id"]
    while time.monotonic() < end:
        details = server.ask("GET", f"/v1/{project}/models/{model_id}", headers=with_token(token),
                             wait=10).json
        if details["model_status"] != "publishing":
            return details
    raise AssertionError("the import has not ended")


def sign_in(server, link):
    """The answer, and the session's cookie as a header."""
    answer = server.ask("GET", link[link.index("/sign-in"):])
    cookie = answer.headers.get("set-cookie", "")
    return answer, {"Cookie": cookie.split(";")[0]}


def keystone(user, password, **scope):
    auth = {"identity": {"methods": ["password"], "password": {"user": {
        "name": user, "password": password, "domain": {"name": "default"}}}}}
    return {"auth": auth | ({"scope": scope} if scope else {})}
