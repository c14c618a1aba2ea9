// What an import does at this moment, drawn from its progress: no event, and gone when the next one
// comes, so that the timeline stays honest.
import type { LiveModel } from "../details/live-model";
import { about, ago, bytes, dateAndTime, duration, ofPair, plural, t } from "../text";
import type { Event, ModelDetails, Progress } from "../types";
import { now } from "../ui/now";
import { Bar } from "../ui/parts";
import { href } from "../route";
import { stageName } from "../ui/stages";
import { advice, message } from "./words";

const ETA_AFTER_MS = 5000;
const SILENT_MS = 15_000;

export function NowBox({
    live,
    model,
    events,
    problems,
}: {
    live: LiveModel;
    model: ModelDetails;
    events: Event[];
    problems: Event[];
}) {
    const progress = live.progress.value;
    const last = events.at(-1);
    const stage = progress?.stage ?? "queue";
    const since = progress?.since ?? model.create_at;
    return (
        <section class="answer answer-now" aria-labelledby="now-title">
            <div class="answer-head">
                <h2 id="now-title">{t("Now", "正在进行")}</h2>
                <span class="now-stage">
                    {stageName(stage)} · {duration(Math.max(0, now.value - since))}
                </span>
                <span class="grow" />
                <SoFar problems={problems} page={[live.project, "models", live.id]} />
            </div>
            {last?.reason === "SystemUpgrading" && <Maintenance event={last} />}
            {progress ? (
                <Doing progress={progress} at={live.progressAt.value} />
            ) : (
                <p class="sentence">{t("Waits for a worker.", "等待执行节点。")}</p>
            )}
        </section>
    );
}

function SoFar({ problems, page }: { problems: Event[]; page: string[] }) {
    if (!problems.length) return <span class="quiet">{t("nothing wrong so far", "目前一切正常")}</span>;
    return (
        <a href={href([...page, "events", problems[0]!.seq])}>
            {t(
                plural(problems.length, "hint or problem so far", "hints or problems so far"),
                `目前有 ${problems.length} 个提示或问题`,
            )}
        </a>
    );
}

/** It waits by itself: nobody has to do anything. */
function Maintenance({ event }: { event: Event }) {
    const until = Date.parse(String(event.evidence?.until ?? ""));
    return (
        <>
            <p class="sentence">
                {message(event)} {event.evidence?.message ? <strong>{String(event.evidence.message)}</strong> : null}
                {until > 0 && ` · ${t(`until ${dateAndTime(until)}`, `至 ${dateAndTime(until)}`)}`}
            </p>
            {advice(event).map((step) => (
                <p>{step}</p>
            ))}
        </>
    );
}

function Doing({ progress, at }: { progress: Progress; at: number }) {
    return (
        <>
            {progress.queue && <Queue queue={progress.queue} />}
            {progress.waits_for && (
                <p class="sentence">
                    {t(
                        `Waits for a build (${progress.waits_for.kind}), which is ${progress.waits_for.state}.`,
                        `等待构建任务(${progress.waits_for.kind}),状态:${progress.waits_for.state}。`,
                    )}
                </p>
            )}
            {progress.bytes_total ? <Copying progress={progress} /> : null}
            {ofPair(progress.hint, progress.hint_cn) && <p>{ofPair(progress.hint, progress.hint_cn)}</p>}
            <Heartbeat progress={progress} at={at} />
        </>
    );
}

function Queue({ queue }: { queue: NonNullable<Progress["queue"]> }) {
    return (
        <p class="sentence">
            {queue.ahead === 0
                ? t("Next in the queue.", "排在队首。")
                : t(`${queue.ahead} ahead in the queue.`, `前面还有 ${queue.ahead} 个任务。`)}{" "}
            <span class="quiet">
                {t(
                    `${queue.workers_busy} of ${queue.workers_alive} workers busy`,
                    `${queue.workers_alive} 个执行节点中 ${queue.workers_busy} 个忙碌`,
                )}
            </span>
        </p>
    );
}

function Copying({ progress }: { progress: Progress }) {
    const { bytes_done = 0, bytes_total = 1, rate, eta_ms, since } = progress;
    const percent = Math.floor((100 * bytes_done) / bytes_total);
    const settled = eta_ms !== undefined && since !== undefined && now.value - since > ETA_AFTER_MS;
    return (
        <>
            <p class="sentence">{progress.file ? <code>{progress.file}</code> : stageName(progress.stage)}</p>
            <Bar value={bytes_done} of={bytes_total} label={`${percent} %`} />
            <p>
                {percent} % · {bytes(bytes_done)} / {bytes(bytes_total)}
                {rate ? ` · ${bytes(rate)}/s` : ""}
                {settled ? ` · ${t(`${about(eta_ms!)} left`, `剩余${about(eta_ms!)}`)}` : ""}
            </p>
        </>
    );
}

function Heartbeat({ progress, at }: { progress: Progress; at: number }) {
    if (!progress.worker) return null;
    const age = (progress.heartbeat_age_ms ?? 0) + Math.max(0, now.value - at);
    const silent = age > SILENT_MS;
    return (
        <p class={silent ? "warn" : "quiet"}>
            {silent
                ? t(
                      `No sign of worker ${progress.worker} for ${duration(age)}.`,
                      `执行节点 ${progress.worker} 已 ${duration(age)} 没有响应。`,
                  )
                : t(`Worker ${progress.worker}, alive ${ago(age)}`, `执行节点 ${progress.worker},${ago(age)}有心跳`)}
        </p>
    );
}
