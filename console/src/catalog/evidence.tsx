// What an event has looked at, as the catalogue's examples have it.
import { bytes, duration, t } from "../text";
import type { Evidence, HttpExchange, Snippet } from "../types";
import { Bar } from "../ui/parts";

/** Members that are a number of bytes. */
const BYTES = new Set(["over", "free", "needed", "copied", "reused"]);

export function ExampleEvidence({ evidence }: { evidence: Evidence }) {
    const apart = new Set(["snippet", "http", "line", "column", "size"]);
    if (evidence.size !== undefined) apart.add("limit");
    const rest = Object.entries(evidence).filter(([name]) => !apart.has(name));
    return (
        <div class="example">
            {evidence.snippet && <Lines snippet={evidence.snippet} line={evidence.line} />}
            {evidence.http && <Exchange http={evidence.http} />}
            <Size size={evidence.size} limit={evidence.limit} />
            <dl class="facts">
                {rest.map(([name, value]) => (
                    <>
                        <dt>{name}</dt>
                        <dd>
                            <code>{valueText(name, value)}</code>
                            {(name === "file" || name === "path") && evidence.line !== undefined && (
                                <code>
                                    :{evidence.line}
                                    {evidence.column !== undefined && `:${evidence.column}`}
                                </code>
                            )}
                        </dd>
                    </>
                ))}
            </dl>
        </div>
    );
}

function valueText(name: string, value: unknown): string {
    if (typeof value === "string") return value;
    if (typeof value === "number" && BYTES.has(name)) return bytes(value);
    if (typeof value === "number" && name.endsWith("_ms")) return duration(value);
    if (Array.isArray(value)) return value.map(itemText).join(", ");
    return JSON.stringify(value, null, 1);
}

function itemText(item: unknown): string {
    if (typeof item !== "object" || item === null) return String(item);
    const file = item as { path?: string; size?: number };
    return file.path !== undefined && file.size !== undefined ? `${file.path} (${bytes(file.size)})` : JSON.stringify(item);
}

/** The lines with a caret under what is meant. Columns count characters, from 1. */
function Lines({ snippet, line }: { snippet: Snippet; line: number | undefined }) {
    const width = String(snippet.first_line + snippet.lines.length).length;
    const text = snippet.lines.map((content, at) => {
        const numbered = `${String(snippet.first_line + at).padStart(width)} │ ${content}`;
        if (snippet.first_line + at !== line || !snippet.column) return numbered;
        const caret = " ".repeat(width) + " │ " + " ".repeat(snippet.column - 1) + "^".repeat(Math.max(1, snippet.length ?? 1));
        return `${numbered}\n${caret}`;
    });
    return (
        <pre class="snippet" tabIndex={0}>
            {text.join("\n")}
        </pre>
    );
}

function Exchange({ http }: { http: HttpExchange }) {
    return (
        <pre class="snippet" tabIndex={0}>
            {`${http.method ?? "GET"} ${http.url ?? ""}\n→ ${http.status ?? ""}${http.body ? `\n${http.body}` : ""}`}
        </pre>
    );
}

function Size({ size, limit }: { size: number | undefined; limit: number | undefined }) {
    if (size === undefined) return null;
    if (limit === undefined) return <p>{bytes(size)}</p>;
    const label = t(`${bytes(size)} of at most ${bytes(limit)}`, `${bytes(size)},上限 ${bytes(limit)}`);
    return (
        <p>
            {label} <Bar value={size} of={limit} label={label} kind={size > limit ? "bad" : ""} />
        </p>
    );
}
