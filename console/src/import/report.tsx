// What the check says of the import as a whole, and of each file.
import { bytes, plural, t } from "../text";
import { Bar } from "../ui/parts";
import type { CheckAnswer, Draft } from "./draft";
import type { Note } from "./findings";
import { NoteCard } from "./notes";

const MOST_ROWS = 12;

/** Whether a note is one that would end an import. */
function stops(note: Note): boolean {
    return note.severity === "abnormal" || note.finding?.reason === "ModelFileAmbiguous";
}

/** On top: whether it would work, what belongs to no place, and the way to what does. */
export function Report({ draft }: { draft: Draft }) {
    const answer = draft.checked.value?.answer;
    const notes = draft.notes.value;
    const rest = notes.filter(({ place }) => place.at === "all");
    if (!answer && rest.length === 0) return null;
    return (
        <section class={`card ${draft.isStale.value ? "stale" : ""}`} aria-label={t("Check", "检查")}>
            {answer && <Verdict draft={draft} answer={answer} notes={notes} />}
            <Ways notes={notes} />
            {rest.length > 0 && (
                <ul class="notes">
                    {rest.map((note) => (
                        <NoteCard key={note.id} note={note} withSnippet />
                    ))}
                </ul>
            )}
            {answer && <Unused fields={answer.unused} />}
        </section>
    );
}

function Ways({ notes }: { notes: Note[] }) {
    const ways: [Note["place"]["at"], string, string][] = [
        ["field", "import-model", t("fields", "字段")],
        ["config", "import-config", "config.json"],
        ["file", "import-files", t("files", "文件")],
    ];
    const counted = ways
        .map(([at, id, name]) => ({ id, name, count: notes.filter(({ place }) => place.at === at).length }))
        .filter(({ count }) => count > 0);
    if (counted.length === 0) return null;
    return (
        <p class="ways">
            {counted.map(({ id, name, count }) => (
                <button
                    type="button"
                    class="link"
                    onClick={() => document.getElementById(id)?.scrollIntoView({ block: "start" })}
                >
                    {t(`${name}: ${count}`, `${name}:${count}`)}
                </button>
            ))}
        </p>
    );
}

function Verdict({ draft, answer, notes }: { draft: Draft; answer: CheckAnswer; notes: Note[] }) {
    const faults = notes.filter(stops).length;
    const facts = [answer.model_type, answer.runtime && t(`runtime ${answer.runtime}`, `运行时 ${answer.runtime}`)];
    if (answer.files !== undefined)
        facts.push(t(plural(answer.files, "file", "files"), `${answer.files} 个文件`), bytes(answer.bytes ?? 0));
    return (
        <>
            <h2 class={`verdict ${answer.ok ? "type-normal" : "type-abnormal"}`}>
                <span aria-hidden="true">{answer.ok ? "✓" : "✗"}</span>{" "}
                {answer.ok
                    ? t("The check finds nothing that would stop the import.", "检查通过,没有会阻止导入的问题。")
                    : t(
                          `The import would stop here: ${plural(Math.max(1, faults), "finding", "findings")} to mend.`,
                          `导入会在此停止:有 ${Math.max(1, faults)} 个问题需要修复。`,
                      )}
            </h2>
            <p class="quiet">
                {facts.filter(Boolean).join(" · ")} · {t("nothing was imported", "未导入任何内容")}
                {draft.isStale.value && ` · ${t("something was changed since: check again", "此后有修改,请重新检查")}`}
            </p>
        </>
    );
}

function Unused({ fields }: { fields: string[] }) {
    if (fields.length === 0) return null;
    return (
        <p class="unused">
            {t("Fields of config.json that are kept but not used: ", "config.json 中会保留但不使用的字段:")}
            {fields.map((field, index) => (
                <>
                    {index > 0 && ", "}
                    <code>{field}</code>
                </>
            ))}
        </p>
    );
}

interface Row {
    path: string;
    size?: number;
    notes: Note[];
    waste?: { size: number; files?: number };
}

/** Those with findings first, then what weighs most. */
function rowsOf(answer: CheckAnswer, notes: Note[]): Row[] {
    const sizes = new Map((answer.top ?? []).map(({ path, size }) => [path, size]));
    const rows = new Map<string, Row>();
    const row = (path: string): Row => {
        if (!rows.has(path)) rows.set(path, { path, size: sizes.get(path), notes: [] });
        return rows.get(path)!;
    };
    for (const note of notes) if (note.place.at === "file") row(note.place.path).notes.push(note);
    for (const { path } of answer.top ?? []) row(path);
    return [...rows.values()];
}

export function Files({ draft }: { draft: Draft }) {
    const answer = draft.checked.value?.answer;
    return answer ? <FileList answer={answer} notes={draft.notes.value} isStale={draft.isStale.value} /> : null;
}

function FileList({ answer, notes, isStale }: { answer: CheckAnswer; notes: Note[]; isStale: boolean }) {
    const rows = rowsOf(answer, notes);
    const shown = rows.filter((row, index) => index < MOST_ROWS || row.notes.length > 0);
    const largest = Math.max(1, ...rows.map((row) => row.size ?? 0));
    const more = (answer.files ?? rows.length) - shown.filter((row) => row.size !== undefined).length;
    if (rows.length === 0) return null;
    return (
        <section class={`card ${isStale ? "stale" : ""}`} id="import-files" aria-label={t("Files", "文件")}>
            <h2>{t("Files: what was found, and the largest", "文件:有问题的与最大的")}</h2>
            <ul class="files">
                {shown.map((row) => (
                    <li>
                        <div class="file">
                            <code>{row.path}</code>
                            {row.size !== undefined && (
                                <>
                                    <Bar value={row.size} of={largest} label={bytes(row.size)} />
                                    <span class="number">{bytes(row.size)}</span>
                                </>
                            )}
                        </div>
                        {row.notes.length > 0 && (
                            <ul class="notes">
                                {row.notes.map((note) => (
                                    <NoteCard key={note.id} note={note} withSnippet />
                                ))}
                            </ul>
                        )}
                    </li>
                ))}
            </ul>
            {more > 0 && <p class="quiet">{t(`and ${plural(more, "file", "files")} more`, `另有 ${more} 个文件`)}</p>}
            <Waste answer={answer} />
        </section>
    );
}

function Waste({ answer }: { answer: CheckAnswer }) {
    const waste = answer.waste ?? [];
    if (waste.length === 0) return null;
    const sum = waste.reduce((total, { size }) => total + size, 0);
    return (
        <div class="waste">
            <p>
                <span aria-hidden="true">! </span>
                {t(
                    `${bytes(sum)} that inference does not need, as a rule; a `,
                    `通常推理不需要的内容共 ${bytes(sum)},可用 `,
                )}
                <code>.waybillignore</code>
                {t(" leaves them out:", " 排除:")}
            </p>
            <ul>
                {waste.map(({ path, size, files }) => (
                    <li>
                        <code>{path}</code> · {bytes(size)}
                        {files !== undefined &&
                            files > 1 &&
                            ` · ${t(plural(files, "file", "files"), `${files} 个文件`)}`}
                    </li>
                ))}
            </ul>
        </div>
    );
}
