// The events behind a picture: of a reason, of a stage, or how the imports of a day ended; each row
// leads to its place in the model's timeline.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, projectPath, withQuery } from "../api";
import { useKeys } from "../keys";
import { href } from "../route";
import { duration, ofPair, plural, t } from "../text";
import type { Event } from "../types";
import { useLoad } from "../ui/load";
import { Empty, Loading, Problem, Time, TypeMark } from "../ui/parts";
import { stageName } from "../ui/stages";
import { DaysChoice, daysOf } from "./data";

interface ProjectEvent extends Event {
    model_id: string;
    model_name: string;
    model_version: string;
}

interface Page {
    total_count: number;
    model_count: number;
    next?: string;
    events: ProjectEvent[];
}

const PAGE_ROWS = 50;
const DAY_MS = 24 * 3600 * 1000;

interface Wanted {
    title: string;
    search: Record<string, string | number>;
    /** Of the address, without how far back. */
    query: Record<string, string>;
    day?: string;
    outcome?: string;
    reason?: string;
}

/** What the address asks for. A day is one of UTC's. */
function wantedOf(query: URLSearchParams, days: number): Wanted {
    const [day, reason, stage] = [query.get("day"), query.get("reason"), query.get("stage")];
    const start = day ? Date.parse(`${day}T00:00:00Z`) : NaN;
    const since = `${days * 24}h`;
    if (day && !Number.isNaN(start)) {
        const outcome = query.get("outcome") === "imported" ? "imported" : "failed";
        return {
            title:
                outcome === "failed"
                    ? t(`Imports that failed on ${day}`, `${day} 失败的导入`)
                    : t(`Imports that worked on ${day}`, `${day} 成功的导入`),
            search: {
                reason: outcome === "failed" ? "ImportFailed" : "ModelImported",
                since: start,
                until: start + DAY_MS - 1,
            },
            query: { day },
            day,
            outcome,
        };
    }
    if (stage)
        return {
            title: t(
                `Stage ${stageName(stage)} of the last ${days} days`,
                `最近 ${days} 天的“${stageName(stage)}”阶段`,
            ),
            search: { stage, event_type: "normal", since },
            query: { stage },
        };
    return {
        title: t(`${reason} in the last ${days} days`, `最近 ${days} 天的 ${reason}`),
        search: { reason: reason ?? "", since },
        query: { reason: reason ?? "" },
        reason: reason ?? undefined,
    };
}

export function EventRows({ project, query }: { project: string; query: URLSearchParams }) {
    const days = daysOf(query);
    const wanted = wantedOf(query, days);
    const path = withQuery(projectPath(project, "events"), { ...wanted.search, limit: PAGE_ROWS });
    const first = useLoad((signal) => ask<Page>("GET", path, { signal }), [path]);
    useKeys({ r: () => void first.again() });
    const page = first.data.value;
    return (
        <div class="page">
            <p>
                <a href={href([project, "overview"], { days: String(days) })}>← {t("Overview", "概览")}</a>
            </p>
            <div class="row">
                <h1>{wanted.title}</h1>
                <span class="grow" />
                {wanted.reason && <a href={href([project, "catalog", wanted.reason])}>FAQ</a>}
                {wanted.day ? (
                    <Outcomes project={project} wanted={wanted} days={days} />
                ) : (
                    <DaysChoice project={project} days={days} query={wanted.query} />
                )}
            </div>
            {first.error.value !== null && <Problem error={first.error.value} again={() => void first.again()} />}
            {!page && first.error.value === null && <Loading />}
            {page && page.events.length === 0 && (
                <Empty>
                    <p>{t("There is none. What was deleted is left out.", "没有记录(已删除的模型不计入)。")}</p>
                </Empty>
            )}
            {page && page.events.length > 0 && <Rows key={path} project={project} path={path} first={page} />}
        </div>
    );
}

function Outcomes({ project, wanted, days }: { project: string; wanted: Wanted; days: number }) {
    const choices = [
        ["failed", t("✗ failed", "✗ 失败")],
        ["imported", t("✓ imported", "✓ 成功")],
    ] as const;
    return (
        <nav class="choice" aria-label={t("Outcome", "结果")}>
            {choices.map(([outcome, label]) => (
                <a
                    class="button"
                    href={href([project, "overview"], { ...wanted.query, outcome, days: String(days) })}
                    aria-current={outcome === wanted.outcome ? "true" : undefined}
                >
                    {label}
                </a>
            ))}
        </nav>
    );
}

function Rows({ project, path, first }: { project: string; path: string; first: Page }) {
    const pages = useSignal<Page[]>([first]);
    const error = useSignal<unknown>(null);
    useEffect(() => {
        pages.value = [first];
    }, [first]);
    const next = pages.value[pages.value.length - 1]!.next;
    const more = async () => {
        try {
            const page = await ask<Page>("GET", `${path}&cursor=${encodeURIComponent(next!)}`);
            pages.value = [...pages.value, page];
            error.value = null;
        } catch (failed) {
            error.value = failed;
        }
    };
    const events = pages.value.flatMap((page) => page.events);
    const timed = events.some((event) => event.duration_ms !== undefined);
    return (
        <>
            <p class="quiet" role="status">
                {t(
                    `${plural(first.total_count, "event", "events")} of ${plural(first.model_count, "model", "models")}, the newest first`,
                    `${first.model_count} 个模型的 ${first.total_count} 个事件,最新的在前`,
                )}
            </p>
            <table class="cards event-rows">
                <thead>
                    <tr>
                        <th scope="col">{t("Time", "时间")}</th>
                        <th scope="col">{t("Model", "模型")}</th>
                        <th scope="col">{t("Type", "类型")}</th>
                        <th scope="col">{t("Event", "事件")}</th>
                        {timed && (
                            <th scope="col" class="number">
                                {t("Took", "耗时")}
                            </th>
                        )}
                    </tr>
                </thead>
                <tbody>
                    {events.map((event) => (
                        <Row key={event.event_id} project={project} event={event} timed={timed} />
                    ))}
                </tbody>
            </table>
            {error.value !== null && <Problem error={error.value} />}
            {next && (
                <button type="button" onClick={() => void more()}>
                    {t("Older ones", "更早的事件")}
                </button>
            )}
        </>
    );
}

function Row({ project, event, timed }: { project: string; event: ProjectEvent; timed: boolean }) {
    const model = [project, "models", event.model_id];
    const message = ofPair(event.event_info, event.event_info_cn);
    const summary = ofPair(event.summary, event.summary_cn);
    return (
        <tr>
            <td>
                <Time at={event.occur_time} />
            </td>
            <th scope="row">
                <a href={href(model)}>
                    {event.model_name} {event.model_version}
                </a>
            </th>
            <td>
                <TypeMark type={event.event_type} />
            </td>
            <td class="what">
                <a href={href([...model, "events", event.seq])}>{summary ?? message}</a>
                {summary && <span class="quiet">{message}</span>}
            </td>
            {timed && (
                <td class="number" data-label={t("Took", "耗时")}>
                    {event.duration_ms === undefined ? "–" : duration(event.duration_ms)}
                </td>
            )}
        </tr>
    );
}
