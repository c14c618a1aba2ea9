// Import: a source, what it is called, its config.json; what the check finds stands where it belongs.
import { useComputed } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { mayWrite } from "../api";
import { t } from "../text";
import { announce } from "../ui/announce";
import { Empty, Problem, hasFailed } from "../ui/parts";
import { setTab } from "../ui/tab-state";
import { ConfigSection } from "./config";
import { begun, draftOf, newDraft, type Draft } from "./draft";
import { Fields } from "./fields";
import { Files, Report } from "./report";
import { Source } from "./source";
import { Upload } from "./upload";

export function ImportPage({ project }: { project: string }) {
    const draft = useMemo(() => draftOf(project), [project, begun.value]);
    useAnnouncements(draft);
    if (!mayWrite())
        return (
            <div class="page">
                <Empty>
                    {t(
                        "You may look, but not import: the role writer is needed.",
                        "当前角色只能查看;导入需要 writer 角色。",
                    )}
                </Empty>
            </div>
        );
    return (
        <div class="page import" key={begun.value} onDragOver={ignore} onDrop={ignore}>
            <div class="row">
                <h1>{t("Import a model", "导入模型")}</h1>
                <span class="grow" />
                {draft.hasSource.value && (
                    <button
                        type="button"
                        class="small"
                        disabled={draft.busy.value !== ""}
                        onClick={() => newDraft(project)}
                    >
                        {t("Start over", "重新开始")}
                    </button>
                )}
            </div>
            <Report draft={draft} />
            <Source draft={draft} />
            <Fields draft={draft} />
            <ConfigSection draft={draft} />
            <Files draft={draft} />
            <Upload draft={draft} />
            {draft.error.value !== null && <Problem error={draft.error.value} />}
            <Actions draft={draft} />
        </div>
    );
}

/** A folder that falls beside its place must not replace the page. */
function ignore(event: DragEvent): void {
    event.preventDefault();
}

/** The title of the tab, and what a screen reader hears. */
function useAnnouncements(draft: Draft): void {
    const transfer = draft.transfer.value;
    const state = transfer?.state.value;
    const busy = draft.busy.value !== "";
    const percent =
        transfer && busy && state !== "done"
            ? `${transfer.total ? Math.floor((100 * transfer.done.value) / transfer.total) : 0} % · `
            : "";
    const title = percent + t("Import", "导入");
    useEffect(() => setTab(title, busy ? "running" : "idle"), [title, busy]);
    const answer = draft.checked.value?.answer;
    useEffect(() => {
        if (!answer) return;
        const count = answer.findings.length;
        announce(
            answer.ok
                ? t("Checked: it can be imported.", "检查通过,可以导入。")
                : t(`Checked: ${count} findings.`, `检查完成:${count} 个问题。`),
        );
        document.querySelector(".page.import .verdict")?.scrollIntoView({ block: "nearest" });
    }, [answer]);
}

function Actions({ draft }: { draft: Draft }) {
    const busy = draft.busy.value;
    const taken = useComputed(() => draft.existing.value !== null && !hasFailed(draft.existing.value.model_status));
    const isReady = draft.hasSource.value && busy === "";
    const isRetry = draft.existing.value !== null && !taken.value;
    return (
        <div class="import-actions">
            <span class="quiet grow">{hint(draft, taken.value)}</span>
            <button type="button" disabled={!isReady} onClick={() => void draft.check()}>
                {busy === "check" ? t("Checking…", "检查中…") : t("Check", "检查")}
            </button>
            <button
                type="button"
                class="primary"
                disabled={!isReady || taken.value}
                onClick={() => void draft.import()}
            >
                {busy === "import"
                    ? t("Importing…", "导入中…")
                    : isRetry
                      ? t("Import again", "重新导入")
                      : t("Import", "导入")}
            </button>
        </div>
    );
}

function hint(draft: Draft, isTaken: boolean): string {
    if (!draft.hasSource.value) return t("Say first where the model comes from.", "请先指定模型来源。");
    if (isTaken) return t("This version is there already: take another.", "该版本已存在,请使用其他版本号。");
    if (draft.faults.value.length)
        return t("The server refuses the request: see the marked fields.", "服务器拒绝了该请求,请查看标出的字段。");
    return t(
        "Check says what would stop the import; nothing is imported by it.",
        "“检查”会指出阻止导入的问题,不会导入任何内容。",
    );
}
