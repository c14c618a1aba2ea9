// A finding of the check, or a fault of the request, where it belongs.
import { ofPair, t } from "../text";
import type { Snippet } from "../types";
import { TypeMark, WithCommands } from "../ui/parts";
import type { Note } from "./findings";

function shown(value: unknown): string {
    return typeof value === "string" ? value : JSON.stringify(value);
}

/** Short, beside a field. */
export function FieldNotes({ notes, id }: { notes: Note[]; id?: string }) {
    if (notes.length === 0) return null;
    return (
        <span class="field-notes" id={id}>
            {notes.map((note) => (
                <span class={`field-note type-${note.severity}`}>
                    <span aria-hidden="true">{note.severity === "abnormal" ? "✗" : "!"}</span>{" "}
                    <WithCommands text={note.text} />
                </span>
            ))}
        </span>
    );
}

export function notesOf(notes: Note[], field: string): Note[] {
    return notes.filter(({ place }) => place.at === "field" && place.field === field);
}

export function whereOf({ place, finding }: Note): string {
    const { file, line, column } = finding?.evidence ?? {};
    if (place.at === "config")
        return t(`line ${place.line}, column ${place.column}`, `第 ${place.line} 行第 ${place.column} 列`);
    if (file) return line ? `${file}:${line}:${column ?? 1}` : file;
    return place.at === "file" ? place.path : "";
}

export function NoteCard({
    note,
    onPlace,
    withSnippet = false,
}: {
    note: Note;
    onPlace?: () => void;
    withSnippet?: boolean;
}) {
    const { finding } = note;
    const where = whereOf(note);
    const steps = ofPair(finding?.advice, finding?.advice_cn) ?? [];
    const solution = ofPair(finding?.solution, finding?.solution_cn);
    return (
        <li class={`note note-${note.severity}`}>
            <p class="note-head">
                <TypeMark type={note.severity} />{" "}
                {where &&
                    (onPlace ? (
                        <button type="button" class="link" onClick={onPlace}>
                            {where}
                        </button>
                    ) : (
                        <code>{where}</code>
                    ))}
            </p>
            <p class="note-text">
                <WithCommands text={note.text} />
            </p>
            {finding && <FoundExpected note={note} />}
            {withSnippet && finding?.evidence?.snippet && (
                <SnippetLines snippet={finding.evidence.snippet} line={finding.evidence.line} />
            )}
            {steps.length > 0 ? (
                <ol class="note-steps">
                    {steps.map((step) => (
                        <li>
                            <WithCommands text={step} />
                        </li>
                    ))}
                </ol>
            ) : (
                solution && <p>{solution}</p>
            )}
        </li>
    );
}

function FoundExpected({ note }: { note: Note }) {
    const { found, expected } = note.finding?.evidence ?? {};
    if (found === undefined && expected === undefined) return null;
    return (
        <dl class="facts note-found">
            {found !== undefined && (
                <>
                    <dt>{t("found", "实际")}</dt>
                    <dd>
                        <code>{shown(found)}</code>
                    </dd>
                </>
            )}
            {expected !== undefined && (
                <>
                    <dt>{t("expected", "应为")}</dt>
                    <dd>
                        <code>{shown(expected)}</code>
                    </dd>
                </>
            )}
        </dl>
    );
}

/** The lines around the place, with a caret under it: of a file that this page does not have. */
function SnippetLines({ snippet, line }: { snippet: Snippet; line?: number }) {
    const caret = snippet.column
        ? " ".repeat(snippet.column - 1) + "^".repeat(Math.max(1, Math.min(snippet.length ?? 1, 80)))
        : "";
    const text = snippet.lines.flatMap((content, index) => {
        const number = snippet.first_line + index;
        const row = `${String(number).padStart(4)}  ${content}`;
        return number === line && caret ? [row, `      ${caret}`] : [row];
    });
    return <pre class="note-snippet">{text.join("\n")}</pre>;
}
