// The answer, above the table: why it failed, whose turn it is, where, and what to do. It needs the
// details alone and stands before the timeline has loaded; what else is known comes to it.
import { ask, projectPath, withQuery } from "../api";
import { DifferenceLine, type Difference } from "../details/difference";
import { href } from "../route";
import { plural, t } from "../text";
import type { Event, ModelDetails } from "../types";
import { useLoad } from "../ui/load";
import { Copy, Steps, Turn } from "../ui/parts";
import { stageName } from "../ui/stages";
import { FoundExpected, SnippetView } from "./evidence";
import { advice, asMarkdown, message, place, retryNote, solution, summary } from "./words";

const DAY_MS = 24 * 3600 * 1000;

export function Answer({
    model,
    event,
    problems,
    page,
}: {
    model: ModelDetails;
    event: Event;
    problems: Event[];
    page: string[];
}) {
    const evidence = event.evidence ?? {};
    const where = place(evidence);
    const isCause = model.failure?.seq === event.seq;
    return (
        <section class={`answer answer-${event.event_type}`} aria-labelledby="answer-title">
            <div class="answer-head">
                <h2 id="answer-title">
                    {isCause ? t("Why it failed", "失败原因") : t(`Event #${event.seq}`, `事件 #${event.seq}`)}
                </h2>
                <Turn fixBy={event.fix_by} />
                <span class="quiet">{retryNote(event)}</span>
                <span class="grow" />
                <a href={href([...page, "events", event.seq])}>#{event.seq}</a>
                <Copy
                    text={[event, ...problems.filter((other) => other.seq !== event.seq)]
                        .map(asMarkdown)
                        .join("\n\n---\n\n")}
                    label={t("Copy report", "复制报告")}
                />
            </div>
            <p class="sentence">
                {summary(event) ?? message(event)}
                {isCause && <MoreCauses model={model} />}
            </p>
            <div class="answer-body">
                <div>
                    {evidence.snippet ? (
                        <SnippetView
                            snippet={evidence.snippet}
                            line={evidence.line}
                            file={evidence.file ?? evidence.path}
                        />
                    ) : (
                        where && (
                            <p>
                                <code>{where}</code> <Copy text={where} />
                            </p>
                        )
                    )}
                </div>
                <div>
                    <FoundExpected evidence={evidence} />
                    <WhatToDo event={event} />
                </div>
            </div>
            {isCause && <Others model={model} event={event} problems={problems} page={page} />}
            <div class="answer-foot">
                {isCause && <Changed model={model} page={page} />}
                <Elsewhere event={event} page={page} />
                <span class="original">
                    {t("Original", "原系统提示")}: {message(event)} {solution(event)}
                </span>
                <a href={href([page[0]!, "catalog", event.reason])}>FAQ: {event.reason}</a>
            </div>
        </section>
    );
}

function MoreCauses({ model }: { model: ModelDetails }) {
    const more = (model.failure?.causes?.length ?? 1) - 1;
    return more > 0 ? <span class="quiet"> {t(`And ${more} more.`, `另有 ${more} 个问题。`)}</span> : null;
}

function WhatToDo({ event }: { event: Event }) {
    const steps = advice(event);
    if (!steps.length) return null;
    return (
        <>
            <h3>{t("What to do", "怎么办")}</h3>
            <Steps steps={steps} />
        </>
    );
}

/** The other findings of the same attempt: all that must be mended before the next one. */
function Others({
    model,
    event,
    problems,
    page,
}: {
    model: ModelDetails;
    event: Event;
    problems: Event[];
    page: string[];
}) {
    const causes = new Set(model.failure?.causes ?? []);
    const others = problems.filter(
        (other) =>
            other.seq !== event.seq &&
            other.attempt === model.attempt &&
            other.reason !== "ImportFailed" &&
            (causes.has(other.seq) || other.event_type === "hint"),
    );
    if (!others.length) return null;
    return (
        <div class="others">
            <h3>{t("Also", "其他问题")}</h3>
            <ul class="plain-list">
                {others.map((other) => (
                    <li>
                        <a href={href([...page, "events", other.seq])}>#{other.seq}</a>{" "}
                        <code>{place(other.evidence)}</code> {summary(other) ?? message(other)}
                    </li>
                ))}
            </ul>
        </div>
    );
}

/** What is different from the time it last worked; nothing where it never did. */
function Changed({ model, page }: { model: ModelDetails; page: string[] }) {
    const path = projectPath(page[0]!, "models", model.model_id, "diff");
    const found = useLoad((signal) => ask<Difference>("GET", path, { signal }), [path, model.attempt]);
    return found.data.value ? <DifferenceLine difference={found.data.value} /> : null;
}

/** Whether others fail this way: then it is not this package. */
function Elsewhere({ event, page }: { event: Event; page: string[] }) {
    const since = Math.floor(event.occur_time / DAY_MS) * DAY_MS; // of the day, so that it is asked once
    const path = withQuery(projectPath(page[0]!, "events"), {
        reason: event.reason,
        kind: event.kind,
        since,
        limit: 1,
    });
    const found = useLoad((signal) => ask<{ model_count: number }>("GET", path, { signal }), [path]);
    if (!found.data.value || event.event_type === "normal") return null;
    const others = Math.max(0, found.data.value.model_count - 1);
    if (others === 0)
        return (
            <span>{t("Only here: no other model had this that day.", "仅此一例:当天没有其他模型出现同样问题。")}</span>
        );
    return (
        <a href={href([page[0]!, "overview"], { reason: event.reason })}>
            {t(
                `${plural(others, "other model", "other models")} had the same that day`,
                `当天另有 ${others} 个模型出现同样问题`,
            )}
        </a>
    );
}

/** "failed in check" */
export function failedIn(model: ModelDetails): string {
    const stage = model.failure?.event?.stage;
    return stage ? t(`in ${stageName(stage)}`, `(${stageName(stage)})`) : "";
}
