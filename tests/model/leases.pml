/* Leases of a store on a server, and the tag that a worker puts into the registry: one attempt, its
 * import job and its build job, N workers. tests/integration/test_model_leases.py verifies it, and
 * has real runs go through it (REPLAY).
 *
 * Names are the code's: store/leases.c, store/jobs.c, import/run.c, import/image_build.c. A step is
 * one transaction (those that write exclude each other), one statement, or one request.
 *
 * Each taking of the build makes another image, called by its token: the worst case. A late tag of
 * an earlier attempt does the same harm as one of an earlier taking.
 *
 * At most FAULTS things go wrong: a pause, a kill, a lease that runs out though its holder lives, a
 * COMMIT without an answer, a stop. Worker 0 goes on in the end; others may be gone for good.
 *
 * NO_FENCE     nobody asks whether the token is still the job's
 * NO_EXPIRY    a lease of who died stays
 * REPAIR       who looks whether the tag is the store's digest: 0 nobody; 1 who committed the end of
 *              the import, once; 2 and who put a tag and then finds himself fenced; 3 and somebody
 *              later, again and again
 * CHECK_END, CHECK_READ, CHECK_RENEW, CHECK_LOST   what is asserted besides, where it stands
 * ATTENDANT    the threads that renew leases are processes of their own
 * INTERRUPTED  somebody submits the model again when nobody seems to work on it
 * MENDED       with what mends the faults of the code that these and the CHECK_s show */
#ifndef N
#define N 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef REPAIR
#define REPAIR 0
#endif
#ifdef MENDED
#define mended true
#else
#define mended false
#endif
#define NOBODY 15
#define IMPORT 0
#define BUILD  1

mtype:state = { absent, queued, running, parked, done }
mtype:until = { null, over, ahead } /* lease_until, by the database's clock */
mtype:next = { idle, claims, hands_over, records, puts, waits, finishes_build, finishes, gives_back,
               fails, repairs, leaves }

typedef Job {
    mtype:state state;
    mtype:until until;
    byte leases;             /* the token of who took it last */
    byte holder              /* who took it last: what the token is to tell */
};
typedef Worker {
    mtype:next at;           /* what it does next */
    byte job, token;
    bool up, gone;           /* not up: paused, or killed for good */
    bool lost;               /* the attendant found another token */
    byte underway;           /* the image whose tag was sent, and not taken yet; 0: none */
    byte read_job, read_token /* what lease_renew read of held_job, held_token; 0: nothing */
};
Job jobs[2];
Worker workers[N];
byte writer = NOBODY;        /* who has the lock of the whole store, between two steps */
byte faults = FAULTS;
byte recorded, tag;          /* attempts.image_digest; what the registry has under the version */
bool built, imported;        /* stage `build` is closed; the attempt ended well */
byte closings;               /* how often it was ended */
byte at;                     /* a counter */

#define W workers[w]
#define J jobs[W.job]
#define claimable(j) ((jobs[j].state == queued || jobs[j].state == running) && jobs[j].until != ahead)
#define noted(w)     (workers[w].at != idle && workers[w].at != leaves) /* note_held */
#define renews(w, j) (workers[w].up && noted(w) && workers[w].job == j && workers[w].token == jobs[j].leases)
#define can(step)    (W.up && W.at == step && writer == NOBODY)
#ifdef NO_FENCE
#define is_ours true
#else /* mended: who ends what he does not hold moves no token on, but what has ended is nobody's */
#define is_ours (J.leases == W.token && (!mended || J.state != done))
#endif

/* Only who took the job last commits for it, and nothing once it has ended. */
#define COMMIT(what) assert(J.holder == w); assert(J.state != done); what
/* `then` goes on; `fenced` does when it is another's. A COMMIT without an answer may be done or not;
 * what a trace has was done. */
#ifdef REPLAY
#define unanswered false
#define TRANSACTION(what, then, fenced) is_ours; COMMIT(what); W.at = then
#else
#define unanswered faults
#define TRANSACTION(what, then, fenced) \
    if \
    :: !is_ours -> W.at = fenced \
    :: is_ours -> COMMIT(what); W.at = then \
    :: is_ours && unanswered -> faults--; COMMIT(what); W.at = leaves \
    :: unanswered -> faults--; W.at = leaves \
    fi
#endif

inline attempt_begins() {
    atomic {
        for (at : 0 .. N - 1) { workers[at].at = idle; workers[at].up = true; workers[at].lost = false;
                               workers[at].underway = 0; workers[at].read_token = 0 };
        for (at : IMPORT .. BUILD) {
            jobs[at].state = absent; jobs[at].until = null; jobs[at].leases = 0; jobs[at].holder = NOBODY
        };
        at = 0; writer = NOBODY; faults = FAULTS; recorded = 0; tag = 0;
        built = false; imported = false; closings = 0
    }
}
inline job_insert(j) { atomic { jobs[j].state == absent -> jobs[j].state = queued } }
inline attempt_end() {
    closings++; assert(closings == 1);
    jobs[IMPORT].state = done; jobs[BUILD].state = (jobs[BUILD].state == absent -> absent : done)
}
/* Within job_claim's transaction; the token is noted before the commit. */
inline lease_take(w, j) {
    atomic { can(idle) && claimable(j) ->
             writer = w; W.job = j; W.token = jobs[j].leases + 1; W.at = claims }
}
inline claimed(w) { J.leases = W.token; J.until = ahead; J.holder = w; J.state = running; writer = NOBODY }
inline job_claim(w) {
    atomic { W.up && W.at == claims ->
        if
        :: writer == w -> claimed(w);
            W.at = (W.job == BUILD -> records : (built -> finishes : hands_over))
        :: writer == w && unanswered -> faults--; claimed(w); W.at = leaves
        :: writer == w && unanswered -> faults--; writer = NOBODY; W.at = leaves
        :: writer != w -> W.at = leaves /* it was paused, and rolled back by the server (PAUSED_MS) */
        fi }
}
/* By the token alone, and one that was rolled back is given again. mended: none is given twice. */
inline lease_end(w) {
    atomic { can(leaves) -> W.at = idle; W.lost = false;
        if
        :: J.leases == W.token && (!mended || J.holder == w) -> J.until = null;
#ifdef CHECK_END
            assert(J.holder == w) /* nobody's lease is ended by another */
#endif
        :: else
        fi }
}
/* The database cannot be reached: the lease runs out by itself. */
inline lease_end_fails(w) { atomic { can(leaves) && faults -> faults--; W.at = idle; W.lost = false } }
/* Told by the attendant, or by who stops the worker. */
inline stage_stops(w, why, costs) {
    atomic { W.up && noted(w) && W.at != claims && W.at != repairs && why ->
             faults = faults - costs; W.at = gives_back }
}
inline stage_fails(w) {
    atomic { W.up && faults && (W.at == hands_over || W.at == records || W.at == finishes) ->
             faults--; W.at = fails }
}
/* The job is another's: what the transaction says, where a trace has nothing of it. */
inline fenced(w) { atomic { W.up && noted(w) && !is_ours -> W.at = leaves } }
inline hand_over(w) {
    atomic { can(hands_over) ->
             TRANSACTION(jobs[IMPORT].state = parked; jobs[BUILD].state = queued, leaves, leaves) }
}
inline image_record(w) { atomic { can(records) -> TRANSACTION(recorded = W.token, puts, leaves) } }
/* The registry asks for no token, and may take what it is sent when the sender is paused or dead. */
inline tag_send(w) { atomic { W.up && W.at == puts -> W.underway = W.token; W.at = waits } }
inline tag_put(w) { atomic { W.underway -> tag = W.underway; W.underway = 0 } }
/* image_repository_tag reads it back; another's is a failure of the build. mended: it is put again. */
inline tag_read(w) {
    atomic { W.up && W.at == waits && !W.underway ->
        W.at = (tag == W.token -> finishes_build : (mended && is_ours -> puts : fails));
#ifdef CHECK_READ
        assert(W.at != fails || !is_ours) /* no late tag of a former worker ends the import */
#endif
    }
}
#define AFTER_TAG (REPAIR >= 2 -> repairs : leaves)
inline build_finish(w) {
    atomic { can(finishes_build) ->
             TRANSACTION(built = true; jobs[BUILD].state = done; jobs[IMPORT].state = queued,
                         leaves, AFTER_TAG) }
}
inline stage_finish(w) {
    atomic { can(finishes) ->
             TRANSACTION(imported = true; attempt_end(), (REPAIR >= 1 -> repairs : leaves), leaves) }
}
inline attempt_fail(w) { atomic { can(fails) -> TRANSACTION(attempt_end(), leaves, AFTER_TAG) } }
inline job_give_back(w) {
    atomic { can(gives_back) ->
        if
        :: J.state == running -> TRANSACTION(J.state = queued, leaves, leaves)
        :: else -> W.at = leaves
        fi }
}
/* The digest in the store is the truth. Before the attempt ended the tag is still to be put. */
inline tag_repair(w) { atomic { can(repairs) -> tag = (imported -> recorded : tag); W.at = leaves } }
inline lease_expires(j) { atomic { jobs[j].until == ahead -> jobs[j].until = over } }
/* Its transaction is rolled back. What it sent to the registry stays under way. */
inline worker_killed(w) {
    atomic { W.at = idle; W.lost = false; W.read_token = 0; writer = (writer == w -> NOBODY : writer) }
}
inline held_read(w) {
    atomic { W.up && noted(w) && !W.read_token -> W.read_job = W.job; W.read_token = W.token }
}
/* The row's own lock: who waits for it then sees what was committed. mended: neither what was given
 * back is leased again, nor can be lost what is still being taken. */
inline lease_renew(w) {
    atomic { W.up && W.read_token && (writer == NOBODY || jobs[W.read_job].leases != W.read_token) ->
        if
        :: jobs[W.read_job].leases == W.read_token && (!mended || jobs[W.read_job].until != null) ->
#ifdef CHECK_RENEW
            assert(jobs[W.read_job].until != null); /* what nobody holds is not leased */
#endif
            jobs[W.read_job].until = ahead
        :: else -> W.lost = W.lost || (noted(w) && W.job == W.read_job && W.token == W.read_token &&
                                       !(mended && W.at == claims));
#ifdef CHECK_LOST
            assert(!W.lost || !is_ours && writer != w) /* what is said to be lost is another's */
#endif
        fi; W.read_token = 0 }
}
/* unscheduled.c: a build that nobody takes; job_seize, then the end of all. */
inline build_end() {
    atomic { writer == NOBODY && jobs[IMPORT].state == parked && claimable(BUILD) ->
             jobs[BUILD].leases++; jobs[BUILD].holder = NOBODY; jobs[BUILD].until = null; attempt_end() }
}

#ifndef REPLAY
proctype worker(byte w) {
end: do
    :: lease_take(w, IMPORT) :: lease_take(w, BUILD) :: job_claim(w)
    :: lease_end(w) :: lease_end_fails(w)
    :: hand_over(w) :: image_record(w) :: tag_send(w) :: tag_read(w) :: build_finish(w)
    :: stage_finish(w) :: attempt_fail(w) :: job_give_back(w) :: tag_repair(w)
    :: stage_stops(w, W.lost, 0) :: stage_stops(w, faults, 1) :: stage_fails(w)
    od
}
proctype attendant(byte w) {
end: do
    :: held_read(w) :: lease_renew(w)
    od
}

#if N > 2
#define renewed(j) (renews(0, j) || renews(1, j) || renews(2, j))
#else
#define renewed(j) (renews(0, j) || renews(1, j))
#endif
/* What comes in the end. Somebody may look at the tag later. */
proctype time() {
end: do
#ifndef NO_EXPIRY
    :: atomic { !renewed(IMPORT) && jobs[IMPORT].until == ahead -> lease_expires(IMPORT) }
    :: atomic { !renewed(BUILD) && jobs[BUILD].until == ahead -> lease_expires(BUILD) }
#endif
    :: atomic { writer != NOBODY && !workers[writer].up -> writer = NOBODY }
    :: atomic { !workers[0].up -> workers[0].up = true }
    :: tag_put(0) :: tag_put(1)
#if N > 2
    :: tag_put(2)
#endif
    :: atomic { REPAIR >= 3 && imported && tag != recorded -> tag = recorded }
    od
}
#define HARM(w) \
    :: atomic { faults && workers[w].up -> faults--; workers[w].up = false } \
    :: atomic { !workers[w].up && !workers[w].gone -> workers[w].up = true } \
    :: atomic { faults && !workers[w].gone && workers[w].at != idle -> faults--; worker_killed(w); \
                if :: w > 0 -> workers[w].up = false; workers[w].gone = true :: workers[w].up = true fi }
proctype harm() {
    do
    HARM(0) HARM(1)
#if N > 2
    HARM(2)
#endif
    :: atomic { faults && jobs[IMPORT].until == ahead -> faults--; lease_expires(IMPORT) }
    :: atomic { faults && jobs[BUILD].until == ahead -> faults--; lease_expires(BUILD) }
    :: build_end()
#ifdef INTERRUPTED /* submit_interrupted: its process's session was cut, and with it its attendance */
    :: atomic { faults && writer == NOBODY && jobs[IMPORT].state != done && jobs[IMPORT].until != ahead &&
                jobs[BUILD].until != ahead -> faults--; attempt_end() }
#endif
    :: break
    od;
    do :: true -> skip od /* there is always a next moment: fairness counts in steps */
}
init {
    atomic {
        attempt_begins(); job_insert(IMPORT);
        run worker(0); run worker(1);
#if N > 2
        run worker(2);
#endif
#ifdef ATTENDANT
        run attendant(0); run attendant(1);
#endif
        run time(); run harm()
    }
}
#define ended  (jobs[IMPORT].state == done)
#define agrees (!imported || tag == recorded)
ltl ends { <> ended }
ltl tagged { <> [] agrees }
#endif
