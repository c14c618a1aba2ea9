// What is installed into the model's environment; saving says whether that rebuilds the image.
import { useSignal } from "@preact/signals";
import { ask, mayWrite, projectPath } from "../api";
import { href } from "../route";
import { plural, t } from "../text";
import type { Dependency, ModelDetails, Package } from "../types";
import { Empty, Problem, Wide, isRunning } from "../ui/parts";
import type { LiveModel } from "./live-model";

interface Row extends Package {
    installer: string;
}

const SIGNS = { EXACT: "==", ATLEAST: ">=", ATMOST: "<=" };
const INSTALLERS = ["pip", "apt", "conda"];

function toRows(dependencies: Dependency[]): Row[] {
    return dependencies.flatMap((dependency) =>
        dependency.packages.map((item) => ({ ...item, installer: dependency.installer })),
    );
}

/** Neighbours of one installer are one entry; the order is that of the installation. */
function toDependencies(rows: Row[]): Dependency[] {
    const dependencies: Dependency[] = [];
    for (const { installer, package_name, package_version, restraint } of rows) {
        const item: Package = { package_name };
        if (package_version) Object.assign(item, { package_version, restraint: restraint ?? "EXACT" });
        const last = dependencies.at(-1);
        if (last?.installer === installer) last.packages.push(item);
        else dependencies.push({ installer, packages: [item] });
    }
    return dependencies;
}

function outcome(reason: string | undefined): string {
    if (reason === "DependenciesUnchanged")
        return t("These are the dependencies that the model has: nothing is rebuilt.", "依赖与当前一致,无需重新构建。");
    return t("The image is rebuilt with them.", "正在按新的依赖重新构建镜像。");
}

export function DependenciesTab({ live, model }: { live: LiveModel; model: ModelDetails }) {
    const rows = useSignal<Row[] | null>(null);
    const said = useSignal("");
    const error = useSignal<unknown>(null);
    const busy = useSignal(false);
    if (model.model_type === "Image")
        return (
            <Empty>
                {t(
                    "A custom image brings its own: install them in its Dockerfile.",
                    "自定义镜像自带依赖:请在其 Dockerfile 中安装。",
                )}
            </Empty>
        );
    const save = async (event: SubmitEvent) => {
        event.preventDefault();
        busy.value = true;
        error.value = null;
        try {
            const answer = await ask<ModelDetails>("PUT", projectPath(live.project, "models", live.id), {
                body: { dependencies: toDependencies(rows.value!) },
            });
            said.value = outcome(answer.last_event?.reason);
            rows.value = null;
            await live.look();
        } catch (failed) {
            error.value = failed;
        }
        busy.value = false;
    };
    const anew = async () => {
        error.value = null;
        try {
            await ask("POST", `${projectPath(live.project, "models", live.id)}/retry`, { body: { no_cache: true } });
            said.value = t(
                "The environment is built anew, with what the index has now.",
                "正在用软件源中的当前版本重新构建环境。",
            );
            await live.look();
        } catch (failed) {
            error.value = failed;
        }
    };
    const edit = () => {
        said.value = "";
        rows.value = toRows(model.dependencies);
    };
    return (
        <section>
            {said.value && (
                <p class="said" role="status">
                    {said.value} <a href={href([live.project, "models", live.id, "events"])}>{t("Events", "事件")}</a>
                </p>
            )}
            {rows.value === null ? (
                <>
                    <Shown dependencies={model.dependencies} />
                    <Installed packages={model.packages ?? []} />
                    {mayWrite() && (
                        <button type="button" onClick={edit} disabled={isRunning(model.model_status)}>
                            {t("Edit", "编辑")}
                        </button>
                    )}
                    {mayWrite() && model.dependencies.length > 0 && model.model_status === "published" && (
                        <button type="button" onClick={() => void anew()}>
                            {t("Build the environment anew", "重新构建环境")}
                        </button>
                    )}
                    {error.value !== null && <Problem error={error.value} />}
                    {isRunning(model.model_status) && (
                        <p class="quiet">
                            {t("They can be changed when the image is built.", "镜像构建完成后才能修改。")}
                        </p>
                    )}
                </>
            ) : (
                <form onSubmit={save}>
                    <Editor rows={rows.value} onChange={(changed) => (rows.value = changed)} />
                    {error.value !== null && <Problem error={error.value} />}
                    <div class="row">
                        <button type="submit" class="primary" disabled={busy.value}>
                            {t("Save", "保存")}
                        </button>
                        <button type="button" onClick={() => (rows.value = null)}>
                            {t("Back", "返回")}
                        </button>
                        <span class="quiet">
                            {t("They are installed from top to bottom.", "按从上到下的顺序安装。")}
                        </span>
                    </div>
                </form>
            )}
        </section>
    );
}

function Shown({ dependencies }: { dependencies: Dependency[] }) {
    const rows = toRows(dependencies);
    if (!rows.length) return <Empty>{t("The model has no dependencies.", "该模型没有依赖。")}</Empty>;
    return (
        <Wide label={t("Dependencies", "依赖")}>
            <table class="card">
                <thead>
                    <tr>
                        <th scope="col">{t("Installer", "安装方式")}</th>
                        <th scope="col">{t("Package", "软件包")}</th>
                        <th scope="col">{t("Version", "版本")}</th>
                    </tr>
                </thead>
                <tbody>
                    {rows.map((row) => (
                        <tr>
                            <td>{row.installer}</td>
                            <td>
                                <code>{row.package_name}</code>
                            </td>
                            <td>
                                {row.package_version
                                    ? `${SIGNS[row.restraint ?? "EXACT"]} ${row.package_version}`
                                    : t("any", "任意")}
                            </td>
                        </tr>
                    ))}
                </tbody>
            </table>
        </Wide>
    );
}

/** With what they need in their turn: what the environment image holds beside its base. */
function Installed({ packages }: { packages: NonNullable<ModelDetails["packages"]> }) {
    if (!packages.length) return null;
    return (
        <details class="installed">
            <summary>
                {t(
                    plural(packages.length, "package was installed", "packages were installed"),
                    `共安装 ${packages.length} 个软件包`,
                )}
            </summary>
            <Wide label={t("Installed packages", "已安装的软件包")}>
                <table class="card">
                    <tbody>
                        {packages.map((item) => (
                            <tr>
                                <td>{item.installer}</td>
                                <td>
                                    <code>{item.name}</code>
                                </td>
                                <td>{item.version}</td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </Wide>
        </details>
    );
}

function Editor({ rows, onChange }: { rows: Row[]; onChange: (rows: Row[]) => void }) {
    const set = (at: number, change: Partial<Row>) =>
        onChange(rows.map((row, i) => (i === at ? { ...row, ...change } : row)));
    const move = (at: number, by: number) => {
        const next = [...rows];
        const [row] = next.splice(at, 1);
        next.splice(at + by, 0, row!);
        onChange(next);
    };
    return (
        <>
            <ol class="dependency-rows">
                {rows.map((row, i) => (
                    <li class="row">
                        <select
                            aria-label={t("Installer", "安装方式")}
                            value={row.installer}
                            onChange={(event) => set(i, { installer: event.currentTarget.value })}
                        >
                            {INSTALLERS.map((value) => (
                                <option>{value}</option>
                            ))}
                        </select>
                        <input
                            aria-label={t("Package", "软件包")}
                            required
                            value={row.package_name}
                            onInput={(event) => set(i, { package_name: event.currentTarget.value })}
                        />
                        <select
                            aria-label={t("Restraint", "版本约束")}
                            value={row.restraint ?? "EXACT"}
                            onChange={(event) => set(i, { restraint: event.currentTarget.value as Row["restraint"] })}
                        >
                            {Object.entries(SIGNS).map(([value, sign]) => (
                                <option value={value}>
                                    {sign} {value}
                                </option>
                            ))}
                        </select>
                        <input
                            aria-label={t("Version", "版本")}
                            placeholder={t("any version", "任意版本")}
                            value={row.package_version ?? ""}
                            onInput={(event) => set(i, { package_version: event.currentTarget.value })}
                        />
                        <button
                            type="button"
                            class="small"
                            disabled={i === 0}
                            aria-label={t("Earlier", "上移")}
                            onClick={() => move(i, -1)}
                        >
                            ↑
                        </button>
                        <button
                            type="button"
                            class="small"
                            disabled={i === rows.length - 1}
                            aria-label={t("Later", "下移")}
                            onClick={() => move(i, 1)}
                        >
                            ↓
                        </button>
                        <button
                            type="button"
                            class="small"
                            aria-label={t(`Remove ${row.package_name}`, `移除 ${row.package_name}`)}
                            onClick={() => onChange(rows.filter((_, at) => at !== i))}
                        >
                            ✕
                        </button>
                    </li>
                ))}
            </ol>
            <button
                type="button"
                class="small"
                onClick={() => onChange([...rows, { installer: rows.at(-1)?.installer ?? "pip", package_name: "" }])}
            >
                {t("Add a package", "添加软件包")}
            </button>
        </>
    );
}
