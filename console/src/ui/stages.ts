// The stages of an import, in their order.
import { t } from "../text";

export const STAGES = [
    "queue",
    "check",
    "size",
    "copy",
    "source",
    "environment",
    "build",
    "verify",
    "share",
    "finish",
    "update",
] as const;

export function stageName(stage: string): string {
    switch (stage) {
        case "queue":
            return t("queue", "排队");
        case "check":
            return t("check", "检查");
        case "size":
            return t("size", "计算大小");
        case "copy":
            return t("copy", "复制文件");
        case "source":
            return t("source image", "源镜像");
        case "environment":
            return t("environment", "环境镜像");
        case "build":
            return t("build", "构建");
        case "verify":
            return t("verify", "验证");
        case "share":
            return t("share", "分享");
        case "finish":
            return t("finish", "完成");
        case "update":
            return t("update", "更新");
        default:
            return stage;
    }
}

export function stageOrder(stage: string): number {
    const at = (STAGES as readonly string[]).indexOf(stage);
    return at < 0 ? STAGES.length : at;
}
