"""docs/operations.md: a store in PostgreSQL is dumped first and restored last, and gc takes what came after
the dump."""
import json

from postgres import postgres_server  # noqa: F401


def test_a_dump_of_the_store_is_restored(waybill, base_layout, package, postgres_server):  # noqa: F811
    def use(url):
        waybill.environment |= {"WAYBILL_STORE_URL": url, "WAYBILL_SECURITY_SECRET_KEY": "5" * 64}
        return url

    first = use(postgres_server.create())
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    before = waybill.run("import", package(name="a"), "--json", check=True).events
    waybill.run("token", "create", "--user", "ci", "--role", "reader", check=True)
    dump = postgres_server.where / "dump"
    postgres_server.run("pg_dump", "-Fc", "-f", dump, "-d", first)
    waybill.run("import", package({"model/weights.bin": "others"}, name="b"), check=True)

    postgres_server.run("pg_restore", "--exit-on-error", "-d", use(postgres_server.create()), dump)
    models = waybill.run("models", "--json", check=True).stdout.splitlines()
    assert [json.loads(line)["model_name"] for line in models] == ["a"]
    assert waybill.run("events", "a", "--json", check=True).events == before
    # b's blobs are too many, not too few.
    waybill.run("verify", check=True)
    waybill.run("gc", check=True)
    waybill.run("verify", check=True)
    waybill.run("import", package(name="c"), check=True)
