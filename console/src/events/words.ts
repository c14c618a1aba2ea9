// Texts of events: as the API sent them, in the language of the page, and as a file to send on.
import { ofPair, t } from "../text";
import type { Event, Evidence, Finding } from "../types";

export function message(event: Finding | Event): string {
    return ofPair(event.event_info, event.event_info_cn) ?? event.reason;
}

export function summary(event: Finding | Event): string | undefined {
    return ofPair(event.summary, event.summary_cn);
}

export function solution(event: Finding | Event): string | undefined {
    return ofPair(event.solution, event.solution_cn);
}

export function advice(event: Finding | Event): string[] {
    return ofPair(event.advice, event.advice_cn) ?? [];
}

/** "model/config.json:3:17", as far as it is known. */
export function place(evidence: Evidence | undefined): string {
    const file = evidence?.file ?? evidence?.path;
    if (!file) return "";
    if (!evidence?.line) return file;
    return `${file}:${evidence.line}${evidence.column ? `:${evidence.column}` : ""}`;
}

export function retryNote(event: Finding | Event): string {
    if (event.fix_by === "wait") return "";
    if (event.retryable === undefined) return "";
    return event.retryable
        ? t("retrying may work", "重试可能成功")
        : t("retrying without a change fails again", "不做修改直接重试仍会失败");
}

function line(name: string, value: unknown): string {
    return `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`;
}

function caretLines(evidence: Evidence): string[] {
    const { snippet } = evidence;
    if (!snippet) return [];
    return snippet.lines.flatMap((text, i) => {
        const number = snippet.first_line + i;
        const shown = `${String(number).padStart(4)} | ${text}`;
        if (number !== evidence.line || !snippet.column) return [shown];
        return [shown, `     | ${" ".repeat(snippet.column - 1)}${"^".repeat(Math.max(1, snippet.length ?? 1))}`];
    });
}

export function asText(event: Event): string {
    const evidence = event.evidence ?? {};
    const where = place(evidence);
    return [
        `#${event.seq} ${new Date(event.occur_time).toISOString()} ${event.event_type} ${event.stage} ${event.reason}${event.kind ? `/${event.kind}` : ""}`,
        message(event),
        ...(where ? [where] : []),
        ...(summary(event) ? [summary(event)!] : []),
        ...caretLines(evidence),
        ...(evidence.found !== undefined ? [line(t("found", "实际"), evidence.found)] : []),
        ...(evidence.expected !== undefined ? [line(t("expected", "应为"), evidence.expected)] : []),
        ...advice(event).map((step, i) => `${i + 1}. ${step}`),
        ...(solution(event) ? [line(t("solution", "解决方法"), solution(event))] : []),
    ].join("\n");
}

export function asMarkdown(event: Event): string {
    const evidence = event.evidence ?? {};
    const where = place(evidence);
    const snippet = caretLines(evidence);
    return [
        `**${message(event)}** (\`${event.reason}${event.kind ? `/${event.kind}` : ""}\`, #${event.seq}, ${event.stage}, ${new Date(event.occur_time).toISOString()})`,
        ...(summary(event)
            ? ["", `${where && !summary(event)!.includes(where) ? `\`${where}\`: ` : ""}${summary(event)}`]
            : []),
        ...(snippet.length ? ["", "```", ...snippet, "```"] : []),
        ...(advice(event).length ? ["", ...advice(event).map((step, i) => `${i + 1}. ${step}`)] : []),
        ...(solution(event) ? ["", `> ${solution(event)}`] : []),
    ].join("\n");
}

function csvField(value: unknown): string {
    const text = value === undefined || value === null ? "" : String(value);
    // What a spreadsheet would take for a formula is text.
    const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

export function asCsv(events: Event[]): string {
    const columns = [
        "seq",
        "occur_time",
        "event_type",
        "reason",
        "kind",
        "stage",
        "attempt",
        "event_info",
        "event_info_cn",
        "summary",
        "summary_cn",
        "place",
        "solution",
        "solution_cn",
        "duration_ms",
        "actor",
    ];
    const rows = events.map((event) =>
        columns
            .map((name) => {
                if (name === "occur_time") return new Date(event.occur_time).toISOString();
                if (name === "place") return csvField(place(event.evidence));
                return csvField((event as unknown as Record<string, unknown>)[name]);
            })
            .join(","),
    );
    return `\ufeff${[columns.join(","), ...rows].join("\r\n")}\r\n`;
}
