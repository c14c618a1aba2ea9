/* Leases of a store on a server, and the tag that a worker puts into the registry: one attempt, its
 * import job and its build job, N workers. tests/integration/test_model_leases.py verifies it, and
 * has real runs go through it (REPLAY).
 *
 * Names are the code's: store/leases.c, store/jobs.c, import/run.c, import/tags.c,
 * import/image_build.c. A step is one transaction (those that write exclude each other), one
 * statement, or one request.
 *
 * Each taking of the build makes another image, called by its token: the worst case.
 *
 * At most FAULTS things go wrong: a pause, a kill, a lease that runs out though its holder lives, a
 * COMMIT without an answer, a stop, a stage that fails, an attempt that seems interrupted. Worker 0
 * goes on in the end; others may be gone for good.
 *
 * ATTENDANT   the threads that renew leases are processes of their own
 * AGAIN       an attempt that failed is followed by another one, once
 * ABORTED     a request that was given up may be taken by the registry, however late
 * CHECK_READ, CHECK_STOP   what is asserted besides, where it stands
 *
 * What is taken away to see the harm: NO_FENCE, NO_EXPIRY, NO_LOOK (tags_look), NO_MEND (tag_mend by
 * who is fenced), TRIES. Faults that the code had: OLD_TAKE_AWAY (jobs_take_away left the tokens),
 * OLD_BEGIN (leases began, and were ended, before the commit of their taking), OLD_RENEW (what was
 * given back was renewed), OLD_PUT (a tag was put again by who had lost the lease, too), OLD_LOOK
 * (tags_look knew of lost leases only), OLD_STOP (the loss of a lease was not noted under held_lock, nor
 * forgotten with the end of the lease). */
#ifndef N
#define N 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef TRIES
#define TRIES 3
#endif
#ifdef OLD_BEGIN
#define held(w) (works(w) || workers[w].at == leaves || workers[w].at == claims)
#define UNDONE  leaves
#else
#define held(w) (works(w) || workers[w].at == leaves) /* note_held */
#define UNDONE  idle
#endif
#ifdef OLD_STOP
#define mended false
#else
#define mended true
#endif
#define NOBODY 15
#define IMPORT 0
#define BUILD  1

mtype:state = { absent, queued, running, parked, done }
mtype:until = { null, over, ahead } /* lease_until, by the database's clock */
mtype:next = { idle, claims, hands_over, records, puts, reads, finishes_build, finishes, gives_back,
               fails, mends, mended_it, leaves }

typedef Job {
    mtype:state state;
    mtype:until until;
    byte leases;             /* the token of who took it last */
    byte holder;             /* who took it last: what the token is to tell */
    bool lost                /* jobs.lost > 0 */
};
typedef Worker {
    mtype:next at;           /* what it does next */
    byte job, token, tries;
    bool up, gone;           /* not up: paused, or killed for good */
    bool found, lost;        /* the attendant found another token; service->lost and progress.stop */
    byte underway;           /* the image whose tag was sent, and not taken yet; 0: none */
    byte read_job, read_token /* what lease_renew read of held_job, held_token; 0: nothing */
};
Job jobs[2];
Worker workers[N];
byte writer = NOBODY;        /* who has the lock of the whole store, between two steps */
byte faults = FAULTS;
byte recorded, tag;          /* attempts.image_digest; what the registry has under the version */
byte late, looked;           /* tags under way: of who is gone; of tags_look */
bool built, imported;        /* stage `build` is closed; the attempt ended well */
bool again;                  /* it is the next attempt */
byte closings;               /* how often it was ended */
byte at;                     /* a counter */

#define W workers[w]
#define J jobs[W.job]
#define claimable(j) ((jobs[j].state == queued || jobs[j].state == running) && jobs[j].until != ahead)
#define works(w)     (workers[w].at != idle && workers[w].at != claims && workers[w].at != mends && \
                      workers[w].at != mended_it && workers[w].at != leaves)
#define renews(w, j) (workers[w].up && held(w) && workers[w].job == j && workers[w].token == jobs[j].leases)
#define can(step)    (W.up && W.at == step && writer == NOBODY)
#define holds(w)     (J.leases == W.token)
#ifdef NO_FENCE
#define is_ours true
#else
#define is_ours holds(w)
#endif

/* Only who took the job last commits for it, and nothing once it has ended. */
#define COMMIT(what) assert(J.holder == w); assert(J.state != done); what
/* `then` goes on; who is fenced mends the tag. A COMMIT without an answer may be done or not, and its
 * worker gives the job back; what a trace has was done. */
#ifdef REPLAY
#define unanswered false
#define TRANSACTION(what, then, broken) is_ours; COMMIT(what); W.at = then
#else
#define unanswered faults
#define TRANSACTION(what, then, broken) \
    if \
    :: !is_ours -> W.at = mends \
    :: is_ours -> COMMIT(what); W.at = then \
    :: is_ours && unanswered -> faults--; COMMIT(what); W.at = broken \
    :: unanswered -> faults--; W.at = broken \
    fi
#endif

inline attempt_begins() {
    atomic {
        for (at : 0 .. N - 1) { workers[at].at = idle; workers[at].up = true; workers[at].lost = false;
                               workers[at].found = false; workers[at].underway = 0; workers[at].read_token = 0 };
        for (at : IMPORT .. BUILD) {
            jobs[at].state = absent; jobs[at].until = null; jobs[at].leases = 0;
            jobs[at].holder = NOBODY; jobs[at].lost = false
        };
        at = 0; writer = NOBODY; faults = FAULTS; recorded = 0; tag = 0; late = 0; looked = 0;
        built = false; imported = false; closings = 0
    }
}
inline job_insert(j) { atomic { jobs[j].state == absent -> jobs[j].state = queued } }
inline attempt_end() {
    closings++; assert(closings == 1);
    jobs[IMPORT].state = done; jobs[BUILD].state = (jobs[BUILD].state == absent -> absent : done);
    recorded = (imported -> recorded : 0) /* of a failed attempt no image counts */
}
/* Within job_claim's transaction. */
inline lease_take(w, j) {
    atomic { can(idle) && claimable(j) ->
#ifdef CHECK_STOP
        assert(!W.lost && !W.found); /* nobody stops for the loss of what he held before */
#endif
        W.lost = false; /* import_work returned, and is called again */
        writer = w; W.job = j; W.token = jobs[j].leases + 1; W.at = claims }
}
inline claimed(w) {
    J.lost = J.lost || J.state == running;
    J.leases = W.token; J.until = ahead; J.holder = w; J.state = running; writer = NOBODY
}
inline job_claim(w) {
    atomic { W.up && W.at == claims ->
        if
        :: writer == w -> claimed(w);
            W.at = (W.job == BUILD -> records : (built -> finishes : hands_over))
        :: writer == w && unanswered -> faults--; claimed(w); W.at = UNDONE
        :: writer == w && unanswered -> faults--; writer = NOBODY; W.at = UNDONE
        :: writer != w -> W.at = UNDONE /* it was paused, and rolled back by the server (PAUSED_MS) */
        fi }
}
inline lease_end(w) {
    atomic { can(leaves) -> W.at = idle; W.lost = W.lost && !mended;
        if
        :: holds(w) -> J.until = null; assert(J.holder == w) /* nobody's lease is ended by another */
        :: else
        fi }
}
/* The database cannot be reached: the lease runs out by itself. */
inline lease_end_fails(w) {
    atomic { can(leaves) && faults -> faults--; W.at = idle; W.lost = W.lost && !mended }
}
/* A request that is given up: the registry may have it all the same. */
inline aborted(w) {
#ifdef ABORTED
    tag = (W.underway && late -> late : tag); late = (W.underway -> W.underway : late);
#endif
    W.underway = 0
}
/* Who lost his lease, or was told to stop. What he has sent he may not wait for. */
inline stage_stops(w, why, costs) {
    atomic { W.up && works(w) && why -> faults = faults - costs; W.at = gives_back; aborted(w) }
}
inline stage_fails(w) {
    atomic { W.up && faults && (W.at == hands_over || W.at == records || W.at == reads || W.at == finishes) ->
             faults--; W.at = fails; aborted(w) }
}
/* The job is another's: what the transaction says, where a trace has nothing of it. He lets go of the
 * lease with it (lease_end, which then writes nothing). */
inline fenced(w) { atomic { W.up && works(w) && !is_ours -> W.at = mends } }
inline hand_over(w) {
    atomic { can(hands_over) ->
             TRANSACTION(jobs[IMPORT].state = parked; jobs[BUILD].state = queued, leaves, gives_back) }
}
inline image_record(w) {
    atomic { can(records) -> W.tries = 0; TRANSACTION(recorded = W.token, puts, gives_back) }
}
/* image_repository_tag. The registry asks for no token, and may take what it is sent when the sender
 * is paused or dead. */
inline tag_send(w) {
    atomic { W.up && W.at == puts -> W.underway = W.token; W.tries++; W.at = reads }
}
inline tag_put(w) { atomic { W.underway -> tag = W.underway; W.underway = 0 } }
#ifdef OLD_PUT
#define is_ours_still true
#else
#define is_ours_still is_ours
#endif
/* Who finds another's puts his own again, while the job is his. */
inline tag_read(w) {
    atomic { W.up && W.at == reads && !W.underway ->
        W.at = (tag == W.token -> finishes_build :
                (W.tries == TRIES -> fails : (is_ours_still -> puts : mends)));
        W.tries = (W.at == puts -> W.tries : 0);
#ifdef CHECK_READ
        assert(W.at != fails || !is_ours) /* no late tag of a former worker ends the import */
#endif
    }
}
inline build_finish(w) {
    atomic { can(finishes_build) ->
             TRANSACTION(built = true; jobs[BUILD].state = done; jobs[IMPORT].state = queued,
                         leaves, gives_back) }
}
inline stage_finish(w) {
    atomic { can(finishes) -> TRANSACTION(imported = true; attempt_end(), leaves, gives_back) }
}
inline attempt_fail(w) { atomic { can(fails) -> TRANSACTION(attempt_end(), leaves, gives_back) } }
inline job_give_back(w) {
    atomic { can(gives_back) ->
        if
        :: J.state == running -> TRANSACTION(J.state = queued, leaves, leaves)
        :: else -> W.at = (is_ours -> leaves : mends)
        fi }
}
#define amiss (recorded && tag != recorded)
#ifdef NO_MEND
#define is_mended false
#else
#define is_mended amiss
#endif
/* What it read of the store may be old when the registry takes the tag. */
inline tag_mend(w) {
    atomic { W.up && W.at == mends -> W.underway = (is_mended -> recorded : 0); W.at = mended_it }
}
inline work_lost(w) {
    atomic { W.up && W.at == mended_it && !W.underway -> W.lost = false; W.at = idle }
}
#define lost(j) (jobs[j].state == done && jobs[j].lost)
#ifdef OLD_LOOK
#define is_looked_at (lost(IMPORT) || lost(BUILD))
#else
#define is_looked_at (lost(IMPORT) || lost(BUILD) || again || \
                      jobs[BUILD].state == done && jobs[BUILD].leases > 1)
#endif
/* Each minute until an hour after the last event; what is put later nobody looks at: as NO_LOOK. Of
 * a next attempt also before it ends, for the jobs of the one before. */
inline tags_look() { atomic { amiss && !looked && is_looked_at -> looked = recorded } }
inline lease_expires(j) { atomic { jobs[j].until == ahead -> jobs[j].until = over } }
/* Its transaction is rolled back. What it sent to the registry stays under way. */
inline worker_killed(w) {
    atomic { W.at = idle; W.found = false; W.lost = false; W.read_token = 0; writer = (writer == w -> NOBODY : writer);
             tag = (W.underway && late -> late : tag); late = (W.underway -> W.underway : late);
             W.underway = 0 }
}
inline held_read(w) {
    atomic { W.up && held(w) && !W.read_token && !W.found -> W.read_job = W.job; W.read_token = W.token }
}
/* The row's own lock: who waits for it then sees what was committed. */
inline lease_renew(w) {
    atomic { W.up && W.read_token && (writer == NOBODY || jobs[W.read_job].leases != W.read_token) ->
        if
#ifdef OLD_RENEW
        :: jobs[W.read_job].leases == W.read_token ->
#else
        :: jobs[W.read_job].leases == W.read_token && jobs[W.read_job].until != null ->
#endif
            assert(jobs[W.read_job].until != null); /* what nobody holds is not leased */
            jobs[W.read_job].until = ahead
        :: else ->
            if
            :: held(w) && W.job == W.read_job && W.token == W.read_token ->
                W.lost = W.lost || mended; W.found = !mended;
                assert(!holds(w) && writer != w) /* what is said to be lost is another's */
            :: else
            fi
        fi; W.read_token = 0 }
}
/* watch_renew: without held_lock, and he may hold another lease by now. */
inline lost_said(w) { atomic { W.up && W.found -> W.found = false; W.lost = true } }
/* unscheduled.c: a build that nobody takes; job_seize, then the end of all. */
inline build_end() {
    atomic { writer == NOBODY && jobs[IMPORT].state == parked && claimable(BUILD) ->
             jobs[BUILD].lost = jobs[BUILD].lost || jobs[BUILD].state == running; /* job_note_lost */
             jobs[BUILD].leases++; jobs[BUILD].holder = NOBODY; jobs[BUILD].until = ahead; attempt_end() }
}
inline taken_away(j) {
    if
    :: jobs[j].state != absent && jobs[j].state != done ->
        jobs[j].leases++; jobs[j].holder = NOBODY; jobs[j].lost = true; jobs[j].until = null
    :: else
    fi
}
/* Its process's session was cut, and with it its attendance. */
inline submit_interrupted() {
    atomic { faults && writer == NOBODY && jobs[IMPORT].state != done && jobs[IMPORT].until != ahead &&
             jobs[BUILD].until != ahead -> faults--;
#ifndef OLD_TAKE_AWAY
        taken_away(IMPORT); taken_away(BUILD);
#endif
        attempt_end() }
}
/* The next attempt has jobs of its own. That its tokens go on tells its images from those before;
 * whoever still works on a former job finds it another's, as he does there. */
inline submit_again() {
    atomic { !again && jobs[IMPORT].state == done && !imported -> again = true;
        for (at : IMPORT .. BUILD) {
            jobs[at].lost = false; jobs[at].until = null; jobs[at].leases++; jobs[at].holder = NOBODY;
            jobs[at].state = (at == IMPORT -> queued : absent)
        };
        at = 0; built = false; closings = 0 }
}

#ifndef REPLAY
proctype worker(byte w) {
end: do
    :: lease_take(w, IMPORT) :: lease_take(w, BUILD) :: job_claim(w)
    :: lease_end(w) :: lease_end_fails(w)
    :: hand_over(w) :: image_record(w) :: tag_send(w) :: tag_read(w) :: build_finish(w)
    :: stage_finish(w) :: attempt_fail(w) :: job_give_back(w) :: tag_mend(w) :: work_lost(w)
    :: stage_stops(w, W.lost, 0) :: stage_stops(w, faults, 1) :: stage_fails(w)
    od
}
proctype attendant(byte w) {
end: do
    :: held_read(w) :: lease_renew(w) :: lost_said(w)
    od
}

#if N > 2
#define EACH(what) what(0) what(1) what(2)
#define renewed(j) (renews(0, j) || renews(1, j) || renews(2, j))
#else
#define EACH(what) what(0) what(1)
#define renewed(j) (renews(0, j) || renews(1, j))
#endif
#define IS_TAKEN(w) :: tag_put(w)
/* What comes in the end. */
proctype time() {
end: do
#ifndef NO_EXPIRY
    :: atomic { !renewed(IMPORT) && jobs[IMPORT].until == ahead -> lease_expires(IMPORT) }
    :: atomic { !renewed(BUILD) && jobs[BUILD].until == ahead -> lease_expires(BUILD) }
#endif
    :: atomic { writer != NOBODY && !workers[writer].up -> writer = NOBODY }
    :: atomic { !workers[0].up -> workers[0].up = true }
    EACH(IS_TAKEN)
    :: atomic { late -> tag = late; late = 0 }
#ifndef NO_LOOK
    :: tags_look()
    :: atomic { looked -> tag = looked; looked = 0 }
#endif
    od
}
#define HARM(w) \
    :: atomic { faults && workers[w].up -> faults--; workers[w].up = false } \
    :: atomic { !workers[w].up && !workers[w].gone -> workers[w].up = true } \
    :: atomic { faults && !workers[w].gone && workers[w].at != idle -> faults--; worker_killed(w); \
                if :: w > 0 -> workers[w].up = false; workers[w].gone = true :: workers[w].up = true fi }
proctype harm() {
    do
    EACH(HARM)
    :: atomic { faults && jobs[IMPORT].until == ahead -> faults--; lease_expires(IMPORT) }
    :: atomic { faults && jobs[BUILD].until == ahead -> faults--; lease_expires(BUILD) }
    :: build_end()
    :: submit_interrupted()
#ifdef AGAIN
    :: submit_again()
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
