// The Events tab: the answer, the stages, the timeline.
import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ask, projectPath, withQuery } from "../api";
import type { LiveModel } from "../details/live-model";
import { useKeys } from "../keys";
import { order, refresh } from "../preferences";
import { route, setQuery } from "../route";
import { offset, plural, t } from "../text";
import type { EventList, ModelDetails } from "../types";
import { announce } from "../ui/announce";
import { ConnectionState } from "../ui/connection";
import { useLoad } from "../ui/load";
import { Problem, isRunning } from "../ui/parts";
import { Answer } from "./answer";
import { download } from "./download";
import { EventFilters, ViewChoices, filterOf } from "./filters";
import { EventListView } from "./list";
import { NowBox } from "./now-box";
import { Timeline, isFiltered } from "./timeline";
import { Waterfall } from "./waterfall";
import { message } from "./words";

const ATTEMPT_EVENTS = 300;

/** What the answer and the stages need: the newest attempt's events, the first of them. */
function useAttempt(live: LiveModel, model: ModelDetails) {
    const path = withQuery(projectPath(live.project, "models", live.id, "events"), {
        attempt: model.attempt,
        limit: ATTEMPT_EVENTS,
    });
    const problemsPath = withQuery(projectPath(live.project, "models", live.id, "events"), {
        attempt: model.attempt,
        event_type: "abnormal,hint",
        limit: ATTEMPT_EVENTS,
    });
    const first = useLoad((signal) => ask<EventList>("GET", path, { signal }), [path]);
    const problems = useLoad((signal) => ask<EventList>("GET", problemsPath, { signal }), [problemsPath]);
    useEffect(
        () =>
            live.subscribe((events) => {
                if (events.some((event) => event.attempt !== model.attempt)) return; // the details follow
                const list = first.data.value;
                const last = list?.events.at(-1)?.seq ?? 0;
                const fresh = events.filter((event) => event.seq > last);
                if (list) first.data.value = { ...list, events: [...list.events, ...fresh].slice(0, ATTEMPT_EVENTS) };
                else void first.again(); // what is on its way may be older
                if (!list || fresh.some((event) => event.event_type !== "normal")) void problems.again();
            }),
        [live, first, problems, model.attempt],
    );
    return { events: first.data.value?.events ?? [], problems: problems.data.value?.events ?? [] };
}

/** The event of the address, where it is not the cause that the details hold. */
function useNamed(live: LiveModel, seq: number, model: ModelDetails) {
    const held = model.failure?.event;
    const isHeld = held?.seq === seq;
    const path = withQuery(projectPath(live.project, "models", live.id, "events"), { after: seq - 1, limit: 1 });
    const found = useLoad(
        async (signal) => (seq && !isHeld ? await ask<EventList>("GET", path, { signal }) : null),
        [path, isHeld],
    );
    if (!seq || isHeld) return held;
    const event = found.data.value?.events[0];
    return event?.seq === seq ? event : undefined;
}

export function EventsTab({ live, model, seq }: { live: LiveModel; model: ModelDetails; seq: number }) {
    const page = [live.project, "models", live.id];
    const { events, problems } = useAttempt(live, model);
    const named = useNamed(live, seq, model);
    const running = isRunning(model.model_status);
    return (
        <>
            {running && <NowBox live={live} model={model} events={events} problems={problems} />}
            {named && (!running || seq > 0) && <Answer model={model} event={named} problems={problems} page={page} />}
            <details class="stages" open>
                <summary>{t(`Stages of attempt ${model.attempt}`, `第 ${model.attempt} 次尝试的各阶段`)}</summary>
                <Waterfall events={events} progress={running ? live.progress.value : undefined} />
            </details>
            <TimelineView live={live} model={model} seq={seq} problems={problems.length} page={page} />
        </>
    );
}

function useTimeline(live: LiveModel): Timeline {
    const filter = filterOf(route.value.query);
    const newest = order.value === "newest";
    const path = projectPath(live.project, "models", live.id);
    const timeline = useMemo(() => new Timeline(path, filter, newest), [path, JSON.stringify(filter), newest]);
    useEffect(() => {
        void timeline.load();
        const unsubscribe = live.subscribe((events) => timeline.take(events));
        return () => {
            unsubscribe();
            timeline.stop();
        };
    }, [timeline, live]);
    return timeline;
}

function TimelineView(props: { live: LiveModel; model: ModelDetails; seq: number; problems: number; page: string[] }) {
    const { live, model, seq, page } = props;
    const timeline = useTimeline(live);
    const search = useRef<HTMLInputElement>(null);
    const failed = useSignal<unknown>(null);
    const reasons = useComputed(() => [...new Set(timeline.pages.value.flat().map((event) => event.reason))].sort());
    useSignalEffect(() => {
        const last = timeline.pages.value.at(-1)?.at(-1);
        if (last && timeline.unseen.value > 0) announce(message(last));
    });
    useKeys({
        "/": () => search.current?.focus(),
        e: () => setQuery({ type: timeline.filter.type === "problems" ? null : "problems" }),
        f: () => (refresh.value = refresh.value === "live" ? "off" : "live"),
        r: () => void live.look(),
    });
    const save = async (as: "json" | "csv") => {
        failed.value = null;
        await download(live.project, live.id, `${model.model_name}-${model.model_version}`, as).catch(
            (error) => (failed.value = error),
        );
    };
    const shown = timeline.loaded.value;
    const filtered = isFiltered(timeline.filter);
    return (
        <section aria-label={t("Timeline", "事件列表")}>
            <EventFilters
                filter={timeline.filter}
                reasons={reasons.value}
                attempts={model.attempt}
                problems={props.problems}
                total={shown && !filtered ? timeline.total.value : -1}
                search={search}
            />
            <div class="row">
                <ViewChoices />
                <ConnectionState link={live.link.value?.state.value ?? "off"} at={live.at.value} />
                <button type="button" onClick={() => void live.look()}>
                    {t("Refresh", "刷新")}
                </button>
                <span class="grow" />
                <button type="button" class="small" onClick={() => void save("json")}>
                    {t("All as JSON", "全部导出 JSON")}
                </button>
                <button type="button" class="small" onClick={() => void save("csv")}>
                    {t("All as CSV", "全部导出 CSV")}
                </button>
            </div>
            {failed.value !== null && <Problem error={failed.value} />}
            {timeline.error.value !== null && (
                <Problem error={timeline.error.value} again={() => void timeline.load()} />
            )}
            {live.details.error.value !== null && (
                <Problem error={live.details.error.value} again={() => void live.look()} />
            )}
            <EventListView timeline={timeline} attempt={model.attempt} seq={seq} page={page} />
            <p class="quiet">
                {shown &&
                    t(
                        `${plural(timeline.total.value, "event", "events")}${filtered ? " fit the filter" : ""}`,
                        `${filtered ? "符合条件的" : "共"} ${timeline.total.value} 条事件`,
                    )}{" "}
                · {t("times", "时间")} {offset()}
            </p>
        </section>
    );
}
