// Trying again: as it is, with another config.json, or from another place.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ask, projectPath } from "../api";
import { t } from "../text";
import type { ModelDetails } from "../types";
import { Dialog, Problem } from "../ui/parts";
import type { LiveModel } from "./live-model";

export function RetryDialog({ live, model, onClose }: { live: LiveModel; model: ModelDetails; onClose: () => void }) {
    const evidence = model.failure?.event?.evidence;
    const inConfig = evidence?.file?.endsWith("config.json") || evidence?.file === "initial_config";
    const edits = useSignal(!!inConfig && !!model.config);
    const config = useSignal(model.config ?? "");
    const source = useSignal(model.source_location);
    const busy = useSignal(false);
    const error = useSignal<unknown>(null);
    const retry = async (event: SubmitEvent) => {
        event.preventDefault();
        busy.value = true;
        error.value = null;
        const body: Record<string, string> = {};
        if (edits.value && config.value !== model.config) body.initial_config = config.value;
        if (source.value !== model.source_location) body.source_location = source.value;
        try {
            await ask("POST", `${projectPath(live.project, "models", live.id)}/retry`, { body });
            onClose();
            await live.look();
        } catch (failed) {
            error.value = failed;
            busy.value = false;
        }
    };
    return (
        <Dialog title={t("Fix and retry", "修复并重试")} onClose={onClose}>
            <form onSubmit={retry}>
                <p>
                    {t(
                        "The same version, its next attempt. What did not change is not read or packed again.",
                        "同一版本的下一次尝试,未变化的内容不会重新读取或打包。",
                    )}
                </p>
                <label class="field">
                    <span>{t("Source", "来源")}</span>
                    <input value={source.value} onInput={(event) => (source.value = event.currentTarget.value)} />
                </label>
                <label class="check">
                    <input
                        type="checkbox"
                        checked={edits.value}
                        onChange={(event) => (edits.value = event.currentTarget.checked)}
                    />
                    {t("With another config.json, in place of the package's", "使用修改后的 config.json(替代包内文件)")}
                </label>
                {edits.value && (
                    <ConfigEditor
                        text={config.value}
                        line={inConfig ? evidence?.line : undefined}
                        onInput={(text) => (config.value = text)}
                    />
                )}
                {error.value !== null && <Problem error={error.value} />}
                <div class="actions">
                    <button type="button" onClick={onClose}>
                        {t("Back", "返回")}
                    </button>
                    <button type="submit" class="primary" disabled={busy.value}>
                        {t("Retry", "重试")}
                    </button>
                </div>
            </form>
        </Dialog>
    );
}

/** Opens at the line that is at fault. */
function ConfigEditor({ text, line, onInput }: { text: string; line?: number; onInput: (text: string) => void }) {
    const area = useRef<HTMLTextAreaElement>(null);
    useEffect(() => {
        if (!area.current || !line) return;
        const before = text
            .split("\n")
            .slice(0, line - 1)
            .join("\n");
        const begin = before.length + (line > 1 ? 1 : 0);
        const end = text.indexOf("\n", begin);
        area.current.focus();
        area.current.setSelectionRange(begin, end < 0 ? text.length : end);
        area.current.scrollTop = (line - 3) * 18;
    }, []);
    return (
        <label class="field">
            <span>config.json{line ? ` · ${t(`line ${line} is selected`, `已选中第 ${line} 行`)}` : ""}</span>
            <textarea
                class="code"
                ref={area}
                rows={14}
                spellcheck={false}
                value={text}
                onInput={(event) => onInput(event.currentTarget.value)}
            />
        </label>
    );
}
