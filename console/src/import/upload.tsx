// How far the upload is, and what one can do about it.
import { useEffect, useRef } from "preact/hooks";
import { about, bytes, plural, t } from "../text";
import { now } from "../ui/now";
import { Bar, Problem } from "../ui/parts";
import type { Draft } from "./draft";
import type { Transfer } from "./transfer";

function said(transfer: Transfer): string {
    switch (transfer.state.value) {
        case "ready":
        case "sending":
            return t("Sending the folder", "正在上传文件夹");
        case "broken": {
            const seconds = Math.max(0, Math.ceil((transfer.retryAt.value - now.value) / 1000));
            return t(
                `The connection is broken; trying again in ${seconds} s. What arrived is kept.`,
                `连接中断,${seconds} 秒后重试。已上传的部分会保留。`,
            );
        }
        case "stopped":
            return t(
                "Stopped. What arrived is kept; Check or Import goes on with it.",
                "已停止。已上传的部分会保留,点击“检查”或“导入”即可继续。",
            );
        case "failed":
            return t("The upload did not work.", "上传失败。");
        case "done":
            return t("The folder is on the server.", "文件夹已上传到服务器。");
    }
}

export function Upload({ draft }: { draft: Draft }) {
    const transfer = draft.transfer.value;
    const card = useRef<HTMLElement>(null);
    const isBusy = draft.busy.value !== "";
    const hasFailed = transfer?.state.value === "failed";
    useEffect(() => {
        if (isBusy || hasFailed) card.current?.scrollIntoView({ block: "nearest" });
    }, [transfer, isBusy, hasFailed]);
    if (!transfer || draft.kind.value !== "folder" || transfer.folder !== draft.folder.value) return null;
    const state = transfer.state.value;
    const isRunning = state === "sending" || state === "broken";
    return (
        <section class="card upload" ref={card} aria-label={t("Upload", "上传")}>
            <p role="status" class={state === "broken" || state === "failed" ? "upload-bad" : ""}>
                {state === "done" && <span aria-hidden="true">✓ </span>}
                {(state === "broken" || state === "failed") && <span aria-hidden="true">! </span>}
                {said(transfer)}
            </p>
            {state !== "done" && <Numbers transfer={transfer} isRunning={isRunning} />}
            {state === "failed" && transfer.error.value !== null && <Problem error={transfer.error.value} />}
            {transfer.refused.value.length > 0 && (
                <RefusedFiles transfer={transfer} isRunning={isRunning} onGoOn={() => void draft.check()} />
            )}
            {state !== "done" && (
                <div class="row upload-actions">
                    {isRunning && (
                        <button type="button" onClick={() => transfer.stop()}>
                            {t("Cancel", "取消")}
                        </button>
                    )}
                    {!isRunning && transfer.id && (
                        <button
                            type="button"
                            onClick={() => void transfer.discard().then(() => (draft.transfer.value = null))}
                        >
                            {t("Remove what was sent", "删除已上传的部分")}
                        </button>
                    )}
                </div>
            )}
        </section>
    );
}

function Numbers({ transfer, isRunning }: { transfer: Transfer; isRunning: boolean }) {
    const done = transfer.done.value;
    const { total } = transfer;
    const rate = transfer.rate.value;
    const percent = total ? Math.floor((100 * done) / total) : 100;
    const words = `${percent} % · ${bytes(done)} / ${bytes(total)}`;
    const files = transfer.folder.files.length;
    return (
        <>
            <Bar value={done} of={total} label={t(`Upload: ${words}`, `上传:${words}`)} />
            <p class="numbers">
                {words} ·{" "}
                {t(
                    `${transfer.filesDone.value} of ${plural(files, "file", "files")}`,
                    `${transfer.filesDone.value} / ${files} 个文件`,
                )}
                {transfer.state.value === "sending" && rate > 0 && (
                    <>
                        {" · "}
                        {bytes(rate)}/s ·{" "}
                        {t(
                            `${about((1000 * (total - done)) / rate)} left`,
                            `剩余 ${about((1000 * (total - done)) / rate)}`,
                        )}
                    </>
                )}
                {transfer.resumed.value > 0 && (
                    <span class="quiet">
                        {" "}
                        ·{" "}
                        {t(
                            `${bytes(transfer.resumed.value)} were there already`,
                            `其中 ${bytes(transfer.resumed.value)} 此前已上传`,
                        )}
                    </span>
                )}
            </p>
            {isRunning && transfer.current.value.length > 0 && (
                <p class="quiet current">
                    {transfer.current.value.map((path) => (
                        <code>{path}</code>
                    ))}
                </p>
            )}
        </>
    );
}

function RefusedFiles({ transfer, isRunning, onGoOn }: { transfer: Transfer; isRunning: boolean; onGoOn: () => void }) {
    const refused = transfer.refused.value;
    return (
        <>
            <ul class="notes">
                {refused.slice(0, 20).map(({ path, message }) => (
                    <li class="note note-abnormal">
                        <code>{path}</code>
                        <p>{message}</p>
                    </li>
                ))}
            </ul>
            {refused.length > 20 && (
                <p class="quiet">{t(`and ${refused.length - 20} more`, `另有 ${refused.length - 20} 个`)}</p>
            )}
            {!isRunning && (
                <p>
                    {t("Rename them and choose the folder again, or ", "请重命名后重新选择文件夹,或")}
                    <button type="button" class="small" onClick={() => (transfer.leaveOut(), onGoOn())}>
                        {t("leave them out and check", "跳过这些文件并检查")}
                    </button>
                </p>
            )}
        </>
    );
}
