// Where the model comes from: a folder of this computer, an address that the server reads, an image.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ask, projectPath } from "../api";
import { bytes, plural, t } from "../text";
import { Choice, Problem, Time } from "../ui/parts";
import type { Draft, SourceKind } from "./draft";
import { Field } from "./field";
import { FieldNotes, notesOf } from "./notes";
import { CHILD, MOST_FILES, droppedEntries, folderOfDrop, folderOfInput, type Folder } from "./package";
import { allRemembered, forget, type Remembered } from "./remembered";

export function Source({ draft }: { draft: Draft }) {
    const kinds: Record<SourceKind, string> = {
        folder: t("Folder", "本机文件夹"),
        path: t("Path or address", "路径或地址"),
        image: t("Image", "镜像"),
    };
    return (
        <section class="card" aria-label={t("Source", "来源")}>
            <h2>{t("Source", "来源")}</h2>
            <Choice
                label={t("Kind of source", "来源类型")}
                value={draft.kind.value}
                options={(["folder", "path", "image"] as const).map((value) => ({ value, label: kinds[value] }))}
                onChange={(value) => draft.setKind(value)}
            />
            {draft.kind.value === "folder" && <FolderSource draft={draft} />}
            {draft.kind.value === "path" && <PathSource draft={draft} />}
            {draft.kind.value === "image" && <ImageSource draft={draft} />}
        </section>
    );
}

function FolderSource({ draft }: { draft: Draft }) {
    const reading = useSignal(-1);
    const over = useSignal(false);
    const error = useSignal<unknown>(null);
    const input = useRef<HTMLInputElement>(null);
    const take = async (folder: () => Promise<Folder | null>) => {
        error.value = null;
        reading.value = 0;
        try {
            const found = await folder();
            if (!found || found.files.length === 0) throw new Error(t("There are no files in it.", "其中没有文件。"));
            if (found.files.length > MOST_FILES)
                throw new Error(
                    t(
                        `It has ${found.files.length} files; an upload takes ${MOST_FILES}.`,
                        `共有 ${found.files.length} 个文件,一次上传最多 ${MOST_FILES} 个。`,
                    ),
                );
            await draft.choose(found);
        } catch (failed) {
            error.value = failed;
        }
        reading.value = -1;
    };
    const onDrop = (event: DragEvent) => {
        event.preventDefault();
        over.value = false;
        const entries = event.dataTransfer ? droppedEntries(event.dataTransfer) : [];
        void take(() => folderOfDrop(entries, (files) => (reading.value = files)));
    };
    const folder = draft.chosen.value;
    return (
        <>
            <div
                class={`drop ${over.value ? "drop-over" : ""}`}
                onDragOver={(event) => (event.preventDefault(), (over.value = true))}
                onDragLeave={() => (over.value = false)}
                onDrop={onDrop}
            >
                {folder ? <Chosen draft={draft} folder={folder} /> : <Invitation />}
                <button type="button" class={folder ? "" : "primary"} onClick={() => input.current?.click()}>
                    {folder ? t("Choose another folder", "选择其他文件夹") : t("Choose a folder", "选择文件夹")}
                </button>
                <input
                    ref={input}
                    class="offscreen"
                    type="file"
                    tabIndex={-1}
                    aria-label={t("Folder to send", "要上传的文件夹")}
                    // @ts-expect-error: every browser has it, the types do not
                    webkitdirectory
                    multiple
                    onChange={(event) => {
                        const list = event.currentTarget.files;
                        void take(async () => list && folderOfInput(list));
                    }}
                />
                {reading.value > 0 && (
                    <p role="status">{t(`${reading.value} files so far…`, `已读取 ${reading.value} 个文件…`)}</p>
                )}
            </div>
            {error.value !== null && <Problem error={error.value} />}
            {!folder && <Unfinished draft={draft} />}
            <FieldNotes notes={notesOf(draft.notes.value, "source_location")} />
        </>
    );
}

function Invitation() {
    return (
        <p>
            {t("Drop the folder here: the one that holds ", "将文件夹拖到这里:它应包含 ")}
            <code>model/</code>
            {t(" with config.json and the model's files.", ",其中有 config.json 和模型文件。")}
        </p>
    );
}

function Chosen({ draft, folder }: { draft: Draft; folder: Folder }) {
    return (
        <>
            <p class="chosen">
                <strong>{folder.name}/</strong> ·{" "}
                {t(plural(folder.files.length, "file", "files"), `${folder.files.length} 个文件`)} ·{" "}
                {bytes(folder.bytes)}
            </p>
            {folder.inside && (
                <p class="quiet">
                    {t("The package was found inside what you chose: ", "在所选文件夹中找到模型包:")}
                    <code>{folder.inside}/</code>
                </p>
            )}
            {folder.isModelDirectory && (
                <label class="check as-model">
                    <input
                        type="checkbox"
                        checked={draft.asModel.value}
                        disabled={draft.busy.value !== ""}
                        onChange={(event) => (draft.asModel.value = event.currentTarget.checked)}
                    />
                    <span>
                        {t("There is no ", "其中没有 ")}
                        <code>{CHILD}/</code>
                        {t(
                            " in it: this looks like the model folder itself. Send it as ",
                            ",看起来就是模型文件夹本身。作为 ",
                        )}
                        <code>{CHILD}/</code>
                        {t("", " 上传")}
                    </span>
                </label>
            )}
        </>
    );
}

/** What this browser began and did not end: the folder has to be chosen again, as no page may open it. */
function Unfinished({ draft }: { draft: Draft }) {
    const found = useSignal<(Remembered & { received: number })[]>([]);
    useEffect(() => {
        const look = async (one: Remembered) => {
            const upload = await ask<{ bytes: number; in_use: boolean; files: { bytes_received: number }[] }>(
                "GET",
                projectPath(draft.project, "uploads", one.id),
            ).catch(() => null);
            if (!upload) forget(one.key);
            if (!upload || upload.in_use) return;
            const received = upload.files.reduce((sum, file) => sum + file.bytes_received, 0);
            found.value = [...found.value, { ...one, received }];
        };
        for (const one of allRemembered(draft.project).slice(0, 3)) void look(one);
    }, [draft]);
    const discard = async (one: Remembered) => {
        await ask("DELETE", projectPath(draft.project, "uploads", one.id)).catch(() => undefined);
        forget(one.key);
        found.value = found.value.filter(({ key }) => key !== one.key);
    };
    return (
        <>
            {found.value.map((one) => (
                <p class="unfinished" role="status">
                    {t("An upload of ", "")}
                    <strong>{one.name}/</strong>
                    {t(
                        ` has ${bytes(one.received)} of ${bytes(one.bytes)}`,
                        ` 已上传 ${bytes(one.received)} / ${bytes(one.bytes)}`,
                    )}{" "}
                    (<Time at={one.at} />
                    ). {t("Choose the same folder again to go on.", "再次选择同一文件夹即可继续。")}{" "}
                    <button type="button" class="small" onClick={() => void discard(one)}>
                        {t("Remove it", "删除")}
                    </button>
                </p>
            ))}
        </>
    );
}

function lastSegment(text: string): string {
    return (
        text
            .replace(/[/:]+$/, "")
            .split("/")
            .pop() ?? ""
    );
}

function PathSource({ draft }: { draft: Draft }) {
    return (
        <Field
            label={t("Where the package lies, as the server sees it", "模型包在服务器看来的位置")}
            notes={notesOf(draft.notes.value, "source_location")}
            rule={t(
                "file:///DIR, or oci:DIR:TAG for an image. Which ones may be read is the server's setting (server.import_roots, sources.allow).",
                "file:///目录,镜像可用 oci:目录:标签。允许读取的位置由服务器设置(server.import_roots、sources.allow)决定。",
            )}
        >
            {(control) => (
                <input
                    {...control}
                    class="mono"
                    value={draft.path.value}
                    placeholder="file:///srv/models/digits"
                    spellcheck={false}
                    onInput={(event) => (draft.path.value = event.currentTarget.value)}
                    onChange={() => draft.suggestName(lastSegment(draft.path.value))}
                />
            )}
        </Field>
    );
}

function ImageSource({ draft }: { draft: Draft }) {
    return (
        <Field
            label={t("Image reference", "镜像地址")}
            notes={notesOf(draft.notes.value, "source_location")}
            rule={t(
                "The image itself is the model: it listens on 8080 and answers its health check. The type is Image.",
                "镜像本身就是模型:监听 8080 端口并响应健康检查。类型为 Image。",
            )}
        >
            {(control) => (
                <input
                    {...control}
                    class="mono"
                    value={draft.image.value}
                    placeholder="registry.example.com/team/resnet:v5"
                    spellcheck={false}
                    onInput={(event) => (draft.image.value = event.currentTarget.value)}
                    onChange={() => draft.suggestName(lastSegment(draft.image.value).replace(/[:@].*$/, ""))}
                />
            )}
        </Field>
    );
}
