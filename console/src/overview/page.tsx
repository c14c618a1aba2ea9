// What became of the imports: by day and outcome, by cause of failure, by stage. Each picture leads to
// the events behind it: #/PROJECT/overview?day=…, ?reason=…, ?stage=….
import { useSignalEffect } from "@preact/signals";
import { ask, projectPath, withQuery } from "../api";
import { loadCatalog } from "../catalog/data";
import { Template } from "../catalog/template";
import { useKeys } from "../keys";
import { href, route } from "../route";
import { duration, ofPair, plural, t } from "../text";
import { useLoad } from "../ui/load";
import { Bar, Empty, Loading, Problem } from "../ui/parts";
import { stageName } from "../ui/stages";
import { setTab } from "../ui/tab-state";
import { DaysChoice, daysOf, type ReasonCount, type StageTime, type Statistics } from "./data";
import { DayChart } from "./days";
import { EventRows } from "./events";
import { StageChart } from "./stages";

export function OverviewPage({ project }: { project: string }) {
    const query = route.value.query;
    useSignalEffect(() => setTab(t("Overview", "概览")));
    if (query.has("day") || query.has("reason") || query.has("stage"))
        return <EventRows project={project} query={query} />;
    return <Pictures project={project} days={daysOf(query)} />;
}

function Pictures({ project, days }: { project: string; days: number }) {
    const path = withQuery(projectPath(project, "statistics"), { days });
    const loaded = useLoad((signal) => ask<Statistics>("GET", path, { signal }), [path]);
    useKeys({ r: () => void loaded.again() });
    const statistics = loaded.data.value;
    const empty =
        statistics && statistics.days.length === 0 && statistics.reasons.length === 0 && statistics.stages.length === 0;
    return (
        <div class="page">
            <div class="row">
                <h1>{t("Overview", "概览")}</h1>
                <span class="grow" />
                <DaysChoice project={project} days={days} />
                <button type="button" onClick={() => void loaded.again()}>
                    {t("Refresh", "刷新")}
                </button>
            </div>
            {loaded.error.value !== null && <Problem error={loaded.error.value} again={() => void loaded.again()} />}
            {!statistics && loaded.error.value === null && <Loading />}
            {empty && (
                <Empty>
                    <h2>{t(`No import ended in the last ${days} days.`, `最近 ${days} 天没有结束的导入。`)}</h2>
                    <a href={href([project, "models"])}>{t("To the models", "前往模型列表")}</a>
                </Empty>
            )}
            {statistics && !empty && (
                <>
                    <DayChart project={project} days={statistics.days} count={days} />
                    <Reasons project={project} reasons={statistics.reasons} days={days} />
                    <Stages project={project} stages={statistics.stages} days={days} />
                </>
            )}
        </div>
    );
}

function Reasons({ project, reasons, days }: { project: string; reasons: ReasonCount[]; days: number }) {
    const catalog = useLoad(loadCatalog, []);
    const most = Math.max(1, ...reasons.map((row) => row.count));
    const message = (reason: string) => {
        const row = catalog.data.value?.find((entry) => entry.reason === reason);
        return row ? ofPair(row.en, row.zh)! : "";
    };
    return (
        <section class="card" aria-labelledby="reasons-title">
            <h2 id="reasons-title">{t("Why imports failed", "导入失败的原因")}</h2>
            {reasons.length === 0 && <p class="quiet">{t("Nothing failed.", "没有失败。")}</p>}
            {reasons.length > 0 && (
                <table class="cards">
                    <thead>
                        <tr>
                            <th scope="col">{t("Event", "事件")}</th>
                            <th scope="col" class="wide">
                                {t("How often", "次数")}
                            </th>
                            <th scope="col" class="number">
                                {t("Models", "模型数")}
                            </th>
                            <th scope="col">FAQ</th>
                        </tr>
                    </thead>
                    <tbody>
                        {reasons.map((row) => (
                            <tr>
                                <th scope="row" class="reason">
                                    <a href={href([project, "overview"], { reason: row.reason, days: String(days) })}>
                                        {row.reason}
                                    </a>
                                    <span class="quiet">
                                        <Template text={message(row.reason)} />
                                    </span>
                                </th>
                                <td data-label={t("How often", "次数")}>
                                    <span class="bar-row">
                                        <Bar
                                            value={row.count}
                                            of={most}
                                            kind="bad"
                                            label={t(plural(row.count, "time", "times"), `${row.count} 次`)}
                                        />
                                        <span class="number">{row.count}</span>
                                    </span>
                                </td>
                                <td class="number" data-label={t("Models", "模型数")}>
                                    {row.models}
                                </td>
                                <td>
                                    <a
                                        href={href([project, "catalog", row.reason])}
                                        aria-label={t(`FAQ: ${row.reason}`, `FAQ:${row.reason}`)}
                                    >
                                        FAQ
                                    </a>
                                </td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            )}
        </section>
    );
}

function Stages({ project, stages, days }: { project: string; stages: StageTime[]; days: number }) {
    return (
        <section class="card" aria-labelledby="stages-title">
            <h2 id="stages-title">{t("How long the stages took", "各阶段耗时")}</h2>
            {stages.length === 0 && <p class="quiet">{t("No stage was closed.", "没有已完成的阶段。")}</p>}
            {stages.length > 0 && (
                <StageChart
                    stages={stages}
                    link={(stage) => href([project, "overview"], { stage, days: String(days) })}
                    words={(row) =>
                        t(
                            `${stageName(row.stage)}: half took at most ${duration(row.p50_ms)}, 95 % at most ${duration(row.p95_ms)}; ${row.count} in all`,
                            `${stageName(row.stage)}:一半不超过 ${duration(row.p50_ms)},95% 不超过 ${duration(row.p95_ms)};共 ${row.count} 次`,
                        )
                    }
                />
            )}
        </section>
    );
}
