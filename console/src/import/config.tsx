// config.json: as text beside what was found in it, or as a small form.
import { useRef } from "preact/hooks";
import { t } from "../text";
import { Choice } from "../ui/parts";
import { printConfig } from "./config-text";
import type { Draft } from "./draft";
import { Editor, lengthOf, type EditorHandle } from "./editor";
import type { Note } from "./findings";
import { ConfigForm } from "./form";
import { NoteCard } from "./notes";

function what(draft: Draft): string {
    const text = draft.configText.value;
    if (draft.packaged.value !== null && text === draft.packaged.value)
        return t("as it lies in the folder", "文件夹中的原文件");
    if (text.trim() === "")
        return draft.kind.value === "image"
            ? t("not needed", "可不填")
            : t("the package's own is used", "使用模型包自带的文件");
    return draft.packaged.value !== null
        ? t("edited here; the folder's file stays as it is", "已在此处修改;文件夹中的原文件不变")
        : t("written here; it wins over one in the package", "在此处填写,优先于模型包中的文件");
}

export function ConfigSection({ draft }: { draft: Draft }) {
    const editor = useRef<EditorHandle | null>(null);
    const notes = draft.notes.value.filter(({ place }) => place.at === "config");
    const isText = draft.configView.value === "text";
    const show = (note: Note) => {
        if (note.place.at !== "config") return;
        const { line, column } = note.place;
        draft.configView.value = "text";
        requestAnimationFrame(() => editor.current?.goTo(line, column, lengthOf(note)));
    };
    return (
        <section class="card" id="import-config" aria-label="config.json">
            <div class="row">
                <h2>config.json</h2>
                <span class="quiet">{what(draft)}</span>
                <span class="grow" />
                {draft.packaged.value !== null && draft.configText.value !== draft.packaged.value && (
                    <button
                        type="button"
                        class="small"
                        onClick={() => (draft.configText.value = draft.packaged.value!)}
                    >
                        {t("As in the folder again", "恢复为文件夹中的内容")}
                    </button>
                )}
                <Choice
                    label={t("Show config.json as", "config.json 显示为")}
                    value={draft.configView.value}
                    options={[
                        { value: "text", label: t("Text", "文本") },
                        { value: "form", label: t("Form", "表单") },
                    ]}
                    onChange={(view) => (draft.configView.value = view)}
                />
            </div>
            <div class={notes.length > 0 ? "config-split" : ""}>
                {isText ? (
                    <TextView draft={draft} notes={notes} handle={editor} />
                ) : (
                    <ConfigForm draft={draft} notes={notes} />
                )}
                <ConfigNotes draft={draft} notes={notes} onShow={show} />
            </div>
        </section>
    );
}

function TextView({ draft, notes, handle }: { draft: Draft; notes: Note[]; handle: { current: EditorHandle | null } }) {
    const { value } = draft.configText;
    const begin = () =>
        (draft.configText.value = printConfig({
            model_algorithm: draft.name.value || "model",
            model_type: draft.effectiveType.value || "Custom",
        }));
    return (
        <div>
            <Editor
                text={value}
                notes={value ? notes : []}
                handle={handle}
                placeholder={t(
                    '{\n  "model_algorithm": "…",\n  "model_type": "…"\n}',
                    '{\n  "model_algorithm": "…",\n  "model_type": "…"\n}',
                )}
                onInput={(text) => (draft.configText.value = text)}
            />
            {value.trim() === "" && draft.kind.value !== "image" && (
                <p class="after-editor">
                    {draft.kind.value === "folder" && draft.chosen.value
                        ? t("The folder has no config.json. ", "文件夹中没有 config.json。")
                        : ""}
                    <button type="button" class="small" onClick={begin}>
                        {t("Write one here", "在此新建")}
                    </button>
                </p>
            )}
        </div>
    );
}

/** In the order of their lines, beside the text. */
function ConfigNotes({ draft, notes, onShow }: { draft: Draft; notes: Note[]; onShow: (note: Note) => void }) {
    const line = ({ place }: Note) => (place.at === "config" ? place.line * 10_000 + place.column : 0);
    const sorted = [...notes].sort((a, b) => line(a) - line(b));
    const hasText = draft.configText.value !== "";
    if (sorted.length === 0) return null;
    return (
        <div class={draft.isStale.value ? "stale" : ""} id="config-notes">
            {draft.isStale.value && (
                <p class="quiet">
                    {t("Found before the last change: check again.", "以下为修改之前的结果,请重新检查。")}
                </p>
            )}
            <ul class="notes">
                {sorted.map((note) => (
                    <NoteCard
                        key={note.id}
                        note={note}
                        onPlace={hasText ? () => onShow(note) : undefined}
                        withSnippet={!hasText}
                    />
                ))}
            </ul>
        </div>
    );
}
