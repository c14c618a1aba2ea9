// Telling a person who looks elsewhere that an import has ended.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../text";
import type { ModelDetails } from "../types";
import { isRunning, statusName } from "../ui/parts";

const wanted = new Set<string>();

export function TellMe({ model }: { model: ModelDetails }) {
    const asked = useSignal(wanted.has(model.model_id));
    const latest = useRef(model);
    latest.current = model;
    useEffect(
        () => () => {
            const { model_id, model_name, model_version, model_status } = latest.current;
            if (isRunning(model_status) || !wanted.delete(model_id)) return;
            new Notification(`${model_name} ${model_version}: ${statusName(model_status)}`, { tag: model_id });
        },
        [],
    );
    if (!("Notification" in window) || Notification.permission === "denied") return null;
    const ask = async () => {
        if ((await Notification.requestPermission()) !== "granted") return;
        wanted.add(model.model_id);
        asked.value = true;
    };
    return (
        <button type="button" aria-pressed={asked.value} onClick={() => void ask()}>
            {asked.value ? t("You will be told", "完成时将通知你") : t("Tell me when done", "完成时通知我")}
        </button>
    );
}
