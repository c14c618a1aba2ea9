// The rows of a timeline: pages that are rendered anew only when they change, attempts that fold.
import { useSignal, useSignalEffect, type Signal } from "@preact/signals";
import { useCallback, useEffect, useRef } from "preact/hooks";
import { useKeys } from "../keys";
import { t } from "../text";
import type { Event } from "../types";
import { memo } from "../ui/memo";
import { Empty, Loading, Time } from "../ui/parts";
import { EventRow } from "./row";
import { isFiltered, type Timeline } from "./timeline";
import { summary } from "./words";

interface PageProps {
    events: Event[];
    newestFirst: boolean;
    /** Attempt of the row above the page's first; -1: there is none. */
    above: number;
    current: number;
    folds: boolean;
    here: number;
    page: string[];
    toggled: Signal<ReadonlySet<number>>;
    unfolded: Signal<ReadonlySet<number>>;
    endings: Signal<ReadonlyMap<number, Event>>;
    onToggle: (seq: number) => void;
    onFold: (attempt: number) => void;
}

function isProblem(event: Event): boolean {
    return event.event_type !== "normal" && event.reason !== "ImportFailed";
}

function AttemptHead({
    event,
    ending,
    open,
    onFold,
}: {
    event: Event;
    ending?: Event;
    open: boolean;
    onFold: (attempt: number) => void;
}) {
    return (
        <li class="attempt-head">
            <button type="button" aria-expanded={open} onClick={() => onFold(event.attempt)}>
                <span aria-hidden="true">{open ? "▾" : "▸"}</span>{" "}
                {t(`attempt ${event.attempt}`, `第 ${event.attempt} 次尝试`)} · <Time at={event.occur_time} />
                {ending && ` · ${ending.event_type === "abnormal" ? "✗" : "✓"} ${summary(ending) ?? ""}`}
            </button>
        </li>
    );
}

/** A head above each attempt; earlier ones are folded, where nothing is searched for. */
const Page = memo(function Page(props: PageProps) {
    const { events, newestFirst, current, toggled, unfolded, endings } = props;
    const shown = newestFirst ? [...events].reverse() : events;
    let above = props.above;
    return (
        <ol class="events-page">
            {shown.map((event) => {
                const begins =
                    event.attempt > 0 && event.attempt !== above && (above >= 0 || event.attempt !== current);
                if (event.attempt > 0) above = event.attempt;
                const isOpen =
                    !props.folds ||
                    event.attempt === current ||
                    event.attempt === 0 ||
                    unfolded.value.has(event.attempt);
                const opened = (isProblem(event) && event.attempt === current) !== toggled.value.has(event.seq);
                return (
                    <>
                        {begins && (
                            <AttemptHead
                                event={event}
                                ending={endings.value.get(event.attempt)}
                                open={isOpen}
                                onFold={props.onFold}
                            />
                        )}
                        {isOpen && (
                            <EventRow
                                key={event.seq}
                                event={event}
                                page={props.page}
                                open={opened || event.seq === props.here}
                                here={event.seq === props.here}
                                onToggle={props.onToggle}
                            />
                        )}
                    </>
                );
            })}
        </ol>
    );
});

function flip(set: Signal<ReadonlySet<number>>, value: number): void {
    const next = new Set(set.value);
    if (!next.delete(value)) next.add(value);
    set.value = next;
}

/** How each attempt ended, as far as it was loaded: what a folded one says. */
function useEndings(timeline: Timeline): Signal<ReadonlyMap<number, Event>> {
    const endings = useSignal<ReadonlyMap<number, Event>>(new Map());
    useSignalEffect(() => {
        const found = timeline.pages.value
            .flat()
            .filter((event) => event.reason === "ImportFailed" || event.reason === "ModelImported");
        if (found.length !== endings.peek().size) endings.value = new Map(found.map((event) => [event.attempt, event]));
    });
    return endings;
}

export function EventListView({
    timeline,
    attempt,
    seq,
    page,
}: {
    timeline: Timeline;
    attempt: number;
    seq: number;
    page: string[];
}) {
    const toggled = useSignal<ReadonlySet<number>>(new Set());
    const unfolded = useSignal<ReadonlySet<number>>(new Set());
    const endings = useEndings(timeline);
    const end = useRef<HTMLDivElement>(null);
    const list = useRef<HTMLDivElement>(null);
    const onToggle = useCallback((event: number) => flip(toggled, event), []);
    const onFold = useCallback((folded: number) => flip(unfolded, folded), []);
    const stablePage = useStable(page);

    useEffect(() => {
        const watcher = new IntersectionObserver(
            (entries) => entries.some((entry) => entry.isIntersecting) && void timeline.loadMore(),
            { rootMargin: "1200px" },
        );
        if (end.current) watcher.observe(end.current);
        return () => watcher.disconnect();
    }, [timeline, timeline.loaded.value, timeline.count.value]);
    useReach(timeline, seq, unfolded);
    useKeys({ j: () => moveFocus(list.current, 1), k: () => moveFocus(list.current, -1) });

    if (!timeline.loaded.value) return timeline.error.value === null ? <Loading /> : null;
    if (timeline.count.value === 0)
        return (
            <Empty>
                {isFiltered(timeline.filter)
                    ? t("No event fits the filter.", "没有符合条件的事件。")
                    : t("No event yet: the import waits for a worker.", "暂无事件:等待执行节点。")}
            </Empty>
        );
    const { newestFirst } = timeline;
    const pages = newestFirst ? [...timeline.pages.value].reverse() : timeline.pages.value;
    return (
        <div class="events" ref={list}>
            {pages.map((events, i) => {
                const neighbour = pages[i - 1];
                const last = newestFirst ? neighbour?.[0] : neighbour?.at(-1);
                return (
                    <Page
                        key={events[0]!.seq}
                        events={events}
                        newestFirst={newestFirst}
                        above={last ? last.attempt : -1}
                        current={attempt}
                        folds={!isFiltered(timeline.filter)}
                        here={events[0]!.seq <= seq && seq <= events.at(-1)!.seq ? seq : 0}
                        page={stablePage}
                        toggled={toggled}
                        unfolded={unfolded}
                        endings={endings}
                        onToggle={onToggle}
                        onFold={onFold}
                    />
                );
            })}
            <div ref={end}>{timeline.more.value && <Loading />}</div>
        </div>
    );
}

function useStable<T extends string[]>(value: T): T {
    const kept = useRef(value);
    if (kept.current.join("/") !== value.join("/")) kept.current = value;
    return kept.current;
}

/** Loads as far as the event of the address, and shows it. */
function useReach(timeline: Timeline, seq: number, unfolded: Signal<ReadonlySet<number>>): void {
    useEffect(() => {
        if (!seq || !timeline.loaded.value) return;
        void timeline.reach(seq).then(() => {
            const event = timeline.pages.value.flat().find((found) => found.seq === seq);
            if (event && !unfolded.value.has(event.attempt))
                unfolded.value = new Set([...unfolded.value, event.attempt]);
            requestAnimationFrame(() => document.getElementById(`event-${seq}`)?.scrollIntoView({ block: "nearest" }));
        });
    }, [timeline, seq, timeline.loaded.value]);
}

function moveFocus(list: HTMLElement | null, by: number): void {
    const rows = [...(list?.querySelectorAll<HTMLElement>("[data-row]") ?? [])];
    const at = rows.indexOf(document.activeElement as HTMLElement);
    const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by));
    rows[next]?.focus();
}
