// The versions of a name, and what changed between them.
import { useSignal } from "@preact/signals";
import { ask, projectPath, withQuery } from "../api";
import { href } from "../route";
import { bytes, t } from "../text";
import type { ModelDetails, ModelList } from "../types";
import { useLoad } from "../ui/load";
import { Loading, Problem, Status, Time, Wide } from "../ui/parts";
import { DifferenceView, sideName, type Difference } from "./difference";
import type { LiveModel } from "./live-model";

export function VersionsTab({ live, model }: { live: LiveModel; model: ModelDetails }) {
    const path = withQuery(projectPath(live.project, "models"), {
        model_name: model.model_name,
        exact_match: "true",
        sort_by: "model_version",
    });
    const list = useLoad((signal) => ask<ModelList>("GET", path, { signal }), [path, model.model_status]);
    const against = useSignal("");
    if (list.error.value !== null) return <Problem error={list.error.value} again={() => void list.again()} />;
    if (!list.data.value) return <Loading />;
    return (
        <>
            <Wide label={t("Versions", "版本")}>
                <table class="card">
                    <thead>
                        <tr>
                            <th scope="col">{t("Version", "版本")}</th>
                            <th scope="col">{t("Status", "状态")}</th>
                            <th scope="col" class="number">
                                {t("Size", "大小")}
                            </th>
                            <th scope="col">{t("Created", "创建时间")}</th>
                            <th scope="col">{t("Compare", "对比")}</th>
                        </tr>
                    </thead>
                    <tbody>
                        {list.data.value.models.map((version) => (
                            <tr>
                                <td>
                                    <a
                                        href={href([live.project, "models", version.model_id])}
                                        aria-current={version.model_id === model.model_id ? "page" : undefined}
                                    >
                                        {version.model_version}
                                    </a>
                                    {version.model_id === model.model_id && (
                                        <span class="quiet"> {t("this one", "当前")}</span>
                                    )}
                                </td>
                                <td>
                                    <Status status={version.model_status} />
                                </td>
                                <td class="number">{version.model_size ? bytes(version.model_size) : "–"}</td>
                                <td>
                                    <Time at={version.create_at} withDay />
                                </td>
                                <td>
                                    {version.model_id !== model.model_id && (
                                        <button
                                            type="button"
                                            class="small"
                                            onClick={() => (against.value = version.model_id)}
                                            aria-pressed={against.value === version.model_id}
                                        >
                                            {t("with this one", "与当前版本对比")}
                                        </button>
                                    )}
                                </td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </Wide>
            {against.value && <Compared live={live} against={against.value} />}
        </>
    );
}

function Compared({ live, against }: { live: LiveModel; against: string }) {
    const path = withQuery(projectPath(live.project, "models", live.id, "diff"), { against });
    const found = useLoad((signal) => ask<Difference>("GET", path, { signal }), [path]);
    if (found.error.value !== null) return <Problem error={found.error.value} />;
    const difference = found.data.value;
    if (!difference) return <Loading />;
    return (
        <section class="card" aria-live="polite">
            <h2>
                {sideName(difference.old)} → {sideName(difference.new)}
            </h2>
            {difference.equal ? (
                <p>{t("They are the same.", "两者相同。")}</p>
            ) : (
                <DifferenceView difference={difference} />
            )}
        </section>
    );
}
