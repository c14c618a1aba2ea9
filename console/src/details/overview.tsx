// What a model is: where it came from, what image it became, how that is run.
import { useSignal } from "@preact/signals";
import { ask, mayWrite, projectPath } from "../api";
import { bytes, dateAndTime, offset, plural, t } from "../text";
import type { Layer, ModelDetails } from "../types";
import { Command, Copy, Problem, Wide } from "../ui/parts";
import type { LiveModel } from "./live-model";

export function OverviewTab({ live, model }: { live: LiveModel; model: ModelDetails }) {
    return (
        <>
            <section class="card">
                <h2>{t("Basic information", "基本信息")}</h2>
                <dl class="facts">
                    <dt>{t("Name", "名称")}</dt>
                    <dd>{model.model_name}</dd>
                    <dt>{t("Version", "版本")}</dt>
                    <dd>{model.model_version}</dd>
                    <dt>{t("Description", "描述")}</dt>
                    <dd>
                        <Description live={live} model={model} />
                    </dd>
                    <dt>{t("Type", "类型")}</dt>
                    <dd>{model.model_type}</dd>
                    <Fact name={t("Algorithm", "算法")} value={model.model_algorithm} />
                    <Fact name={t("Runtime", "运行时")} value={model.runtime} />
                    {model.load_mode === "dynamic" && (
                        <Fact
                            name={t("Model files", "模型文件")}
                            value={t("beside the image, fetched at start", "不在镜像中,启动时拉取")}
                        />
                    )}
                    <Fact
                        name={t("Template", "模板")}
                        value={
                            model.template &&
                            [model.template.template_id, model.template.infer_format].filter(Boolean).join(" · ")
                        }
                    />
                    <Fact
                        name={t("Training job", "训练作业")}
                        value={[model.source_job_id, model.source_job_version].filter(Boolean).join(" · ")}
                    />
                    <dt>{t("Source", "来源")}</dt>
                    <dd>
                        <code>{model.source_location}</code> <Copy text={model.source_location} />
                    </dd>
                    <dt>{t("Size of the package", "模型包大小")}</dt>
                    <dd>{model.model_size ? bytes(model.model_size) : "–"}</dd>
                    <dt>{t("Created", "创建时间")}</dt>
                    <dd>
                        {dateAndTime(model.create_at)} {offset(model.create_at)}
                    </dd>
                    <dt>{t("Owner", "创建者")}</dt>
                    <dd>{model.owner}</dd>
                    <dt>ID</dt>
                    <dd>
                        <code>{model.model_id}</code> <Copy text={model.model_id} />
                    </dd>
                    <Metrics text={model.model_metrics} />
                </dl>
            </section>
            {model.image_digest ? (
                <Image model={model} />
            ) : (
                <p class="quiet">{t("There is no image yet.", "还没有镜像。")}</p>
            )}
        </>
    );
}

function Fact({ name, value }: { name: string; value: string | undefined }) {
    if (!value) return null;
    return (
        <>
            <dt>{name}</dt>
            <dd>{value}</dd>
        </>
    );
}

function Metrics({ text }: { text: string | undefined }) {
    let metrics: Record<string, number> = {};
    try {
        metrics = JSON.parse(text || "{}");
    } catch {
        return null;
    }
    const entries = Object.entries(metrics ?? {});
    if (!entries.length) return null;
    return (
        <Fact
            name={t("Metrics", "指标")}
            value={entries.map(([name, value]) => `${name} ${Number(value.toPrecision(6))}`).join(" · ")}
        />
    );
}

function Description({ live, model }: { live: LiveModel; model: ModelDetails }) {
    const edited = useSignal<string | null>(null);
    const error = useSignal<unknown>(null);
    if (edited.value === null)
        return (
            <>
                {model.description || <span class="quiet">{t("none", "无")}</span>}{" "}
                {mayWrite() && (
                    <button
                        type="button"
                        class="small"
                        aria-label={t("Edit the description", "编辑描述")}
                        onClick={() => (edited.value = model.description)}
                    >
                        {t("Edit", "编辑")}
                    </button>
                )}
            </>
        );
    const save = async (event: SubmitEvent) => {
        event.preventDefault();
        error.value = null;
        try {
            await ask("PUT", projectPath(live.project, "models", live.id), { body: { description: edited.value } });
            edited.value = null;
            await live.look();
        } catch (failed) {
            error.value = failed;
        }
    };
    return (
        <form class="row" onSubmit={save}>
            <input
                class="grow"
                aria-label={t("Description", "描述")}
                maxLength={100}
                value={edited.value}
                onInput={(event) => (edited.value = event.currentTarget.value)}
                autofocus
            />
            <button type="submit" class="primary">
                {t("Save", "保存")}
            </button>
            <button type="button" onClick={() => (edited.value = null)}>
                {t("Back", "返回")}
            </button>
            {error.value !== null && <Problem error={error.value} />}
        </form>
    );
}

function Image({ model }: { model: ModelDetails }) {
    const address = model.image_address ?? "";
    // PROJECT/NAME:VERSION is in the server's own registry, what is longer in another one.
    const own = address.split("/").length === 2;
    const image = own ? `${location.host}/${address}` : address;
    const registry = image.split("/")[0];
    const plain = own && location.protocol === "http:" ? "--tls-verify=false " : "";
    return (
        <section class="card">
            <h2>{t("Image", "镜像")}</h2>
            <dl class="facts">
                <dt>{t("Reference", "镜像地址")}</dt>
                <dd>
                    <code>{address}</code> <Copy text={address} />
                </dd>
                <dt>{t("Digest", "摘要")}</dt>
                <dd>
                    <code>{model.image_digest}</code> <Copy text={model.image_digest!} />
                </dd>
                <dt>{t("Size", "大小")}</dt>
                <dd>
                    {bytes(model.image_size ?? 0)} ·{" "}
                    {t(plural(model.layers.length, "layer", "layers"), `${model.layers.length} 层`)}
                </dd>
            </dl>
            <Layers layers={model.layers} />
            <h3>{t("Look at it, run it", "查看与运行")}</h3>
            <p class="quiet">
                {t(
                    "From any machine that reaches the registry; where it asks for a login, ",
                    "在可访问该镜像仓库的任意机器上执行;若需要登录,先执行 ",
                )}
                <code>podman login {registry}</code>
                {own ? t(" with any name and a token as password:", "(任意用户名,以 token 作为密码):") : t(":", ":")}
            </p>
            <Command text={`skopeo inspect ${plain}docker://${image}`} />
            <Command text={`podman run --rm ${plain}-p 8080:8080 ${image}`} />
        </section>
    );
}

const ORIGINS: Record<string, [string, string]> = {
    base: ["base image", "基础镜像"],
    environment: ["environment", "运行环境"],
    model: ["model files", "模型文件"],
    source: ["source image", "源镜像"],
};

function originName(origin: string): string {
    const names = ORIGINS[origin];
    return names ? t(...names) : origin;
}

/** The layers by size: a bar of the whole, and a row each. */
function Layers({ layers }: { layers: Layer[] }) {
    const whole = Math.max(
        1,
        layers.reduce((sum, layer) => sum + layer.size, 0),
    );
    let x = 0;
    return (
        <>
            <svg class="layers-bar" width="100%" height="18" aria-hidden="true">
                {layers.map((layer) => {
                    const width = (100 * layer.size) / whole;
                    const at = x;
                    x += width;
                    return (
                        <rect class={`layer layer-${layer.origin}`} x={`${at}%`} width={`${width}%`} y="0" height="18">
                            <title>{`${originName(layer.origin)} ${bytes(layer.size)}`}</title>
                        </rect>
                    );
                })}
            </svg>
            <Wide label={t("Layers", "镜像层")}>
                <table>
                    <thead>
                        <tr>
                            <th scope="col">{t("Layer", "镜像层")}</th>
                            <th scope="col">{t("From", "来源")}</th>
                            <th scope="col" class="number">
                                {t("Size", "大小")}
                            </th>
                            <th scope="col" class="number">
                                {t("Share", "占比")}
                            </th>
                        </tr>
                    </thead>
                    <tbody>
                        {layers.map((layer) => (
                            <tr>
                                <td>
                                    <code title={layer.digest}>{layer.digest.slice(0, 19)}…</code>{" "}
                                    <Copy text={layer.digest} />
                                </td>
                                <td>
                                    <span class={`swatch layer-${layer.origin}`} aria-hidden="true" />{" "}
                                    {originName(layer.origin)}
                                    {layer.files
                                        ? ` · ${t(plural(layer.files, "file", "files"), `${layer.files} 个文件`)}`
                                        : ""}
                                </td>
                                <td class="number">{bytes(layer.size)}</td>
                                <td class="number">{((100 * layer.size) / whole).toFixed(1)} %</td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </Wide>
        </>
    );
}
