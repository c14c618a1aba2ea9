// What administrators see and change: #/PROJECT/settings/PART.
import { useSignalEffect } from "@preact/signals";
import type { FunctionComponent } from "preact";
import { isAdmin } from "../api";
import { href } from "../route";
import { t } from "../text";
import { Empty, Tabs } from "../ui/parts";
import { setTab } from "../ui/tab-state";
import { AuditPart } from "./audit";
import { CredentialsPart } from "./credentials";
import { LinksPart } from "./links";
import { MaintenancePart } from "./maintenance";
import { MembersPart } from "./members";
import { SpacePart } from "./space";
import { TokensPart } from "./tokens";
import { WorkersPart } from "./workers";

type Part = FunctionComponent<{ project: string }>;

function parts(): [string, string, Part][] {
    return [
        ["tokens", t("Tokens", "令牌"), TokensPart],
        ["links", t("Sign-in links", "登录链接"), LinksPart],
        ["members", t("Projects and members", "项目与成员"), MembersPart],
        ["credentials", t("Credentials", "凭据"), CredentialsPart],
        ["workers", t("Workers and queue", "执行节点与队列"), WorkersPart],
        ["space", t("Space", "磁盘空间"), SpacePart],
        ["maintenance", t("Maintenance", "维护"), MaintenancePart],
        ["audit", t("Audit", "审计"), AuditPart],
    ];
}

export function SettingsPage({ project, part }: { project: string; part: string | undefined }) {
    useSignalEffect(() => setTab(t("Settings", "设置")));
    const all = parts();
    const [current, , Shown] = all.find(([name]) => name === part) ?? all[0]!;
    if (!isAdmin())
        return (
            <Empty>
                <h1>{t("Settings are for administrators.", "设置仅供管理员使用。")}</h1>
                <a href={href([project, "models"])}>{t("To the models", "前往模型列表")}</a>
            </Empty>
        );
    return (
        <div class="page">
            <h1 class="settings-title">{t("Settings", "设置")}</h1>
            <Tabs
                label={t("Parts of the settings", "设置分类")}
                current={current}
                tabs={all.map(([name, label]) => ({ name, label, href: href([project, "settings", name]) }))}
            />
            <Shown key={`${current} ${project}`} project={project} />
        </div>
    );
}
