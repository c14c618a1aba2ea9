// One model as it is now: its details, how far its import is, and its new events, by a stream, by looking
// every few seconds, or when asked, as the person chose.
import { effect, signal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ask, projectPath, withQuery } from "../api";
import { openLink, type Link } from "../live";
import { refresh } from "../preferences";
import type { Event, EventList, ModelDetails, Progress } from "../types";
import { useLoad, type Loaded } from "../ui/load";

const SETTLE_MS = 250;
const PAGE_EVENTS = 1000;

export interface LiveModel {
    project: string;
    id: string;
    details: Loaded<ModelDetails>;
    progress: Signal<Progress | undefined>;
    /** When the progress came. */
    progressAt: Signal<number>;
    link: Signal<Link | null>;
    /** When it was last known that nothing is newer. */
    at: Signal<number>;
    /** Takes new events, in order, each once; the way out of it. */
    subscribe: (take: (events: Event[]) => void) => () => void;
    /** Looks now. */
    look: () => Promise<void>;
}

class Follower {
    readonly progress = signal<Progress | undefined>(undefined);
    readonly progressAt = signal(0);
    readonly link = signal<Link | null>(null);
    readonly at = signal(0);
    private readonly takers = new Set<(events: Event[]) => void>();
    private settle?: ReturnType<typeof setTimeout>;
    private timer?: ReturnType<typeof setInterval>;
    private stopEffect?: () => void;
    private seen = -1;
    private looking: Promise<void> | null = null;

    constructor(
        private readonly path: string,
        private readonly details: Loaded<ModelDetails>,
    ) {}

    subscribe(take: (events: Event[]) => void): () => void {
        this.takers.add(take);
        return () => this.takers.delete(take);
    }

    /** Begins behind what the details know. */
    start(): void {
        const begun = effect(() => {
            const details = this.details.data.value;
            if (!details) return;
            if (this.seen < 0) {
                this.seen = details.last_event?.seq ?? 0;
                queueMicrotask(() => this.follow());
            }
            this.progress.value = details.progress;
            this.progressAt.value = this.at.value = this.details.at.value;
        });
        const asked = this.stopEffect;
        this.stopEffect = () => {
            begun();
            asked?.();
        };
    }

    private follow(): void {
        const stop = effect(() => {
            this.unlink();
            const how = refresh.value;
            if (how === "live") this.link.value = this.open();
            else if (how !== "off") this.timer = setInterval(() => void this.look(), Number(how) * 1000);
        });
        const before = this.stopEffect;
        this.stopEffect = () => {
            before?.();
            stop();
        };
    }

    private open(): Link {
        return openLink({
            url: () => withQuery(`${this.path}/events/stream`, { after: this.seen }),
            take: (name, data) => {
                const object = JSON.parse(data);
                if (name === "progress") {
                    this.progress.value = object as Progress;
                    this.progressAt.value = Date.now();
                } else this.take([object as Event]);
                this.at.value = Date.now();
            },
            peek: () => void this.look(),
        });
    }

    private unlink(): void {
        clearInterval(this.timer);
        this.link.peek()?.close();
        this.link.value = null;
    }

    /** What was seen already is passed over: a stream and a look may bring the same. */
    private take(events: Event[]): void {
        const fresh = events.filter((event) => event.seq > this.seen);
        if (!fresh.length) return;
        this.seen = fresh[fresh.length - 1]!.seq;
        for (const take of this.takers) take(fresh);
        clearTimeout(this.settle);
        this.settle = setTimeout(() => void this.details.again(), SETTLE_MS);
    }

    look(): Promise<void> {
        this.looking ??= this.lookNow().finally(() => (this.looking = null));
        return this.looking;
    }

    private async lookNow(): Promise<void> {
        await this.details.again();
        if (this.details.error.peek() !== null || this.seen < 0) return;
        for (let full = true; full;) {
            const list = await ask<EventList>(
                "GET",
                withQuery(`${this.path}/events`, { after: this.seen, limit: PAGE_EVENTS }),
            );
            this.take(list.events);
            full = list.events.length === PAGE_EVENTS;
        }
        this.at.value = Date.now();
    }

    stop(): void {
        this.stopEffect?.();
        this.unlink();
        clearTimeout(this.settle);
    }
}

export function useLiveModel(project: string, id: string): LiveModel {
    const path = projectPath(project, "models", id);
    const details = useLoad((signal) => ask<ModelDetails>("GET", path, { signal }), [path]);
    const follower = useMemo(() => new Follower(path, details), [path, details]);
    useEffect(() => {
        follower.start();
        return () => follower.stop();
    }, [follower]);
    return useMemo(
        () => ({
            project,
            id,
            details,
            progress: follower.progress,
            progressAt: follower.progressAt,
            link: follower.link,
            at: follower.at,
            subscribe: (take) => follower.subscribe(take),
            look: () => follower.look(),
        }),
        [follower],
    );
}
