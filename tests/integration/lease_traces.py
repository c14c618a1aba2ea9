"""What workers really did with the leases of a store, as the database saw it, and whether that is a run of
tests/model/leases.pml. Nothing of the program is needed: triggers of the test write the trace."""
import collections
import subprocess

MODEL = "tests/model/leases.pml"

# Each worker has a login of its own, so that the database knows who writes, and not only who holds the lease.
TRIGGERS = """
CREATE TABLE trace (seq BIGSERIAL, tx BIGINT DEFAULT txid_current(), who TEXT DEFAULT session_user,
                    at BIGINT DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
                    model TEXT, attempt BIGINT, what TEXT, old_state TEXT, state TEXT, old_leases BIGINT,
                    leases BIGINT, old_until BIGINT, until BIGINT, worker TEXT, lost BIGINT);
CREATE FUNCTION trace_jobs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO trace(model, attempt, what, old_state, state, old_leases, leases, old_until, until, worker, lost)
  VALUES (NEW.model_id, NEW.attempt, NEW.kind, CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state,
          CASE WHEN TG_OP = 'UPDATE' THEN OLD.leases END, NEW.leases,
          CASE WHEN TG_OP = 'UPDATE' THEN OLD.lease_until END, NEW.lease_until, NEW.worker, NEW.lost);
  RETURN NULL; END $$;
CREATE FUNCTION trace_attempts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO trace(model, attempt, what, old_state, state)
  VALUES (NEW.model_id, NEW.attempt, 'attempt', OLD.outcome || coalesce(' ' || OLD.image_digest, ''),
          NEW.outcome || coalesce(' ' || NEW.image_digest, ''));
  RETURN NULL; END $$;
CREATE TRIGGER trace AFTER INSERT OR UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION trace_jobs();
CREATE TRIGGER trace AFTER UPDATE OF outcome, image_digest ON attempts FOR EACH ROW EXECUTE FUNCTION trace_attempts();
"""
# Of table jobs. A new column is of one or of the other.
TRACED = {"model_id", "attempt", "kind", "state", "leases", "lease_until", "worker", "lost"}
UNTRACED = {"id", "cache_key", "waits_for", "cancelled_by", "created_at", "served", "held_in", "home"}
COLUMNS = ("seq", "tx", "who", "at", "model", "attempt", "what", "old_state", "state", "old_leases", "leases",
           "old_until", "until", "worker", "lost")
Row = collections.namedtuple("Row", COLUMNS)
NUMBERS = {"seq", "tx", "at", "attempt", "old_leases", "leases", "old_until", "until", "lost"}


def read(ask):
    """The trace by attempt, in the order of its rows. ask(SQL): lines."""
    attempts = collections.defaultdict(list)
    for line in ask(f"SELECT {', '.join(COLUMNS)} FROM trace ORDER BY seq"):
        values = dict(zip(COLUMNS, line.split("|")))
        row = Row(**{key: (int(value) if value else None) if key in NUMBERS else value
                     for key, value in values.items()})
        attempts[row.model, row.attempt].append(row)
    return attempts


def transactions(rows):
    """[[what -> its first row before, its last row after], …], each where its last row is: until then other
    statements could still write to what it had not yet locked."""
    together = collections.defaultdict(list)
    for row in rows:
        together[row.tx].append(row)
    for of_one in sorted(together.values(), key=lambda of_one: of_one[-1].seq):
        changes = {}
        for row in of_one:
            first = changes.get(row.what, row)
            changes[row.what] = row._replace(old_state=first.old_state, old_leases=first.old_leases,
                                             old_until=first.old_until, at=first.at)
        yield of_one[0].who, changes


class Replay:
    """The model's steps of one attempt."""

    JOBS = {"import": "IMPORT", "image-build": "BUILD"}

    def __init__(self, rows):
        self.steps, self.workers, self.holds = [], {}, {}
        self.tokens = {"IMPORT": 0, "BUILD": 0}
        for who, changes in transactions(rows):
            self.of_transaction(who, changes)

    def add(self, *steps):
        self.steps += steps

    def of_transaction(self, who, changes):
        attempt = changes.pop("attempt", None)
        changes = {self.JOBS[what]: row for what, row in changes.items()}
        before = len(self.steps)
        new = {job: row for job, row in changes.items() if not row.old_state}
        taken = {job: row for job, row in changes.items() if row.old_state and row.leases != row.old_leases}
        moved = {job: row for job, row in changes.items() if row.old_state and row.state != row.old_state}
        if taken:
            [(job, row)] = taken.items()
            self.takes(who, job, row)
        elif new.keys() == {"IMPORT"}:
            self.add("attempt_begins()", "job_insert(IMPORT)")
        elif moved:
            self.commits(who, moved, new, attempt)
        elif changes:
            [(job, row)] = changes.items()
            if row.until != row.old_until:
                self.keeps(who, job, row)
        elif attempt:
            self.add(f"image_record({self.worker(who)})")
        if len(self.steps) > before:
            self.add(*(f"assert(jobs[{job}].state == {row.state} && jobs[{job}].leases == {row.leases} && "
                       f"(jobs[{job}].until == null) == {'false' if row.until else 'true'} && "
                       f"jobs[{job}].lost == {'true' if row.lost else 'false'})"
                       for job, row in changes.items()))

    def worker(self, who):
        return self.workers.setdefault(who, len(self.workers))

    def takes(self, who, job, row):
        w = self.worker(who)
        if row.state == "done":
            self.add("build_end()")
            return
        held = self.holds.pop(w, None)
        if held and held[2] != row.worker:  # another process of the same node
            self.add(f"worker_killed({w})")
        elif held and self.tokens[held[0]] != held[1]:
            self.add(f"fenced({w})", f"tag_mend({w})", f"if :: workers[{w}].underway -> tag_put({w}) :: else fi",
                     f"work_lost({w})")
        elif held:
            self.add(f"workers[{w}].at = leaves", f"lease_end_fails({w})")
        if row.old_until and row.old_until < row.at:  # by the clock of the database
            self.add(f"if :: jobs[{job}].until == ahead -> lease_expires({job}) :: else fi")
        self.add(f"lease_take({w}, {job})", f"job_claim({w})")
        self.tokens[job] = row.leases
        self.holds[w] = (job, row.leases, row.worker)

    def commits(self, who, moved, new, attempt):
        w = self.worker(who)
        states = {job: row.state for job, row in moved.items()}
        if attempt and attempt.state.startswith("imported"):
            self.add(f"stage_finish({w})")
        elif attempt:
            self.add(f"stage_fails({w})", f"attempt_fail({w})")
        elif states == {"IMPORT": "parked"} and "BUILD" in new:
            self.add(f"hand_over({w})")
        elif states == {"BUILD": "done", "IMPORT": "queued"}:
            self.add(f"tag_send({w})", f"tag_put({w})", f"tag_read({w})", f"build_finish({w})")
        elif set(states.values()) == {"queued"} and len(states) == 1:
            self.add(f"stage_stops({w}, true, 0)", f"job_give_back({w})")
        else:
            raise AssertionError(f"no step of the model does that: {moved}")

    def keeps(self, who, job, row):
        w = self.worker(who)
        if row.until:
            self.add(f"workers[{w}].read_job = {job}", f"workers[{w}].read_token = {row.leases}", f"lease_renew({w})")
        else:
            self.add(f"lease_end({w})")
            self.holds.pop(w, None)


def refused(root, where, attempts):
    """Whether some attempt is no run of the model: (its number, the step that is not possible); None: all are."""
    where.mkdir()
    replays = [Replay(rows) for rows in attempts]
    workers = max(len(replay.workers) for replay in replays)
    program = ["#define REPLAY", f"#define N {max(workers, 2)}", "#define FAULTS 200", f'#include "{root / MODEL}"']
    program += ["active proctype replay() {"]
    # A step that is not possible blocks: an end that is none.
    for number, replay in enumerate(replays):
        for step in replay.steps:
            program.append(f'    printf("STEP {number} {step}\\n"); {step};')
    program += ["}"]
    (where / "replay.pml").write_text("\n".join(program))
    subprocess.run(["spin", "-a", "replay.pml"], cwd=where, check=True, capture_output=True, timeout=60)
    subprocess.run(["gcc", "-w", "-DSAFETY", "-DMEMLIM=512", "-o", "pan", "pan.c"], cwd=where, check=True,
                   capture_output=True, timeout=120)
    found = subprocess.run(["./pan", "-m1000000"], cwd=where, capture_output=True, text=True, timeout=60).stdout
    if "errors: 0" in found:
        return None
    assert "errors: 1" in found, found
    # It runs in one way only, so that a simulation stops at the same step.
    told = subprocess.run(["spin", "-T", "replay.pml"], cwd=where, capture_output=True, text=True, timeout=60).stdout
    last = [line.split(None, 2) for line in told.splitlines() if line.strip().startswith("STEP")][-1]
    return int(last[1]), last[2]
