// One event of the timeline: a line, and unfolded everything it rests on.
import { memo } from "../ui/memo";
import { href } from "../route";
import { bytes, duration, plural, t } from "../text";
import type { Event } from "../types";
import { Copy, Time, TypeMark, Steps } from "../ui/parts";
import { stageName } from "../ui/stages";
import { EvidenceView } from "./evidence";
import { advice, asMarkdown, asText, message, place, solution, summary } from "./words";

export interface RowProps {
    event: Event;
    page: string[];
    open: boolean;
    here: boolean;
    onToggle: (seq: number) => void;
}

/** "53 KiB in 3 files", of an event that says how much. */
function amountOf(event: Event): string {
    const { size, bytes: copied, files, from, to } = (event.evidence ?? {}) as Record<string, unknown>;
    const amount = typeof size === "number" ? size : copied;
    if (event.event_type !== "normal" || typeof amount !== "number") return from && to ? `${from} → ${to}` : "";
    return typeof files === "number"
        ? t(`${bytes(amount)} in ${plural(files, "file", "files")}`, `${bytes(amount)},${files} 个文件`)
        : bytes(amount);
}

/** What a line says behind the original's message. */
function Gist({ event, page }: { event: Event; page: string[] }) {
    if (event.cause !== undefined)
        return (
            <a class="gist" href={href([...page, "events", event.cause])}>
                {t(`cause: #${event.cause}`, `原因:#${event.cause}`)}
            </a>
        );
    const where = event.event_type === "normal" ? "" : place(event.evidence);
    if (where) return <code class="gist">{where}</code>;
    const amount = amountOf(event);
    return amount ? <span class="gist quiet">{amount}</span> : null;
}

function Took({ event }: { event: Event }) {
    return <span class="took">{event.duration_ms !== undefined ? duration(event.duration_ms) : ""}</span>;
}

function Details({ event, page }: { event: Event; page: string[] }) {
    const steps = advice(event);
    return (
        <div class="event-details">
            {summary(event) && <p class="summary">{summary(event)}</p>}
            <EvidenceView evidence={event.evidence} page={page} />
            {steps.length > 0 && <Steps steps={steps} />}
            {solution(event) && (
                <p>
                    <span class="quiet">{t("Solution", "解决方法")}:</span> {solution(event)}
                </p>
            )}
            <div class="event-links">
                <a href={href([...page, "events", event.seq])}>#{event.seq}</a>
                <a href={href([page[0]!, "catalog", event.reason])}>
                    {event.reason}
                    {event.kind ? ` · ${event.kind}` : ""} · FAQ
                </a>
                {event.actor && <span class="quiet">{t(`by ${event.actor}`, `操作者:${event.actor}`)}</span>}
                <span class="grow" />
                <Copy
                    text={`${location.href.split("#")[0]}${href([...page, "events", event.seq])}`}
                    label={t("Copy link", "复制链接")}
                />
                <Copy text={asText(event)} label={t("Copy text", "复制文本")} />
                <Copy text={asMarkdown(event)} label={t("Copy Markdown", "复制 Markdown")} />
                <Copy text={JSON.stringify(event, null, 2)} label={t("Copy JSON", "复制 JSON")} />
            </div>
        </div>
    );
}

export const EventRow = memo(function EventRow({ event, page, open, here, onToggle }: RowProps) {
    const quiet = event.reason === "ImageBuildStatus";
    return (
        <li
            id={`event-${event.seq}`}
            class={`event event-${event.event_type}${here ? " here" : ""}${quiet ? " event-status" : ""}`}
        >
            <button
                type="button"
                class="event-line"
                data-row={event.seq}
                aria-expanded={open}
                onClick={() => onToggle(event.seq)}
            >
                <TypeMark type={event.event_type} />
                <Time at={event.occur_time} />
                <span class="stage">{stageName(event.stage)}</span>
                <span class="message">{message(event)}</span>
            </button>
            <Gist event={event} page={page} />
            <span class="solution">{solution(event) ?? ""}</span>
            <Took event={event} />
            {open && <Details event={event} page={page} />}
        </li>
    );
});
