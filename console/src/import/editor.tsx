// config.json with its line numbers. What was found stands at its line: a mark beside the number, a
// band under the text. The marks lie over one block of text, so that a file of any length is light.
import { useEffect, useRef } from "preact/hooks";
import { t } from "../text";
import { lineCount, offsetOf } from "./config-text";
import type { Note } from "./findings";

/** As in import.css. */
const LINE_PX = 20;
const PADDING_PX = 8;
const FEWEST_LINES = 8;
const MOST_LINES = 26;

export interface EditorHandle {
    goTo: (line: number, column: number, length: number) => void;
}

interface EditorProps {
    text: string;
    notes: Note[];
    handle: { current: EditorHandle | null };
    placeholder: string;
    onInput: (text: string) => void;
}

function lineNumbers(count: number): string {
    return Array.from({ length: count }, (_, index) => index + 1).join("\n");
}

/** The notes by line; several of a line are one mark. */
function byLine(notes: Note[]): Map<number, Note[]> {
    const lines = new Map<number, Note[]>();
    for (const note of notes)
        if (note.place.at === "config") lines.set(note.place.line, [...(lines.get(note.place.line) ?? []), note]);
    return lines;
}

export function lengthOf(note: Note): number {
    return note.finding?.evidence?.snippet?.length ?? 0;
}

export function Editor({ text, notes, handle, placeholder, onInput }: EditorProps) {
    const area = useRef<HTMLTextAreaElement>(null);
    const gutter = useRef<HTMLDivElement>(null);
    const bands = useRef<HTMLDivElement>(null);
    const count = lineCount(text);
    const rows = Math.min(MOST_LINES, Math.max(FEWEST_LINES, count + 1));
    const marks = [...byLine(notes)];
    const follow = () => {
        const top = area.current?.scrollTop ?? 0;
        for (const moved of [gutter.current, bands.current]) if (moved) moved.style.transform = `translateY(${-top}px)`;
    };
    const goTo: EditorHandle["goTo"] = (line, column, length) => {
        const element = area.current;
        if (!element) return;
        const start = offsetOf(element.value, line, column);
        element.focus({ preventScroll: true });
        element.setSelectionRange(start, offsetOf(element.value, line, column + length));
        element.scrollTop = Math.max(0, (line - 4) * LINE_PX);
        element.scrollIntoView({ block: "nearest" });
        follow();
    };
    useEffect(() => {
        handle.current = { goTo };
        follow();
    });
    return (
        <div class="editor" style={{ height: `${rows * LINE_PX + 2 * PADDING_PX + 14}px` }}>
            <div class="editor-gutter">
                <div ref={gutter} class="editor-moved">
                    <pre aria-hidden="true">{lineNumbers(count)}</pre>
                    {marks.map(([line, here]) => (
                        <Mark
                            key={line}
                            line={line}
                            notes={here}
                            onClick={() => goTo(line, columnOf(here[0]!), lengthOf(here[0]!))}
                        />
                    ))}
                </div>
            </div>
            <div class="editor-text">
                <div ref={bands} class="editor-moved" aria-hidden="true">
                    {marks.map(([line, here]) => (
                        <div
                            key={line}
                            class={`editor-band note-${worst(here)}`}
                            style={{ top: `${PADDING_PX + (line - 1) * LINE_PX}px` }}
                        />
                    ))}
                </div>
                <textarea
                    ref={area}
                    class="code"
                    wrap="off"
                    spellcheck={false}
                    autocomplete="off"
                    aria-label="config.json"
                    aria-invalid={notes.some((note) => note.severity === "abnormal")}
                    aria-describedby="config-notes"
                    placeholder={placeholder}
                    value={text}
                    onInput={(event) => onInput(event.currentTarget.value)}
                    onScroll={follow}
                />
            </div>
        </div>
    );
}

function columnOf({ place }: Note): number {
    return place.at === "config" ? place.column : 1;
}

function worst(notes: Note[]): string {
    return notes.some((note) => note.severity === "abnormal") ? "abnormal" : "hint";
}

function Mark({ line, notes, onClick }: { line: number; notes: Note[]; onClick: () => void }) {
    const severity = worst(notes);
    const said = notes.map((note) => note.text).join("\n");
    return (
        <button
            type="button"
            class={`editor-mark type-${severity}`}
            style={{ top: `${PADDING_PX + (line - 1) * LINE_PX}px` }}
            title={said}
            aria-label={t(`Line ${line}: ${said}`, `第 ${line} 行:${said}`)}
            onClick={onClick}
        >
            {severity === "abnormal" ? "✗" : "!"}
        </button>
    );
}
