"""waybill store copy: SQLite to PostgreSQL and back, every row compared."""
import json
import os

import pytest

from postgres import database, postgres_server  # noqa: F401
from serving import Server
from test_postgres import served  # noqa: F401


def dump(waybill):
    """What the store tells, but for the times at which it was asked."""
    return [waybill.run(*command, check=True).stdout for command in
            (["models", "--json"], ["events", "m", "--json"], ["show", "m", "--json"], ["runtime", "list", "--json"])]


def test_a_store_goes_to_postgresql_and_back(ready, package, database, tmp_path):  # noqa: F811
    ready.run("import", package(), "--name", "m", check=True)
    ready.run("import", package({"model/config.json": "{"}), "--name", "n")
    ready.run("token", "create", "--user", "a", "--role", "writer", check=True)
    before = dump(ready)
    done = json.loads(ready.run("store", "copy", "--to", database, "--json", check=True).stdout)
    assert done["tables"]["models"] == 2 and done["rows"] > 40
    ready.environment["WAYBILL_STORE_URL"] = database
    assert dump(ready) == before
    ready.run("import", package({"model/y.bin": "y"}), "--name", "o", check=True)  # numbers go on
    after = dump(ready)
    ready.environment.pop("WAYBILL_STORE_URL")
    back = tmp_path / "back.db"
    ready.run("store", "copy", "--from", database, "--to", f"sqlite:{back}", check=True)
    for path in ready.data.glob("waybill.db*"):
        path.unlink()
    back.rename(ready.data / "waybill.db")
    assert dump(ready) == after
    ready.run("import", package({"model/z.bin": "z"}), "--name", "p", check=True)


def test_a_copy_goes_to_an_empty_store_only(ready, served, package):  # noqa: F811
    refused = ready.run("store", "copy", "--to", served.environment["WAYBILL_STORE_URL"])
    assert refused.returncode == 2 and "runtimes has 1 rows" in refused.stderr, refused


@pytest.mark.parametrize("arguments, words", [
    (["copy"], "--to"), (["move", "--to", "sqlite:/x"], "expected copy"),
    (["copy", "--from", "sqlite:/nowhere/x", "--to", "sqlite:/y"], "not there"),
    (["copy", "--to", "http://x"], "sqlite:PATH")])
def test_a_copy_that_cannot_be_is_refused(ready, arguments, words):
    refused = ready.run("store", *arguments)
    assert refused.returncode in (2, 3) and words in refused.stderr, refused


def test_a_store_in_use_is_not_copied(ready, database, tmp_path):  # noqa: F811
    server = Server(ready, tmp_path)
    try:
        for arguments in ([], ["--from", f"sqlite:{ready.data}/waybill.db"],
                          ["--from", f"sqlite:{os.path.relpath(ready.data)}/waybill.db"]):
            refused = ready.run("store", "copy", *arguments, "--to", database)
            assert refused.returncode == 3 and "in use" in refused.stderr, refused
    finally:
        assert server.stop() == 0
