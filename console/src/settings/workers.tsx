// The workers on the data directory and what each does, looked at every few seconds.
import { ask } from "../api";
import { href } from "../route";
import { about, bytes, duration, ofPair, t } from "../text";
import { useLoad } from "../ui/load";
import { Bar, Empty, Loading, Problem, Time } from "../ui/parts";
import { stageName } from "../ui/stages";
import { useEvery } from "./form";

const LOOK_MS = 3000;
/** A worker says every second that it lives. */
const SILENT_MS = 15_000;

interface Worker {
    worker: string;
    serves: boolean;
    busy: boolean;
    since: number;
    heartbeat_age_ms: number;
    stage?: string;
    project?: string;
    model_id?: string;
    model_name?: string;
    model_version?: string;
    bytes_done?: number;
    bytes_total?: number;
    eta_ms?: number;
    hint?: string;
    hint_cn?: string;
}

interface Workers {
    workers_alive: number;
    workers_busy: number;
    queue: { queued: number };
    workers: Worker[];
}

export function WorkersPart({ project }: { project: string }) {
    const loaded = useLoad((signal) => ask<Workers>("GET", "v1/workers", { signal }), []);
    useEvery(LOOK_MS, () => void loaded.again());
    const answer = loaded.data.value;
    return (
        <>
            {loaded.error.value !== null && <Problem error={loaded.error.value} again={() => void loaded.again()} />}
            {!answer && loaded.error.value === null && <Loading />}
            {answer && (
                <dl class="figures">
                    <Figure
                        name={t("waiting in the queue", "排队中")}
                        value={answer.queue.queued}
                        to={href([project, "models"], { status: "publishing" })}
                    />
                    <Figure name={t("workers busy", "忙碌节点")} value={answer.workers_busy} />
                    <Figure name={t("workers alive", "在线节点")} value={answer.workers_alive} />
                </dl>
            )}
            {answer && answer.workers.length === 0 && (
                <Empty>
                    {t(
                        "No worker is alive: imports wait. Set server.workers, or start `waybill serve`.",
                        "没有在线的执行节点,导入会一直等待。请设置 server.workers 或启动 waybill serve。",
                    )}
                </Empty>
            )}
            {answer && answer.workers.length > 0 && <WorkerTable project={project} workers={answer.workers} />}
        </>
    );
}

function Figure({ name, value, to }: { name: string; value: number; to?: string }) {
    return (
        <div>
            <dt>{to ? <a href={to}>{name}</a> : name}</dt>
            <dd>{value}</dd>
        </div>
    );
}

function WorkerTable({ project, workers }: { project: string; workers: Worker[] }) {
    return (
        <table class="cards card-table">
            <thead>
                <tr>
                    <th scope="col">{t("Worker", "执行节点")}</th>
                    <th scope="col">{t("State", "状态")}</th>
                    <th scope="col">{t("Works on", "正在处理")}</th>
                    <th scope="col">{t("Last sign of life", "最近心跳")}</th>
                    <th scope="col">{t("Since", "启动时间")}</th>
                </tr>
            </thead>
            <tbody>
                {workers.map((worker) => (
                    <tr>
                        <th scope="row">
                            {worker.worker}{" "}
                            {!worker.serves && <small class="quiet">{t("a command's", "命令行")}</small>}
                        </th>
                        <td data-label={t("State", "状态")}>
                            {worker.busy ? t("◌ busy", "◌ 忙碌") : t("✓ free", "✓ 空闲")}
                        </td>
                        <td data-label={t("Works on", "正在处理")}>
                            <Work project={project} worker={worker} />
                        </td>
                        <td data-label={t("Last sign of life", "最近心跳")}>
                            {worker.heartbeat_age_ms > SILENT_MS ? (
                                <strong>
                                    {t(
                                        `! silent for ${duration(worker.heartbeat_age_ms)}`,
                                        `! 已 ${duration(worker.heartbeat_age_ms)} 无心跳`,
                                    )}
                                </strong>
                            ) : (
                                t(`${duration(worker.heartbeat_age_ms)} ago`, `${duration(worker.heartbeat_age_ms)} 前`)
                            )}
                        </td>
                        <td data-label={t("Since", "启动时间")}>
                            <Time at={worker.since} />
                        </td>
                    </tr>
                ))}
            </tbody>
        </table>
    );
}

function Work({ project, worker }: { project: string; worker: Worker }) {
    if (!worker.busy) return <>–</>;
    const { bytes_done = 0, bytes_total } = worker;
    const label = bytes_total ? `${bytes(bytes_done)} / ${bytes(bytes_total)}` : "";
    return (
        <>
            {worker.model_id ? (
                <a href={href([worker.project ?? project, "models", worker.model_id])}>
                    {worker.model_name} {worker.model_version}
                </a>
            ) : (
                t("a model of another project", "其他项目的模型")
            )}
            {worker.stage && ` · ${stageName(worker.stage)}`}
            {worker.eta_ms !== undefined && ` · ${t(`${about(worker.eta_ms)} left`, `剩余${about(worker.eta_ms)}`)}`}
            {bytes_total !== undefined && (
                <div>
                    <Bar value={bytes_done} of={bytes_total} label={label} /> <span class="quiet">{label}</span>
                </div>
            )}
            {worker.hint && <div class="quiet">{ofPair(worker.hint, worker.hint_cn)}</div>}
        </>
    );
}
