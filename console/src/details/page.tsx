// One model: what it is, what happened to it, and what can be done with it.
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError, ask, mayWrite, projectPath } from "../api";
import { EventsTab } from "../events/tab";
import { failedIn } from "../events/answer";
import { LogTab } from "../log/tab";
import { go, href, replace, route } from "../route";
import { duration, t } from "../text";
import type { ModelDetails } from "../types";
import { now } from "../ui/now";
import { Confirm, Empty, Loading, Problem, Status, Tabs, Time, hasFailed, isRunning } from "../ui/parts";
import { stageName } from "../ui/stages";
import { setTab } from "../ui/tab-state";
import { ApiTab } from "./api-tab";
import { DependenciesTab } from "./dependencies";
import { useLiveModel, type LiveModel } from "./live-model";
import { OverviewTab } from "./overview";
import { RetryDialog } from "./retry";
import { TellMe } from "./tell-me";
import { VersionsTab } from "./versions";

const TABS = ["overview", "events", "log", "dependencies", "api", "versions"] as const;
type TabName = (typeof TABS)[number];

function tabLabel(tab: TabName): string {
    switch (tab) {
        case "overview":
            return t("Overview", "概览");
        case "events":
            return t("Events", "事件");
        case "log":
            return t("Build log", "构建日志");
        case "dependencies":
            return t("Dependencies", "依赖");
        case "api":
            return "API";
        case "versions":
            return t("Versions", "版本");
    }
}

/** A failed or running model opens on its events: there is what one came for. It stays there when that
 * changes. */
function useTab(page: string[], model: ModelDetails | undefined): TabName {
    const named = TABS.find((tab) => tab === route.value.path[3]);
    const first = model && (isRunning(model.model_status) || hasFailed(model.model_status)) ? "events" : "overview";
    useEffect(() => {
        if (model && !named) replace([...page, first], route.value.query);
    }, [named, !model]);
    return named ?? first;
}

export function DetailsPage({ project, id }: { project: string; id: string }) {
    const live = useLiveModel(project, id);
    const model = live.details.data.value;
    const page = [project, "models", id];
    const tab = useTab(page, model);
    const error = live.details.error.value;
    useSignalEffect(() => {
        const details = live.details.data.value;
        if (!details) return;
        const { model_status } = details;
        setTab(
            `${details.model_name} ${details.model_version}`,
            isRunning(model_status) ? "running" : hasFailed(model_status) ? "failed" : "done",
        );
    });
    if (!model && error instanceof ApiError && error.status === 404) return <NoModel project={project} />;
    if (!model)
        return (
            <div class="page">
                {error !== null ? <Problem error={error} again={() => void live.details.again()} /> : <Loading />}
            </div>
        );
    return (
        <div class="page">
            <Head live={live} model={model} />
            <Tabs
                label={model.model_name}
                current={tab}
                tabs={TABS.map((name) => ({
                    name,
                    label: name === "events" ? `${tabLabel(name)} ${model.last_event?.seq ?? 0}` : tabLabel(name),
                    href: href([...page, name]),
                }))}
            />
            <TabContent tab={tab} live={live} model={model} />
        </div>
    );
}

function TabContent({ tab, live, model }: { tab: TabName; live: LiveModel; model: ModelDetails }) {
    const last = Number(route.value.path[4]) || 0;
    switch (tab) {
        case "overview":
            return <OverviewTab live={live} model={model} />;
        case "events":
            return <EventsTab live={live} model={model} seq={last} />;
        case "log":
            return <LogTab live={live} model={model} line={last} />;
        case "dependencies":
            return <DependenciesTab live={live} model={model} />;
        case "api":
            return <ApiTab model={model} />;
        case "versions":
            return <VersionsTab live={live} model={model} />;
    }
}

function NoModel({ project }: { project: string }) {
    return (
        <div class="page">
            <Empty>
                <h1>{t("There is no such model.", "没有这个模型。")}</h1>
                <p>
                    {t(
                        "It may have been deleted; its events are kept for a while:",
                        "它可能已被删除,其事件会保留一段时间:",
                    )}{" "}
                    <code>waybill models --deleted</code>
                </p>
                <a href={href([project, "models"])}>{t("To the models", "前往模型列表")}</a>
            </Empty>
        </div>
    );
}

function Head({ live, model }: { live: LiveModel; model: ModelDetails }) {
    return (
        <header class="model-head">
            <nav class="crumbs" aria-label={t("You are here", "当前位置")}>
                <a href={href([live.project, "models"])}>{t("Models", "模型")}</a> / <strong>{model.model_name}</strong>{" "}
                / {model.model_version}
            </nav>
            <div class="row">
                <h1 class="offscreen">
                    {model.model_name} {model.model_version}
                </h1>
                <Status status={model.model_status} />
                <Facts live={live} model={model} />
                <span class="grow" />
                <Actions live={live} model={model} />
            </div>
        </header>
    );
}

function Facts({ live, model }: { live: LiveModel; model: ModelDetails }) {
    const running = isRunning(model.model_status);
    const stage = live.progress.value?.stage;
    const at = model.last_event?.occur_time;
    return (
        <span class="quiet">
            {hasFailed(model.model_status) && `${failedIn(model)} · `}
            {running && stage && `${stageName(stage)} · `}
            {t(`attempt ${model.attempt}`, `第 ${model.attempt} 次尝试`)} · {model.owner}
            {at && !running && (
                <>
                    {" · "}
                    <Time at={at} />
                </>
            )}
            {running &&
                ` · ${t(`${duration(Math.max(0, now.value - model.create_at))} so far`, `已用 ${duration(Math.max(0, now.value - model.create_at))}`)}`}
        </span>
    );
}

function Actions({ live, model }: { live: LiveModel; model: ModelDetails }) {
    const dialog = useSignal<"" | "retry" | "cancel" | "delete">("");
    const close = () => (dialog.value = "");
    const path = projectPath(live.project, "models", live.id);
    const running = isRunning(model.model_status);
    if (!mayWrite()) return running ? <TellMe model={model} /> : null;
    return (
        <>
            {running && <TellMe model={model} />}
            {running && (
                <button type="button" onClick={() => (dialog.value = "cancel")}>
                    {t("Cancel", "取消导入")}
                </button>
            )}
            {hasFailed(model.model_status) && (
                <button type="button" class="primary" onClick={() => (dialog.value = "retry")}>
                    {model.failure?.fix_by === "wait" ? t("Retry", "重试") : t("Fix and retry", "修复并重试")}
                </button>
            )}
            <button type="button" onClick={() => (dialog.value = "delete")}>
                {t("Delete", "删除")}
            </button>
            {dialog.value === "retry" && <RetryDialog live={live} model={model} onClose={close} />}
            {dialog.value === "cancel" && (
                <Confirm
                    title={t("Cancel the import?", "取消导入?")}
                    action={t("Cancel the import", "取消导入")}
                    onClose={close}
                    onConfirm={async () => {
                        await ask("POST", `${path}/cancel`, { body: {} });
                        await live.look();
                    }}
                >
                    <p>
                        {t(
                            "It stops at the next safe point. What is packed already counts in the next attempt.",
                            "将在下一个安全点停止,已打包的内容会在下次尝试中继续使用。",
                        )}
                    </p>
                </Confirm>
            )}
            {dialog.value === "delete" && <DeleteDialog live={live} model={model} path={path} onClose={close} />}
        </>
    );
}

interface DeleteAnswer {
    delete_failed_list: { model_id: string; error_msg: string }[];
}

function DeleteDialog({
    live,
    model,
    path,
    onClose,
}: {
    live: LiveModel;
    model: ModelDetails;
    path: string;
    onClose: () => void;
}) {
    return (
        <Confirm
            danger
            title={t(
                `Delete ${model.model_name} ${model.model_version}?`,
                `删除 ${model.model_name} ${model.model_version}?`,
            )}
            action={t("Delete", "删除")}
            onClose={onClose}
            onConfirm={async () => {
                const answer = await ask<DeleteAnswer>("DELETE", path);
                const failed = answer.delete_failed_list[0];
                if (failed) throw new ApiError(409, "", failed.error_msg);
                go([live.project, "models"]);
            }}
        >
            <p>
                {t(
                    "This version and its image go. Its events are kept for 90 days.",
                    "该版本及其镜像将被删除,事件保留 90 天。",
                )}
            </p>
        </Confirm>
    );
}
