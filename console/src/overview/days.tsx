// Imports by day: what worked below, what failed on top of it, hatched. Days are the server's, in UTC.
import { href } from "../route";
import { plural, t } from "../text";
import type { Day } from "./data";

const DAY_MS = 24 * 3600 * 1000;
const [WIDTH, HEIGHT] = [1200, 140];
const WIDEST_BAR = 60;

/** The days on which nothing ended, too: the last `count` with today. */
function everyDay(days: Day[], count: number): Day[] {
    const known = new Map(days.map((day) => [day.day, day]));
    const today = Math.floor(Date.now() / DAY_MS);
    return Array.from({ length: count }, (_, at) => {
        const day = new Date((today - count + 1 + at) * DAY_MS).toISOString().slice(0, 10);
        return known.get(day) ?? { day, imported: 0, failed: 0 };
    });
}

function words(day: Day): string {
    return t(
        `${day.day}: ${day.imported} imported, ${day.failed} failed`,
        `${day.day}:成功 ${day.imported},失败 ${day.failed}`,
    );
}

export function DayChart({ project, days, count }: { project: string; days: Day[]; count: number }) {
    const all = everyDay(days, count);
    const slot = WIDTH / count;
    const most = Math.max(1, ...all.map((day) => day.imported + day.failed));
    const imported = all.reduce((sum, day) => sum + day.imported, 0);
    const failed = all.reduce((sum, day) => sum + day.failed, 0);
    const link = (day: Day) =>
        href([project, "overview"], { day: day.day, outcome: day.failed ? "failed" : "imported", days: String(count) });
    return (
        <section class="card" aria-labelledby="days-title">
            <h2 id="days-title">{t("Imports by day", "每日导入")}</h2>
            <p class="legend">
                <span class="swatch swatch-good" aria-hidden="true" /> ✓ {t(`${imported} imported`, `成功 ${imported}`)}
                <span class="swatch swatch-bad" aria-hidden="true" /> ✗ {t(`${failed} failed`, `失败 ${failed}`)}
                <span class="quiet">
                    {t(`at most ${most} a day · days in UTC`, `单日最多 ${most} 次 · 日期为 UTC`)}
                </span>
            </p>
            <svg
                class="chart"
                viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
                preserveAspectRatio="none"
                role="group"
                aria-labelledby="days-title"
            >
                <defs>
                    <pattern
                        id="failed-hatch"
                        width="7"
                        height="7"
                        patternUnits="userSpaceOnUse"
                        patternTransform="rotate(45)"
                    >
                        <rect class="hatch-ground" width="7" height="7" />
                        <rect class="hatch-line" width="3" height="7" />
                    </pattern>
                </defs>
                {all.map((day, at) =>
                    day.imported + day.failed > 0 ? (
                        <DayBar day={day} x={at * slot} slot={slot} scale={(HEIGHT - 2) / most} href={link(day)} />
                    ) : null,
                )}
            </svg>
            <p class="axis quiet" aria-hidden="true">
                <span>{all[0]!.day}</span>
                <span>{all[all.length - 1]!.day}</span>
            </p>
            <DayTable days={all.filter((day) => day.imported + day.failed > 0).reverse()} link={link} />
        </section>
    );
}

function DayBar({ day, x, slot, scale, href: to }: { day: Day; x: number; slot: number; scale: number; href: string }) {
    const width = Math.min(slot * 0.8, WIDEST_BAR);
    const left = x + (slot - width) / 2;
    const good = day.imported * scale;
    const bad = day.failed * scale;
    return (
        <a href={to} aria-label={words(day)}>
            <title>{words(day)}</title>
            <rect class="chart-hit" x={x} y={0} width={slot} height={HEIGHT} />
            <rect class="chart-good" x={left} y={HEIGHT - good} width={width} height={good} />
            {bad > 0 && (
                <rect
                    class="chart-failed"
                    fill="url(#failed-hatch)"
                    x={left}
                    y={HEIGHT - good - bad}
                    width={width}
                    height={bad}
                />
            )}
        </a>
    );
}

function DayTable({ days, link }: { days: Day[]; link: (day: Day) => string }) {
    if (days.length === 0) return null;
    return (
        <details>
            <summary>{t("As a table", "以表格显示")}</summary>
            <table>
                <thead>
                    <tr>
                        <th scope="col">{t("Day", "日期")}</th>
                        <th scope="col" class="number">
                            {t("Imported", "成功")}
                        </th>
                        <th scope="col" class="number">
                            {t("Failed", "失败")}
                        </th>
                    </tr>
                </thead>
                <tbody>
                    {days.map((day) => (
                        <tr>
                            <th scope="row">
                                <a
                                    href={link(day)}
                                    aria-label={t(
                                        plural(day.imported + day.failed, "import", "imports") + ` of ${day.day}`,
                                        `${day.day} 的导入`,
                                    )}
                                >
                                    {day.day}
                                </a>
                            </th>
                            <td class="number">{day.imported}</td>
                            <td class="number">{day.failed}</td>
                        </tr>
                    ))}
                </tbody>
            </table>
        </details>
    );
}
