"""AK/SK pairs, signed requests, credentials, and where a served import may read."""
import hashlib
import json
import sqlite3
import stat
import subprocess
import time

import pytest

import sdk_signer
from oci_layout import make_base
from serving import Answer, Server
from test_server import error_code

KIB = 1 << 10
MODELS = "/v1/default/models"


def make_key(waybill, *options, project="default", role="writer"):
    made = waybill.run("access-key", "create", "--project", project, "--user", "ann", "--role", role,
                       "--json", *options, check=True)
    return json.loads(made.stdout)


class Signer:
    """Asks a server with signed requests; keyword arguments are sdk_signer.signed's."""

    def __init__(self, server, pair):
        self.server, self.access, self.secret = server, pair["access_key"], pair["secret_key"]

    def ask(self, method, target, body=b"", send=None, send_target=None, change=None, chunked=False,
            **options):
        """send, send_target: other than what was signed; change: of the signed headers."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = sdk_signer.signed(self.access, self.secret, method, target, self.server.netloc,
                                    body, **options)
        headers |= change or {}
        if body:
            headers["Content-Type"] = "application/json"
        send = body if send is None else send
        connection = self.server.connection()
        try:
            connection.request(method, send_target or target,
                               iter([send[:7], send[7:]]) if chunked else send or None,
                               headers, encode_chunked=chunked)
            return Answer(connection.getresponse())
        finally:
            connection.close()


@pytest.fixture
def signer(server, ready):
    return Signer(server, make_key(ready))


# -- access keys --

def test_a_key_is_made_listed_and_revoked_and_its_secret_is_shown_once(ready):
    made = ready.run("access-key", "create", "--project", "vision", "--user", "ci", "--role",
                     "reader", "--expires", "90d", check=True)
    access, secret = (line.split()[-1] for line in made.stdout.splitlines())
    assert len(access) == 20 and len(secret) == 40
    assert "cannot be shown again" in made.stderr
    row = json.loads(ready.run("access-key", "list", "--json", check=True).stdout)
    assert (row["access_key"], row["project"], row["user"], row["role"]) == (
        access, "vision", "ci", "reader")
    assert abs(row["expires_at"] - row["created_at"] - 90 * 86400000) < 5000
    listed = ready.run("access-key", "list", check=True).stdout
    assert access in listed and secret not in listed and "until 2" in listed
    assert ready.run("access-key", "list", "--project", "other", check=True).stdout == ""
    ready.run("access-key", "revoke", access, check=True)
    assert "revoked" in ready.run("access-key", "list", check=True).stdout
    assert ready.run("access-key", "revoke", access).returncode == 1
    zh = ready.run("access-key", "list", "--lang", "zh", check=True).stdout
    assert "已吊销" in zh
    for file in ready.data.glob("waybill.db*"):
        assert secret.encode() not in file.read_bytes()


@pytest.mark.parametrize("arguments, words", [
    (["create"], "--user NAME is missing"),
    (["create", "--user", "a b", "--role", "reader"], "without blanks"),
    (["create", "--user", "a"], "--role ROLE is missing"),
    (["create", "--user", "a", "--role", "root"], "reader, writer or admin"),
    (["create", "--user", "a", "--role", "reader", "--expires", "soon"], "90d"),
    (["create", "--user", "a", "--role", "reader", "--expires", "0d"], "90d"),
    (["create", "--user", "a", "--role", "reader", "--project", "a/b"], "--project a/b"),
    (["revoke"], "expected create | list | revoke ID"),
    (["mend"], "expected create | list | revoke ID"),
])
def test_wrong_usage_of_access_key_says_what_was_expected(waybill, arguments, words):
    result = waybill.run("access-key", *arguments)
    assert result.returncode == 2 and words in result.stderr, str(result)
    assert not waybill.data.exists()


def test_the_key_of_secrets_is_for_nobody_else_and_its_loss_is_said(ready, package):
    make_key(ready)
    key = ready.data / "secret.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and key.stat().st_size == 32
    key.chmod(0o640)
    refused = ready.run("access-key", "create", "--user", "a", "--role", "reader")
    assert refused.returncode == 3 and "read by others" in refused.stderr


def test_a_backup_brings_the_key_of_secrets_along(ready, waybill_at, tmp_path):
    pair = make_key(ready)
    ready.run("backup", tmp_path / "backup", check=True)
    saved = tmp_path / "backup/secret.key"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    other = waybill_at("other")
    make_key(other)
    former = (other.data / "secret.key").read_bytes()
    other.run("restore", tmp_path / "backup", check=True)
    assert (other.data / "secret.key").read_bytes() == saved.read_bytes()
    assert (other.data / "secret.key.before-restore").read_bytes() == former
    server = Server(other, tmp_path)
    assert Signer(server, pair).ask("GET", MODELS).status == 200
    assert server.stop() == 0
    saved.write_bytes(b"short")
    damaged = waybill_at("third").run("restore", tmp_path / "backup")
    assert damaged.returncode == 1 and "not 32 bytes" in damaged.stderr


def test_a_key_of_the_settings_leaves_none_beside_the_store(ready, tmp_path):
    (tmp_path / "key").write_text("5a" * 32 + "\n")
    (tmp_path / "key").chmod(0o600)
    setting = ("--set", f"security.secret_key={tmp_path}/key")
    pair = json.loads(ready.run("access-key", "create", "--user", "a", "--role", "reader", "--json",
                                *setting, check=True).stdout)
    assert not (ready.data / "secret.key").exists()
    server = Server(ready, tmp_path, *setting)
    assert Signer(server, pair).ask("GET", MODELS).status == 200
    assert server.stop() == 0
    shown = ready.run("doctor", "--set", "security.secret_key=" + "5a" * 32).stdout
    assert "security.secret_key = ***" in shown and "5a5a" not in shown


# -- signed requests --

def test_signed_requests_create_poll_and_say_who_asked(signer, package):
    created = signer.ask("POST", MODELS, {
        "model_name": "m", "model_version": "0.0.1", "model_type": "Custom",
        "source_location": f"file://{package()}"})
    assert created.status == 200, created
    model = f"{MODELS}/{created.json['model_id']}"
    end = time.monotonic() + 60
    while signer.ask("GET", model).json["model_status"] == "publishing":
        assert time.monotonic() < end
    events = signer.ask("GET", f"{model}/events?limit=5&event_type=normal").json["events"]
    assert events[0]["actor"] == "ann"


@pytest.mark.parametrize("target", [
    f"{MODELS}?model_name=a%20b&model_name=", f"{MODELS}?model_name=%E6%A8%A1&limit=2&offset=0",
    f"{MODELS}?description=a+b%2B", f"{MODELS}?model_name", f"{MODELS}/?x=1",
    f"{MODELS}?x=2&x=10&x=1", f"{MODELS}?", "/v1/%64efault/models"])
def test_odd_targets_verify(signer, target):
    answer = signer.ask("GET", target)
    assert answer.status == 200, answer


def test_repeated_unsigned_and_further_headers_are_taken_as_they_are(signer):
    assert signer.ask("GET", MODELS, extra=[("X-Project-Id", " p  ")]).status == 200
    assert signer.ask("GET", MODELS, names=["x-sdk-date"]).status == 200
    assert signer.ask("GET", MODELS, change={"X-Later": "added by a proxy"}).status == 200
    assert signer.ask("GET", MODELS, extra=[("X-A", "1")], change={"X-A": "2"}).status == 401


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("payload", [None, "hash", "UNSIGNED-PAYLOAD"])
def test_a_changed_body_is_refused_before_it_is_acted_on(signer, package, payload, chunked):
    body = json.dumps({"model_name": "m", "model_version": "0.0.1", "model_type": "Custom",
                       "source_location": f"file://{package()}"}).encode()
    if payload == "hash":
        payload = hashlib.sha256(body).hexdigest()
    evil = body.replace(b'"m"', b'"e"')
    answer = signer.ask("POST", MODELS, body, send=evil, payload=payload, chunked=chunked)
    if payload == "UNSIGNED-PAYLOAD":
        assert answer.status == 200
        return
    assert error_code(answer) == (401, "APIGW.0301")
    assert signer.ask("GET", MODELS).json["count"] == 0
    assert signer.ask("POST", MODELS, body, payload=payload, chunked=chunked).status == 200


def test_a_body_where_none_was_signed_is_refused(signer):
    answer = signer.ask("DELETE", f"{MODELS}/none", b"", send=b"{}", payload=hashlib.sha256(
        b"").hexdigest())
    assert error_code(answer) == (401, "APIGW.0301")


def test_what_was_not_signed_so_is_refused(signer):
    refused = [
        signer.ask("GET", f"{MODELS}?limit=1", send_target=f"{MODELS}?limit=2"),
        signer.ask("GET", MODELS, send_target="/v1/default/statistics"),
        signer.ask("GET", MODELS, change={"Authorization": "SDK-HMAC-SHA256"}),
        signer.ask("GET", MODELS, names=["host"]),
        signer.ask("GET", MODELS, payload="nothing"),
    ]
    for answer in refused:
        assert error_code(answer) == (401, "APIGW.0301"), answer
    other = Signer(signer.server, {"access_key": signer.access, "secret_key": "x" * 40})
    assert error_code(other.ask("GET", MODELS)) == (401, "APIGW.0301")
    unknown = Signer(signer.server, {"access_key": "A" * 20, "secret_key": signer.secret})
    answer = unknown.ask("GET", MODELS)
    assert error_code(answer) == (401, "APIGW.0301")
    assert signer.secret not in str(answer)


@pytest.mark.parametrize("seconds, status", [(-890, 200), (890, 200), (-910, 401), (910, 401)])
def test_a_date_is_good_for_fifteen_minutes(signer, seconds, status):
    answer = signer.ask("GET", MODELS, date=sdk_signer.date_of(time.time() + seconds))
    assert answer.status == status, answer
    if status == 401:
        assert answer.json["error_code"] == "APIGW.0303"


def test_a_key_is_for_its_own_project_and_time(server, ready):
    other = Signer(server, make_key(ready, project="vision"))
    assert error_code(other.ask("GET", MODELS)) == (403, "ModelArts.0108")
    assert other.ask("GET", "/v1/vision/models").status == 200
    everywhere = Signer(server, make_key(ready, project="*"))
    assert everywhere.ask("GET", MODELS).status == 200
    ready.run("access-key", "revoke", everywhere.access, check=True)
    answer = everywhere.ask("GET", MODELS)
    assert error_code(answer) == (401, "APIGW.0301") and "revoked" in answer.json["error_msg"]
    brief = Signer(server, make_key(ready, "--expires", "1s"))
    end = time.monotonic() + 10
    while (answer := brief.ask("GET", MODELS)).status == 200:
        assert time.monotonic() < end
    assert "expired" in answer.json["error_msg"]


def test_failed_logins_are_limited_and_who_is_known_goes_on(signer):
    assert signer.ask("GET", MODELS).status == 200
    guesser = Signer(signer.server, {"access_key": "B" * 20, "secret_key": "x" * 40})
    statuses = [guesser.ask("GET", MODELS).status for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    answer = guesser.ask("GET", MODELS)
    assert error_code(answer) == (429, "ModelArts.0203")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert signer.ask("GET", MODELS).status == 200


def test_a_lost_key_of_secrets_is_no_login(signer, ready):
    (ready.data / "secret.key").rename(ready.data / "elsewhere")
    signer.server.stop()
    signer.server.start()
    answer = signer.ask("GET", MODELS)
    assert error_code(answer) == (500, "ModelArts.0010")
    assert "secret.key" not in answer.json["error_msg"]
    (ready.data / "elsewhere").rename(ready.data / "secret.key")
    assert signer.ask("GET", MODELS).status == 200


def test_the_use_of_a_key_is_noted(signer, ready):
    before = json.loads(ready.run("access-key", "list", "--json").stdout)["used_at"]
    signer.ask("GET", MODELS)
    after = json.loads(ready.run("access-key", "list", "--json").stdout)["used_at"]
    assert before is None and abs(after / 1000 - time.time()) < 60


# -- credentials --

def add_credential(waybill, secret, *arguments):
    return subprocess.run([waybill.program, "credential", "add", "--secret-stdin", *arguments],
                          env=waybill.environment, input=secret, capture_output=True, text=True,
                          timeout=60)


def test_credentials_are_kept_for_a_project_and_never_shown(ready):
    added = add_credential(ready, "hunter2hunter2\n", "--project", "vision", "--for", "registry",
                           "--host", "Registry.example.com:5000", "--user", "robot")
    assert added.returncode == 0 and "hunter2" not in added.stdout + added.stderr, added
    row = json.loads(ready.run("credential", "list", "--project", "vision", "--json").stdout)
    assert (row["for"], row["host"], row["user"]) == ("registry", "registry.example.com:5000",
                                                      "robot")
    assert "hunter2" not in json.dumps(row)
    assert ready.run("credential", "list", check=True).stdout == ""
    for file in ready.data.glob("waybill.db*"):
        assert b"hunter2" not in file.read_bytes()
    gone = ["credential", "remove", "--project", "vision", "--for", "registry", "--host",
            "registry.example.com:5000"]
    ready.run(*gone, check=True)
    assert ready.run(*gone).returncode == 1


@pytest.mark.parametrize("arguments, secret, words", [
    (["--host", "h"], "s", "--for KIND is missing"),
    (["--for", "registry"], "s", "--host HOST is missing"),
    (["--for", "ftp", "--host", "h"], "s", "expected registry or s3"),
    (["--for", "registry", "--host", "https://h"], "s", "without a scheme"),
    (["--for", "s3", "--host", "h"], "s", "access key"),
    (["--for", "registry", "--host", "h"], "", "the secret is no line"),
    (["--for", "registry", "--host", "h"], "a\nb\n", "the secret is no line"),
    (["--for", "registry", "--host", "h"], "x" * 9 * KIB, "the secret is no line"),
])
def test_wrong_credentials_say_what_was_expected(waybill, arguments, secret, words):
    result = add_credential(waybill, secret, *arguments)
    assert result.returncode == 2 and words in result.stderr, result
    assert not waybill.data.exists()


def test_admins_manage_credentials_over_http(server, ready, tmp_path):
    path = "/v1/vision/credentials"
    admin = Signer(server, make_key(ready, project="vision", role="admin"))
    writer = Signer(server, make_key(ready, project="vision"))
    credential = {"for": "s3", "host": "S3.example.com", "user": "AKID", "secret": "hunter2hunter2"}
    added = admin.ask("POST", path, credential)
    assert added.status == 200 and "hunter2" not in str(added)
    listed = admin.ask("GET", path)
    assert listed.json["count"] == 1 and "hunter2" not in str(listed)
    assert listed.json["credentials"][0]["host"] == "s3.example.com"
    for method, target, body in (("GET", path, b""), ("POST", path, credential),
                                 ("DELETE", path + "?for=s3&host=s3.example.com", b"")):
        assert error_code(writer.ask(method, target, body)) == (403, "ModelArts.0108")
    for wrong in ({"for": "s3"}, credential | {"more": "x"}, credential | {"secret": 1},
                  credential | {"for": "ftp"}):
        answer = admin.ask("POST", path, wrong)
        assert error_code(answer) == (400, "ModelArts.0104") and "hunter2" not in str(answer)
    gone = path + "?for=s3&host=S3.example.com"
    assert admin.ask("DELETE", path).status == 400
    assert admin.ask("DELETE", gone).status == 200
    assert admin.ask("DELETE", gone).status == 404


# -- sources --

def image_package(package, location, name="package"):
    return package({"model/config.json": {"model_type": "Image", "model_algorithm": "a",
                                          "swr_location": location},
                    "model/weights.bin": None}, name=name)


@pytest.fixture
def layouts(ready, tmp_path):
    """A server whose root is roots/, which has an image; outside/ has another one."""
    make_base(tmp_path / "roots/images")
    make_base(tmp_path / "outside")
    (tmp_path / "roots/link").symlink_to(tmp_path / "outside")
    server = Server(ready, tmp_path / "roots")
    yield server
    assert server.stop() == 0


@pytest.mark.parametrize("location", ["oci:{0}/outside:latest", "oci:../../outside:latest",
                                      "oci:../link:latest", "oci:{0}/roots/link:latest",
                                      "oci:{0}/roots/../outside:latest", "oci:{0}/nowhere:latest"])
def test_an_image_outside_the_roots_is_never_read_whatever_a_package_names(
        layouts, ready, package, tmp_path, location):
    source = image_package(package, location.format(tmp_path), name="roots/package")
    for path in (tmp_path / "outside/index.json", tmp_path / "outside/oci-layout"):
        path.unlink()  # who reads it would say so
    details = layouts.settled(layouts.create(source, model_type="Image").json["model_id"])
    assert details["model_status"] == "failed"
    events = layouts.get(f"/models/{details['model_id']}/events", event_type="abnormal").json
    said = [(event["reason"], event["evidence"].get("pointer")) for event in events["events"]]
    assert said == [("ConfigValueInvalid", "/swr_location"), ("ImportFailed", None)]
    answer = events["events"][0]
    assert answer["evidence"]["expected"] == "an image that this project may import from"
    assert "本项目可以导入" in json.dumps(answer, ensure_ascii=False)
    again = layouts.ask("POST", f"/v1/default/models/{details['model_id']}/retry", {})
    assert again.json["attempt"] == 2
    assert layouts.settled(details["model_id"])["model_status"] == "failed"


def test_an_image_beneath_the_roots_is_imported_as_a_package_names_it(layouts, package, tmp_path):
    for number, location in enumerate((f"oci:{tmp_path}/roots/images:latest",
                                       "oci:../images:latest")):
        source = image_package(package, location, name=f"roots/package{number}")
        made = layouts.create(source, name=f"m{number}", model_type="Image")
        details = layouts.settled(made.json["model_id"])
        assert details["model_status"] == "published", details


def test_the_command_line_of_the_machine_is_not_bounded(ready, package, tmp_path):
    make_base(tmp_path / "outside")
    source = image_package(package, f"oci:{tmp_path}/outside:latest")
    ready.run("import", source, "--name", "m", check=True)


def test_a_link_that_leads_elsewhere_once_the_request_was_admitted_is_not_followed(
        ready, tmp_path):
    """The image waits in the queue while the link that names it is turned."""
    make_base(tmp_path / "roots/images")
    make_base(tmp_path / "outside")
    link = tmp_path / "roots/link"
    link.symlink_to("images")
    server = Server(ready, tmp_path / "roots")
    try:
        made = server.ask("POST", "/v1/default/models", {
            "model_name": "m", "model_version": "0.0.1", "model_type": "Image",
            "source_location": f"oci:{link}:latest"})
        assert made.status == 200, made
        model = made.json["model_id"]
        assert server.settled(model)["model_status"] == "published"
        link.unlink()
        link.symlink_to(tmp_path / "outside")
        with sqlite3.connect(ready.data / "waybill.db") as store:  # as if it had failed then
            store.execute("UPDATE attempts SET outcome = 'failed'")
        server.ask("POST", f"/v1/default/models/{model}/retry", {})
        details = server.settled(model)
        assert details["failure"]["reason"] == "SourceImageNotFound", details
        assert str(tmp_path) not in json.dumps(details["failure"]).replace(str(link), "")
    finally:
        server.stop()


def test_sources_allow_narrows_what_a_project_may_import_from(ready, package, tmp_path):
    own, other = package(name="roots/default/p"), package(name="roots/vision/p")
    make_base(tmp_path / "roots/vision/images")
    server = Server(ready, tmp_path / "roots", "--set",
                    f"sources.allow=file://{tmp_path}/roots/{{project}}")
    try:
        assert server.settled(server.create(own).json["model_id"])["model_status"] == "published"
        answer = server.create(other, version="0.0.2")
        assert error_code(answer) == (400, "ModelArts.3017")
        assert "sources.allow" in answer.json["error_msg"]
        image = image_package(package, f"oci:{tmp_path}/roots/vision/images:latest",
                              name="roots/default/image")
        made = server.create(image, version="0.0.3", model_type="Image")
        details = server.settled(made.json["model_id"])
        assert details["failure"]["reason"] == "ConfigValueInvalid", details
    finally:
        server.stop()
    wrong = ready.run("serve", "--set", "server.listen=127.0.0.1:0", "--set",
                      "sources.allow=/srv/models")
    assert wrong.returncode == 2 and 'sources.allow has "/srv/models"' in wrong.stderr


def test_a_folder_that_leads_elsewhere_by_now_is_not_read(ready, package, tmp_path):
    roots, secret = tmp_path / "roots", package(name="secret")
    mine = package(name="roots/mine", config={"model_type": "Nonsense"})
    server = Server(ready, roots)
    try:
        model_id = server.create(mine).json["model_id"]
        assert server.settled(model_id)["model_status"] == "failed"
        mine.rename(roots / "away")
        mine.symlink_to(secret)
        retried = server.ask("POST", f"/v1/default/models/{model_id}/retry", {})
        assert retried.status == 200, retried
        details = server.settled(model_id)
        assert details["failure"]["reason"] == "ModelFilesCopyFailed", details
        mine.unlink()
        mine.symlink_to(tmp_path / "nothing")
        server.ask("POST", f"/v1/default/models/{model_id}/retry", {})
        gone = server.settled(model_id)
        told = [{key: value for key, value in failure.items()
                 if key not in ("seq", "url", "causes", "event")}
                for failure in (details["failure"], gone["failure"])]
        assert told[0] == told[1], "nobody learns what is there"
        assert details["failure"]["event"]["evidence"] == gone["failure"]["event"]["evidence"]
    finally:
        assert server.stop() == 0


def test_whose_a_key_is_is_not_told_before_the_signature_was_verified(server, ready):
    pair = make_key(ready)
    for path in ("/v1/other/models", "/v1/default/credentials"):
        guess = Signer(server, pair | {"secret_key": "x" * 40}).ask("POST", path, {"a": 1})
        assert error_code(guess) == (401, "APIGW.0301") and "ann" not in guess.json["error_msg"], str(guess)
        own = Signer(server, pair).ask("POST", path, {"a": 1})
        assert error_code(own) == (403, "ModelArts.0108"), str(own)
