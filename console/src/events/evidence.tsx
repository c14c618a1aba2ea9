// What an event rests on, each part in the picture that shows it best.
import { href } from "../route";
import { bytes, dateAndTime, duration, t } from "../text";
import type { Evidence, HttpExchange, Snippet } from "../types";
import { Bar, Command, Copy } from "../ui/parts";
import { place } from "./words";

/** Members that another part of the picture shows. */
const SHOWN = new Set([
    "file",
    "path",
    "line",
    "column",
    "snippet",
    "found",
    "expected",
    "http",
    "command",
    "exit_status",
    "log",
    "error_lines",
    "attempt",
    "actor",
    "source",
]);

/** As wide as the first so many characters: those that take two places are blanked by one that does. */
function blank(text: string, characters: number): string {
    const wide =
        /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1f9ff}]/u;
    return Array.from(text)
        .slice(0, characters)
        .map((character) => (character === "\t" ? "\t" : wide.test(character) ? "\u3000" : " "))
        .join("");
}

export function SnippetView({ snippet, line, file }: { snippet: Snippet; line?: number; file?: string }) {
    const width = String(snippet.first_line + snippet.lines.length - 1).length;
    return (
        <figure class="snippet">
            {file && (
                <figcaption>
                    {file}
                    {line ? `:${line}` : ""}
                </figcaption>
            )}
            <pre tabIndex={0} aria-label={t("Lines of the file", "文件内容")}>
                {snippet.lines.map((text, i) => {
                    const number = snippet.first_line + i;
                    const here = number === line;
                    return (
                        <span class={here ? "line here" : "line"}>
                            <span class="line-number">{String(number).padStart(width)}</span>
                            <code>{text || " "}</code>
                            {here && snippet.column ? (
                                <span class="caret" aria-hidden="true">
                                    {"\n"}
                                    <span class="line-number">{" ".repeat(width)}</span>
                                    <code>
                                        {blank(text, snippet.column - 1)}
                                        {"^".repeat(Math.max(1, snippet.length ?? 1))}
                                    </code>
                                </span>
                            ) : null}
                            {"\n"}
                        </span>
                    );
                })}
            </pre>
        </figure>
    );
}

function asText(value: unknown): string {
    return typeof value === "string" ? value : JSON.stringify(value);
}

export function FoundExpected({ evidence }: { evidence: Evidence }) {
    if (evidence.found === undefined && evidence.expected === undefined) return null;
    return (
        <dl class="facts found">
            {evidence.found !== undefined && (
                <>
                    <dt>{t("found", "实际")}</dt>
                    <dd>
                        <code class="is">{asText(evidence.found)}</code>
                    </dd>
                </>
            )}
            {evidence.expected !== undefined && (
                <>
                    <dt>{t("expected", "应为")}</dt>
                    <dd>
                        <code class="should">{asText(evidence.expected)}</code>
                    </dd>
                </>
            )}
        </dl>
    );
}

function SizeAgainstLimit({ size, limit }: { size: number; limit: number }) {
    const label = t(`${bytes(size)} of at most ${bytes(limit)}`, `${bytes(size)},上限 ${bytes(limit)}`);
    const over = size > limit;
    return (
        <div class="size-limit">
            <Bar value={over ? limit : size} of={Math.max(size, limit)} label={label} kind={over ? "bad" : ""} />
            <span>
                {label}
                {over && ` · ${t(`${bytes(size - limit)} too much`, `超出 ${bytes(size - limit)}`)}`}
            </span>
        </div>
    );
}

function Http({ http }: { http: HttpExchange }) {
    return (
        <figure class="snippet">
            <figcaption>HTTP</figcaption>
            <pre tabIndex={0}>
                {`${http.method ?? "GET"} ${http.url ?? ""}\n→ ${http.status ?? "?"}`}
                {http.body ? `\n${http.body}` : ""}
            </pre>
        </figure>
    );
}

function isSize(name: string): boolean {
    return /(^|_)(size|bytes|limit|over|free|needed|largest)$/.test(name);
}

function Value({ name, value }: { name: string; value: unknown }) {
    if (typeof value === "number" && isSize(name)) return <span title={String(value)}>{bytes(value)}</span>;
    if (typeof value === "number" && name.endsWith("_ms")) return <>{duration(value)}</>;
    if (typeof value === "number" && /(^|_)(time|at|until)$/.test(name) && value > 1e12)
        return <>{dateAndTime(value)}</>;
    if (typeof value === "number" && name === "rate") return <>{bytes(value)}/s</>;
    if (Array.isArray(value) && value.every((item) => typeof item !== "object")) return <code>{value.join(", ")}</code>;
    if (value && typeof value === "object" && "path" in value && "size" in value) {
        const file = value as { path: string; size: number };
        return (
            <>
                <code>{file.path}</code> {bytes(file.size)}
            </>
        );
    }
    return <code>{asText(value)}</code>;
}

function Others({ evidence }: { evidence: Evidence }) {
    const paired = evidence.size !== undefined && evidence.limit !== undefined;
    const entries = Object.entries(evidence).filter(
        ([name]) => !SHOWN.has(name) && !(paired && (name === "size" || name === "limit" || name === "over")),
    );
    if (!entries.length) return null;
    return (
        <dl class="facts">
            {entries.map(([name, value]) => (
                <>
                    <dt>{name}</dt>
                    <dd>
                        {Array.isArray(value) && value.some((item) => item && typeof item === "object") ? (
                            <ul class="plain-list">
                                {value.map((item) => (
                                    <li>
                                        <Value name={name} value={item} />
                                    </li>
                                ))}
                            </ul>
                        ) : (
                            <Value name={name} value={value} />
                        )}
                    </dd>
                </>
            ))}
        </dl>
    );
}

/** page: the model's, for links into its build log. */
export function EvidenceView({ evidence, page }: { evidence: Evidence | undefined; page?: (string | number)[] }) {
    if (!evidence || Object.keys(evidence).length === 0) return null;
    const where = place(evidence);
    return (
        <div class="evidence">
            {evidence.snippet ? (
                <SnippetView snippet={evidence.snippet} line={evidence.line} file={where.split(":")[0]} />
            ) : (
                where && (
                    <p>
                        <code>{where}</code> <Copy text={where} />
                    </p>
                )
            )}
            <FoundExpected evidence={evidence} />
            {evidence.size !== undefined && evidence.limit !== undefined && (
                <SizeAgainstLimit size={evidence.size} limit={evidence.limit} />
            )}
            {evidence.http && <Http http={evidence.http} />}
            {evidence.command && (
                <>
                    <Command text={evidence.command} />
                    {evidence.exit_status !== undefined && (
                        <p>{t(`exit status ${evidence.exit_status}`, `退出状态 ${evidence.exit_status}`)}</p>
                    )}
                </>
            )}
            {evidence.error_lines && (
                <pre class="log-lines" tabIndex={0}>
                    {evidence.error_lines.join("\n")}
                </pre>
            )}
            {evidence.log && page && (
                <p>
                    <a href={href([...page, "log", evidence.log.from], { to: String(evidence.log.to) })}>
                        {t(
                            `lines ${evidence.log.from} to ${evidence.log.to} of the build log`,
                            `构建日志第 ${evidence.log.from} 至 ${evidence.log.to} 行`,
                        )}
                    </a>
                </p>
            )}
            <Others evidence={evidence} />
        </div>
    );
}
