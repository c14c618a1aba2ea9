// The part of a timeline that is shown: pages of events that fit the filter, more of them as they are
// scrolled to, new ones as they come. seq is dense, so that a gap is seen and filled.
import { batch, computed, signal } from "@preact/signals";
import { ask, withQuery } from "../api";
import type { Event, EventList } from "../types";

const PAGE_EVENTS = 100;
const MOST_EVENTS = 1000;

type Query = Record<string, string | number | null>;

export interface Filter {
    /** "", "problems", or an event type. */
    type: string;
    stage: string;
    reason: string;
    text: string;
    attempt: number;
}

export function typesOf(type: string): string {
    return type === "problems" ? "abnormal,hint" : type;
}

export function isFiltered(filter: Filter): boolean {
    return !!(filter.type || filter.stage || filter.reason || filter.text || filter.attempt);
}

/** As the server decides it. */
export function fits(event: Event, filter: Filter): boolean {
    return (
        (!filter.type || typesOf(filter.type).split(",").includes(event.event_type)) &&
        (!filter.stage || event.stage === filter.stage) &&
        (!filter.reason || event.reason === filter.reason) &&
        (!filter.attempt || event.attempt === filter.attempt) &&
        (!filter.text || event.event_info.includes(filter.text) || event.event_info_cn.includes(filter.text))
    );
}

export function filterQuery(filter: Filter): Query {
    return {
        event_type: typesOf(filter.type),
        stage: filter.stage,
        reason: filter.reason,
        event_info: filter.text,
        attempt: filter.attempt || null,
    };
}

export class Timeline {
    /** Ascending, as are the events in each. A page that does not change stays the same object. */
    readonly pages = signal<Event[][]>([]);
    readonly total = signal(0);
    /** Whether there are more on the side that is scrolled to. */
    readonly more = signal(false);
    readonly loaded = signal(false);
    readonly error = signal<unknown>(null);
    readonly count = computed(() => this.pages.value.reduce((sum, page) => sum + page.length, 0));
    /** Events that came while the other end is looked at. */
    readonly unseen = signal(0);
    private lastSeq = 0;
    private waiting: Event[] = [];
    private busy: Promise<void> | null = null;
    private readonly abort = new AbortController();

    constructor(
        private readonly path: string,
        readonly filter: Filter,
        readonly newestFirst: boolean,
    ) {}

    private ask(query: Query): Promise<EventList> {
        return ask<EventList>("GET", withQuery(`${this.path}/events`, { ...filterQuery(this.filter), ...query }), {
            signal: this.abort.signal,
        });
    }

    /** One after the other; what fails is kept in `error`. */
    private run(work: () => Promise<void>): Promise<void> {
        const before = this.busy ?? Promise.resolve();
        const mine = before.then(async () => {
            if (this.abort.signal.aborted) return;
            try {
                await work();
                this.error.value = null;
            } catch (failed) {
                if (!this.abort.signal.aborted) this.error.value = failed;
            }
        });
        this.busy = mine;
        return mine;
    }

    load(): Promise<void> {
        return this.run(async () => {
            const order = this.newestFirst ? "desc" : "asc";
            const list = await this.ask({ order, limit: PAGE_EVENTS });
            batch(() => {
                const events = this.newestFirst ? list.events.reverse() : list.events;
                this.pages.value = events.length ? [events] : [];
                this.total.value = list.total_count;
                this.more.value = list.total_count > list.count;
                this.lastSeq = list.last_seq;
                this.loaded.value = true;
            });
            const waiting = this.waiting;
            this.waiting = [];
            await this.addNew(waiting);
        });
    }

    /** The next page on the side that is scrolled to. */
    loadMore(limit = PAGE_EVENTS): Promise<void> {
        return this.run(async () => {
            if (!this.more.value) return;
            const pages = this.pages.value;
            const query: Query = this.newestFirst
                ? { before: pages[0]?.[0]?.seq ?? null, order: "desc" }
                : { after: pages.at(-1)?.at(-1)?.seq ?? 0, order: "asc" };
            const list = await this.ask({ ...query, limit });
            const cut: Event[][] = [];
            const events = this.newestFirst ? list.events.reverse() : list.events;
            for (let at = 0; at < events.length; at += PAGE_EVENTS) cut.push(events.slice(at, at + PAGE_EVENTS));
            batch(() => {
                this.pages.value = this.newestFirst ? [...cut, ...pages] : [...pages, ...cut];
                this.more.value = list.total_count > list.count;
                if (!this.more.value && !this.newestFirst) this.unseen.value = 0;
            });
        });
    }

    /** Loads on until the event is there, or cannot be. */
    async reach(seq: number): Promise<void> {
        const missing = () => {
            const first = this.pages.value[0]?.[0]?.seq ?? Infinity;
            const last = this.pages.value.at(-1)?.at(-1)?.seq ?? 0;
            return this.newestFirst ? seq < first : seq > last;
        };
        while (this.loaded.value && this.more.value && missing() && this.error.value === null)
            await this.loadMore(MOST_EVENTS);
    }

    /** New events, in order. */
    take(events: Event[]): void {
        if (!this.loaded.value) {
            this.waiting.push(...events);
            return;
        }
        void this.run(() => this.addNew(events));
    }

    private async addNew(events: Event[]): Promise<void> {
        const fresh = events.filter((event) => event.seq > this.lastSeq);
        if (!fresh.length) return;
        const gap = fresh[0]!.seq > this.lastSeq + 1;
        if (gap) {
            const list = await this.ask({ after: this.lastSeq, before: fresh[0]!.seq, limit: MOST_EVENTS });
            this.append(list.events);
        }
        this.append(fresh.filter((event) => fits(event, this.filter)));
        this.lastSeq = fresh.at(-1)!.seq;
    }

    private append(events: Event[]): void {
        if (!events.length) return;
        batch(() => {
            this.total.value += events.length;
            this.unseen.value += events.length;
            if (!this.newestFirst && this.more.value) return; // they come when they are scrolled to
            const pages = [...this.pages.value];
            const last = pages.at(-1);
            if (last && last.length + events.length <= PAGE_EVENTS) pages[pages.length - 1] = [...last, ...events];
            else pages.push(events);
            this.pages.value = pages;
        });
    }

    stop(): void {
        this.abort.abort();
    }
}
