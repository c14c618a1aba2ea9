// The stages of an attempt, when each ran and how long it took; waiting and running apart.
import { duration, t } from "../text";
import type { Event, Progress } from "../types";
import { now } from "../ui/now";
import { stageName, stageOrder } from "../ui/stages";

export interface Span {
    stage: string;
    from: number;
    to: number;
    /** The part of it that was spent waiting for a worker. */
    waited: number;
    failed: boolean;
    running: boolean;
    cached: boolean;
    /** An event said when it ended. */
    closed: boolean;
}

/** A stage reaches from where its closing event says that it began to its last event. */
export function spansOf(events: Event[], progress?: Progress): Span[] {
    const spans = new Map<string, Span>();
    const of = (stage: string, at: number): Span => {
        let span = spans.get(stage);
        if (!span) {
            span = { stage, from: at, to: at, waited: 0, failed: false, running: false, cached: false, closed: false };
            spans.set(stage, span);
        }
        return span;
    };
    let queuedAt = 0;
    for (const event of events) {
        if (event.reason === "ImportFailed") continue; // says how the attempt ended, and is no stage's work
        const span = of(event.stage, event.occur_time);
        const waited = event.reason === "ImportStarted" ? Number(event.evidence?.waited_ms ?? 0) : 0;
        span.from = Math.min(span.from, event.occur_time - Math.max(event.duration_ms ?? 0, waited));
        span.to = Math.max(span.to, event.occur_time);
        span.closed ||= event.duration_ms !== undefined || event.stage === "queue";
        span.failed ||= event.event_type === "abnormal" || event.reason === "ModelFileAmbiguous";
        span.cached ||= event.reason === "EnvImageCacheHit" || Number(event.evidence?.reused_files ?? 0) > 0;
        span.waited += waited;
        if (event.reason === "ImageBuildStatus" && event.params.status === "queued") queuedAt = event.occur_time;
        if (event.reason === "ImageBuildStatus" && event.params.status === "running" && queuedAt)
            span.waited += event.occur_time - queuedAt;
    }
    if (progress) {
        const span = of(progress.stage, progress.since ?? now.value);
        span.running = true;
        span.to = Math.max(span.to, now.value);
    }
    const byTime = [...spans.values()].sort((a, b) => a.from - b.from);
    byTime.forEach((span, i) => {
        const next = byTime[i + 1];
        if (next && !span.closed) span.to = Math.max(span.to, next.from); // it waited for a build, say
    });
    return byTime.sort((a, b) => stageOrder(a.stage) - stageOrder(b.stage));
}

function Row({ span, begin, whole }: { span: Span; begin: number; whole: number }) {
    const x = (100 * (span.from - begin)) / whole;
    const width = Math.max(0.6, (100 * (span.to - span.from)) / whole);
    const waited = Math.min(width, (100 * span.waited) / whole);
    const kind = span.failed ? "failed" : span.running ? "running" : "done";
    const mark = span.failed ? "✗" : span.running ? "◌" : "✓";
    return (
        <tr class={`span span-${kind}`}>
            <th scope="row">
                <span aria-hidden="true">{mark}</span> {stageName(span.stage)}
            </th>
            <td class="span-bar" aria-hidden="true">
                <svg width="100%" height="12" preserveAspectRatio="none">
                    <rect class="track" x="0" y="5" width="100%" height="2" />
                    <rect class="ran" x={`${Math.min(x, 99.4)}%`} y="1" width={`${width}%`} height="10" rx="2" />
                    {waited > 0 && <rect class="wait" x={`${x}%`} y="1" width={`${waited}%`} height="10" rx="2" />}
                </svg>
            </td>
            <td class="number">{duration(span.to - span.from)}</td>
            <td class="quiet">
                {span.waited >= 1 &&
                    span.waited < span.to - span.from + 1 &&
                    t(`waited ${duration(span.waited)}`, `等待 ${duration(span.waited)}`)}
                {span.cached && ` ${t("cached", "已缓存")}`}
            </td>
        </tr>
    );
}

export function Waterfall({ events, progress }: { events: Event[]; progress?: Progress }) {
    const spans = spansOf(events, progress);
    if (!spans.length) return null;
    const begin = Math.min(...spans.map((span) => span.from));
    const whole = Math.max(1, Math.max(...spans.map((span) => span.to)) - begin);
    return (
        <table class="waterfall">
            <caption class="offscreen">{t("Stages and how long they took", "各阶段及耗时")}</caption>
            <tbody>
                {spans.map((span) => (
                    <Row key={span.stage} span={span} begin={begin} whole={whole} />
                ))}
            </tbody>
        </table>
    );
}
