// What takes the disk's room, and what deleting a model gives back.
import { ask, isOperator } from "../api";
import { href } from "../route";
import { bytes, plural, t } from "../text";
import { useLoad } from "../ui/load";
import { Bar, Command, Empty, Loading, Problem } from "../ui/parts";

interface ModelSpace {
    project: string;
    model_id: string;
    model_name: string;
    model_version: string;
    bytes: number;
    alone_bytes: number;
}

/** What has some part of the blobs. */
interface Use {
    blobs: number;
    bytes: number;
}

interface ProjectSpace {
    project: string;
    models: number;
    bytes: number;
    limit_bytes?: number;
}

/** What is optional is told to operators. */
interface Space {
    disk: { bytes: number; free_bytes: number };
    store_bytes?: number;
    unpacked_bytes?: number;
    total_bytes?: number;
    images?: { blobs: number; bytes: number; kept_bytes: number; registry_bytes?: number };
    runtimes?: Use;
    environments?: Use;
    pushed?: Use;
    uploads: { count: number; bytes: number };
    projects: ProjectSpace[];
    models: ModelSpace[];
}

/** Less than this share of the disk is told as little. */
const LITTLE = 0.1;

export function SpacePart() {
    const loaded = useLoad((signal) => ask<Space>("GET", "v1/space", { signal }), []);
    const space = loaded.data.value;
    if (loaded.error.value !== null) return <Problem error={loaded.error.value} again={() => void loaded.again()} />;
    if (!space) return <Loading />;
    return (
        <>
            <Disk space={space} />
            <Projects space={space} />
            <Models models={space.models} />
        </>
    );
}

/** What gc removes, as far as the sizes tell. Of a registry nobody knows. */
function unusedOf({ images }: Space): number {
    if (!images || images.registry_bytes !== undefined) return 0;
    return Math.max(0, images.bytes - images.kept_bytes);
}

/** What takes room: those that are there. */
function partsOf(space: Space): [string, number][] {
    const parts: [string, number | undefined][] = [
        [t("of these unused", "其中未使用"), unusedOf(space)],
        [t("in the registry", "镜像仓库中"), space.images?.registry_bytes],
        [t("base images of runtimes", "运行时的基础镜像"), space.runtimes?.bytes],
        [t("environments", "环境"), space.environments?.bytes],
        [t("pushed images", "推送的镜像"), space.pushed?.bytes],
        [t("uploads", "上传"), space.uploads.bytes],
        [t("unpacked layers", "解包的镜像层"), space.unpacked_bytes],
        [t("Store", "数据库"), space.store_bytes],
        [t("all of it", "总计"), space.total_bytes],
    ];
    return parts.flatMap(([name, size]) => (size ? [[name, size] as [string, number]] : []));
}

function Disk({ space }: { space: Space }) {
    const { disk, images } = space;
    const used = disk.bytes - disk.free_bytes;
    const little = disk.free_bytes < disk.bytes * LITTLE;
    const label = t(
        `${bytes(disk.free_bytes)} of ${bytes(disk.bytes)} free`,
        `剩余 ${bytes(disk.free_bytes)},共 ${bytes(disk.bytes)}`,
    );
    const unused = unusedOf(space);
    return (
        <section class="card" aria-labelledby="disk-title">
            <h2 id="disk-title">{t("The disk", "磁盘")}</h2>
            <p>
                {little && <strong>{t("! Little is left: ", "! 空间不足:")}</strong>}
                {label}
            </p>
            <Bar value={used} of={disk.bytes} kind={little ? "bad" : ""} label={label} />
            {images && (
                <dl class="facts disk-facts">
                    <dt>{t("Images", "镜像")}</dt>
                    <dd>
                        {bytes(images.bytes)} · {t(plural(images.blobs, "blob", "blobs"), `${images.blobs} 个 blob`)}
                    </dd>
                    {partsOf(space).map(([name, size]) => (
                        <>
                            <dt>{name}</dt>
                            <dd>{bytes(size)}</dd>
                        </>
                    ))}
                </dl>
            )}
            {isOperator() && unused > 0 && (
                <>
                    <p class="quiet">
                        {t("On the server, this removes what is unused:", "在服务器上执行以下命令可清理未使用的数据:")}
                    </p>
                    <Command text="waybill gc" />
                </>
            )}
        </section>
    );
}

function Projects({ space }: { space: Space }) {
    const most = Math.max(1, ...space.projects.map((row) => row.bytes));
    if (space.projects.length === 0) return <Empty>{t("There is no model.", "没有模型。")}</Empty>;
    return (
        <section class="card" aria-labelledby="projects-title">
            <h2 id="projects-title">{t("By project", "按项目")}</h2>
            <p class="quiet">{t("What several models share is counted once.", "多个模型共用的部分只计算一次。")}</p>
            <table class="cards">
                <thead>
                    <tr>
                        <th scope="col">{t("Project", "项目")}</th>
                        <th scope="col" class="number">
                            {t("Models", "模型数")}
                        </th>
                        <th scope="col" class="wide">
                            {t("Images", "镜像")}
                        </th>
                    </tr>
                </thead>
                <tbody>
                    {space.projects.map((row) => (
                        <tr>
                            <th scope="row">
                                <a href={href([row.project, "models"], { sort: "model_size" })}>{row.project}</a>
                            </th>
                            <td class="number" data-label={t("Models", "模型数")}>
                                {row.models}
                            </td>
                            <td>
                                <ProjectBar row={row} most={most} />
                            </td>
                        </tr>
                    ))}
                </tbody>
            </table>
        </section>
    );
}

/** Of its limit where it has one, else beside the largest. */
function ProjectBar({ row, most }: { row: ProjectSpace; most: number }) {
    const { limit_bytes: limit } = row;
    const label = limit
        ? t(`${bytes(row.bytes)} of ${bytes(limit)}`, `${bytes(row.bytes)},上限 ${bytes(limit)}`)
        : bytes(row.bytes);
    const full = limit !== undefined && row.bytes >= limit;
    return (
        <>
            <span class="bar-row">
                <Bar value={row.bytes} of={limit ?? most} kind={full ? "bad" : ""} label={label} />
                <span class="number">{bytes(row.bytes)}</span>
            </span>
            {limit !== undefined && <small class="quiet">{t(`of ${bytes(limit)}`, `上限 ${bytes(limit)}`)} </small>}
            {full && <strong>{t("! no new imports: delete models", "! 不再接受新的导入:请删除模型")}</strong>}
        </>
    );
}

function Models({ models }: { models: ModelSpace[] }) {
    const large = models.filter((row) => row.bytes > 0);
    if (large.length === 0) return null;
    return (
        <section class="card" aria-labelledby="models-title">
            <h2 id="models-title">{t("The largest models", "最大的模型")}</h2>
            <table class="cards">
                <thead>
                    <tr>
                        <th scope="col">{t("Model", "模型")}</th>
                        <th scope="col">{t("Project", "项目")}</th>
                        <th scope="col" class="number">
                            {t("Image", "镜像大小")}
                        </th>
                        <th scope="col" class="number">
                            {t("Deleting frees", "删除可释放")}
                        </th>
                    </tr>
                </thead>
                <tbody>
                    {large.map((row) => (
                        <tr>
                            <th scope="row">
                                <a href={href([row.project, "models", row.model_id])}>
                                    {row.model_name} {row.model_version}
                                </a>
                            </th>
                            <td data-label={t("Project", "项目")}>{row.project}</td>
                            <td class="number" data-label={t("Image", "镜像大小")}>
                                {bytes(row.bytes)}
                            </td>
                            <td class="number" data-label={t("Deleting frees", "删除可释放")}>
                                {bytes(row.alone_bytes)}
                            </td>
                        </tr>
                    ))}
                </tbody>
            </table>
        </section>
    );
}
