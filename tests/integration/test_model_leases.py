"""The protocol of leases and fencing: what its model shows (spin), and that real runs are runs of the model."""
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import lease_traces
import pytest
from conftest import ROOT, wait_for
from nodes import PROJECTS
from postgres import postgres, postgres_server  # noqa: F401
from radosgw import rgw  # noqa: F401
from test_nodes import nodes_at, sources  # noqa: F401

SAFE = "-DSAFETY -DNOCLAIM", ""
LIVE = "-DNFAIR=4", "-a -f -N "  # weakly fair: whoever could go on at last does
ENDS, TAGGED = ((LIVE[0], LIVE[1] + claim) for claim in ("ends", "tagged"))
VERIFICATIONS = {
    # Who commits holds the newest token, an attempt ends once, nobody ends or renews another's lease; and no
    # late tag ends another's build.
    "fencing": ("-DFAULTS=3 -DCHECK_READ", SAFE),
    "fencing, 3 workers": ("-DN=3 -DFAULTS=1 -DCHECK_READ", SAFE),
    "fencing, with attendants": ("-DATTENDANT -DFAULTS=1", SAFE),
    "every job ends": ("", ENDS),
    "the tag is the store's digest": ("-DAGAIN -DABORTED", TAGGED),
    "the tag is the store's digest, by tags_look alone": ("-DNO_MEND -DABORTED", TAGGED),
    "fencing, with attendants, and the next attempt": ("-DATTENDANT -DAGAIN -DABORTED -DFAULTS=1", SAFE),
    "nobody stops for what he held before": ("-DATTENDANT -DCHECK_STOP -DFAULTS=1", SAFE),
}
LARGE = {"fencing", "every job ends", "the tag is the store's digest",
         "fencing, with attendants, and the next attempt"}
# That the properties can fail.
HOLDER, OPEN, CYCLE = r"holder==w", r"job\].state!=", "acceptance cycle"
BROKEN = {
    "no fence": ("-DNO_FENCE", SAFE, HOLDER),
    "no expiry": ("-DNO_EXPIRY", ENDS, CYCLE),
    "no tags_look": ("-DNO_LOOK", TAGGED, CYCLE),
    "no tag_mend either": ("-DNO_LOOK -DNO_MEND -DFAULTS=1", TAGGED, CYCLE),
    "once: what was ended by another is gone on with": ("-DOLD_TAKE_AWAY", SAFE, OPEN),
    "once: a token that was rolled back ends another's lease": ("-DOLD_BEGIN", SAFE, HOLDER),
    "once: what is being taken is said to be lost": ("-DOLD_BEGIN -DATTENDANT", SAFE, r"writer!=w"),
    "once: a lease is renewed that was given back": ("-DOLD_RENEW -DATTENDANT", SAFE, r"until!="),
    "once: a late tag ends another's build": ("-DTRIES=1 -DCHECK_READ -DFAULTS=1", SAFE, r"at!="),
    "once: two put their tags in turn": ("-DOLD_PUT -DCHECK_READ", SAFE, r"at!="),
    "once: a late tag of who gave the job back": ("-DOLD_LOOK -DABORTED -DFAULTS=1", TAGGED, CYCLE),
    "once: the loss of a former lease stopped the next": (
        "-DOLD_STOP -DATTENDANT -DCHECK_STOP -DFAULTS=1", SAFE, r"\.found"),
}


def verify(where, name, variant, how, optimized):
    """What pan says of it."""
    directory = where / re.sub(r"\W+", "-", name)
    directory.mkdir()

    def run(*command):
        done = subprocess.run(("nice", *command), cwd=directory, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout
    run("spin", "-a", *variant.split(), ROOT / lease_traces.MODEL)
    run("gcc", optimized, "-w", *how[0].split(), "-o", "pan", "pan.c")
    began = time.monotonic()
    said = run("./pan", "-m100000", *how[1].split())
    states = re.search(r"(\d+) states, stored", said)
    print(f"{name}: {states and states[1]} states, {time.monotonic() - began:.1f} s")
    return said


@pytest.fixture(scope="session")
def verified(tmp_path_factory):
    """What pan says of each, while other tests wait for servers: a function of its name."""
    where = tmp_path_factory.mktemp("models")
    with ThreadPoolExecutor(2) as threads:
        said = {name: threads.submit(verify, where, name, *of[:2], "-O1" if name in LARGE else "-O0")
                for table in (VERIFICATIONS, BROKEN) for name, of in table.items()}
        yield lambda name: said[name].result()


# -- real runs --

LEASE_SECONDS = 2
IMPORTS = 20
JOB_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_name = 'jobs'"


def with_logins(nodes):
    """Workers of it reach the database by names of their own."""
    plain = nodes.node

    def node(name):
        nodes.sql(f"CREATE ROLE {name} SUPERUSER LOGIN")
        made = plain(name)
        url = made.environment["WAYBILL_STORE_URL"]
        made.environment["WAYBILL_STORE_URL"] = url.replace("//postgres@", f"//{name}@")
        return made
    nodes.node = node


def freeze_at_work(nodes, worker):
    """Stops it where it holds the lease of a running job, outside of a transaction: (that job, its token)."""
    name = worker.waybill.wire.where.name

    def held():
        return nodes.sql(f"SELECT id, leases FROM jobs WHERE state = 'running' AND worker LIKE '%/{worker.process.pid}' "
                         f"AND lease_until > extract(epoch FROM clock_timestamp()) * 1000 AND NOT EXISTS "
                         f"(SELECT 1 FROM pg_stat_activity WHERE usename = '{name}' AND state <> 'idle')")

    def frozen():
        worker.signal(signal.SIGSTOP)
        found = held()
        time.sleep(0.1)  # what it had sent before is done by then
        if found and found == held():
            return found
        worker.signal(signal.SIGCONT)
        time.sleep(0.005)
        return None
    return wait_for(frozen)[0].split("|")


def test_real_runs_are_runs_of_the_model(verified, nodes_at, sources, postgres, tmp_path):  # noqa: F811
    nodes = nodes_at(1, 0, server=postgres, lease_seconds=LEASE_SECONDS)
    assert set(nodes.sql(JOB_COLUMNS)) == lease_traces.TRACED | lease_traces.UNTRACED
    nodes.sql(lease_traces.TRIGGERS)
    with_logins(nodes)
    addresses = sources(IMPORTS)
    models = [nodes.submit(nodes.apis[0], PROJECTS[number % 3], address, f"m{number}")
              for number, address in enumerate(addresses)]
    killed, paused = nodes.add_worker(), nodes.add_worker()
    jobs = [freeze_at_work(nodes, killed)]
    killed.kill()
    jobs.append(freeze_at_work(nodes, paused))
    killed.start()
    for job, token in jobs:  # another has taken it meanwhile
        wait_for(lambda: nodes.sql(f"SELECT 1 FROM jobs WHERE id = {job} AND leases > {token}"), 60)
    paused.signal(signal.SIGCONT)
    nodes.wait_for_all(60)
    nodes.assert_whole(models)

    traces = list(lease_traces.read(nodes.sql).values())
    assert len(traces) == IMPORTS
    assert lease_traces.refused(ROOT, tmp_path / "real", traces) is None
    [model] = nodes.sql(f"SELECT model_id FROM jobs WHERE id = {jobs[1][0]}")
    resumed = next(rows for rows in traces if rows[0].model == model)
    for number, (doctored, step) in enumerate((
            (taken_twice(resumed, expired=False), r"lease_take\("), (taken_twice(resumed, expired=True), r"assert\(.*leases =="),
            (late_commit(resumed), r"(stage_finish|hand_over|tag_send|build_finish)\("))):
        found = lease_traces.refused(ROOT, tmp_path / f"doctored{number}", [doctored])
        assert found and re.match(step, found[1]), (found, doctored)


def taken_twice(rows, expired):
    """Two have the same token: one took it while the lease of the other ran, or when it had run out."""
    claim = [row for row in rows if row.tx == next(row.tx for row in rows if row.lost)]
    until = claim[-1].until
    again = [row._replace(who="another", worker="another", tx=-1, at=until + 1 if expired else row.at + 1, old_until=until)
             for row in claim]
    after = rows.index(claim[-1]) + 1
    return rows[:after] + again + rows[after:]


def late_commit(rows):
    """What was committed under a lease: by who had the one before."""
    holder = {}
    for at, row in enumerate(rows):
        if not row.old_state or row.leases == row.old_leases:
            continue
        if holder.setdefault(row.what, row.who) != row.who:
            break
    commit = next(later for later in rows[at:] if later.what == row.what and later.old_state == "running" != later.state)
    return [each._replace(who=holder[row.what]) if each.tx == commit.tx else each for each in rows]


# -- what was verified meanwhile --

def test_the_model_holds(verified):
    for name in VERIFICATIONS:
        said = verified(name)
        assert "errors: 0" in said and "not completed" not in said and "too small" not in said, (name, said)


def test_what_is_broken_is_found(verified):
    for name, (*_, how) in BROKEN.items():
        said = verified(name)
        assert "errors: 1" in said and re.search(rf"pan:1: .*{how}", said), (name, said)
