// How long stages take: the half of them within the full bar, 95 of 100 within the light one.
import { duration, t } from "../text";
import { stageName, stageOrder } from "../ui/stages";
import type { StageTime } from "./data";

const WIDTH = 1000;

export function StageChart(props: {
    stages: StageTime[];
    link: (stage: string) => string;
    words: (row: StageTime) => string;
}) {
    const rows = [...props.stages].sort((a, b) => stageOrder(a.stage) - stageOrder(b.stage));
    const most = Math.max(1, ...rows.map((row) => row.p95_ms));
    const width = (ms: number) => Math.max(2, (WIDTH * ms) / most);
    return (
        <table class="cards">
            <thead>
                <tr>
                    <th scope="col">{t("Stage", "阶段")}</th>
                    <th scope="col" class="wide">
                        <span class="offscreen">{t("Picture", "图示")}</span>
                    </th>
                    <th scope="col" class="number">
                        {t("Half within", "一半不超过")}
                    </th>
                    <th scope="col" class="number">
                        {t("95 % within", "95% 不超过")}
                    </th>
                    <th scope="col" class="number">
                        {t("How often", "次数")}
                    </th>
                </tr>
            </thead>
            <tbody>
                {rows.map((row) => (
                    <tr>
                        <th scope="row">
                            <a href={props.link(row.stage)}>{stageName(row.stage)}</a>
                        </th>
                        <td class="wide">
                            <svg
                                class="stage-bar"
                                viewBox={`0 0 ${WIDTH} 12`}
                                preserveAspectRatio="none"
                                role="img"
                                aria-label={props.words(row)}
                            >
                                <title>{props.words(row)}</title>
                                <rect class="stage-p95" x="0" y="2" width={width(row.p95_ms)} height="8" />
                                <rect class="stage-p50" x="0" y="0" width={width(row.p50_ms)} height="12" />
                            </svg>
                        </td>
                        <td class="number" data-label={t("Half within", "一半不超过")}>
                            {duration(row.p50_ms)}
                        </td>
                        <td class="number" data-label={t("95 % within", "95% 不超过")}>
                            {duration(row.p95_ms)}
                        </td>
                        <td class="number" data-label={t("How often", "次数")}>
                            {row.count}
                        </td>
                    </tr>
                ))}
            </tbody>
        </table>
    );
}
