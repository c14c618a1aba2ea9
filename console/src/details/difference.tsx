// What differs between two attempts or versions: in one line, and unfolded.
import { useSignal } from "@preact/signals";
import { bytes, plural, t } from "../text";

interface Side {
    model_name: string;
    model_version: string;
    attempt: number;
    outcome: string;
}

interface Pair<T> {
    old?: T | null;
    new?: T | null;
}

export interface Difference {
    old: Side;
    new: Side;
    equal: boolean;
    config: { removed: number; added: number; lines: string[] } | null;
    dependencies: { change: string; installer: string; name: string; version: Pair<string> }[];
    files: { change: string; path: string; size: Pair<number> }[];
    files_same: number;
    facts: Record<string, Pair<string>>;
    unknown: { side: string; part: string }[];
}

const SIGNS: Record<string, string> = { added: "+", removed: "−", changed: "~", unsure: "?" };

function inOneLine(difference: Difference): string {
    const { config, files, dependencies, facts } = difference;
    const parts = [];
    if (config && config.added + config.removed > 0)
        parts.push(
            t(
                `config.json ${plural(Math.max(config.added, config.removed), "line", "lines")}`,
                `config.json ${Math.max(config.added, config.removed)} 行`,
            ),
        );
    if (files.length) parts.push(t(plural(files.length, "file", "files"), `${files.length} 个文件`));
    if (dependencies.length)
        parts.push(t(plural(dependencies.length, "dependency", "dependencies"), `${dependencies.length} 个依赖`));
    const names = Object.keys(facts);
    if (names.length) parts.push(names.join(", "));
    return parts.length ? parts.join(" · ") : t("nothing", "无变化");
}

export function sideName(side: Side): string {
    return t(`${side.model_version}, attempt ${side.attempt}`, `${side.model_version} 第 ${side.attempt} 次尝试`);
}

export function DifferenceView({ difference }: { difference: Difference }) {
    const { config, files, dependencies, facts, unknown } = difference;
    return (
        <div class="difference">
            {config && config.lines.length > 0 && (
                <pre tabIndex={0} aria-label="config.json">
                    {config.lines.map((line) => (
                        <span
                            class={line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : ""}
                        >{`${line}\n`}</span>
                    ))}
                </pre>
            )}
            <ul class="plain-list">
                {dependencies.map((row) => (
                    <li>
                        {SIGNS[row.change]} {row.installer} <code>{row.name}</code> {row.version.old ?? "–"} →{" "}
                        {row.version.new ?? "–"}
                    </li>
                ))}
                {files.map((row) => (
                    <li>
                        {SIGNS[row.change]} <code>{row.path}</code>{" "}
                        {row.size.old !== undefined && row.size.old !== null ? bytes(row.size.old) : "–"} →{" "}
                        {row.size.new !== undefined && row.size.new !== null ? bytes(row.size.new) : "–"}
                    </li>
                ))}
                {Object.entries(facts).map(([name, pair]) => (
                    <li>
                        ~ {name}: <code>{pair.old ?? "–"}</code> → <code>{pair.new ?? "–"}</code>
                    </li>
                ))}
                {unknown.map((row) => (
                    <li class="quiet">
                        {t(
                            `not known of the ${row.side} one: ${row.part}`,
                            `${row.side === "old" ? "之前" : "现在"}的${row.part}未知`,
                        )}
                    </li>
                ))}
            </ul>
        </div>
    );
}

export function DifferenceLine({ difference }: { difference: Difference }) {
    const open = useSignal(false);
    return (
        <div class="changed">
            {t(`Changed since ${sideName(difference.old)}`, `自 ${sideName(difference.old)} 以来的变化`)}:{" "}
            {inOneLine(difference)}{" "}
            {!difference.equal && (
                <button
                    type="button"
                    class="link"
                    aria-expanded={open.value}
                    onClick={() => (open.value = !open.value)}
                >
                    {open.value ? t("hide", "收起") : t("show", "查看")}
                </button>
            )}
            {open.value && <DifferenceView difference={difference} />}
        </div>
    );
}
