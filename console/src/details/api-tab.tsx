// How the model is asked, once its image runs.
import { t } from "../text";
import type { ModelDetails } from "../types";
import { Command, Empty } from "../ui/parts";

interface Schema {
    type?: string;
    properties?: Record<string, Schema>;
    items?: Schema;
    description?: string;
    required?: string[];
    minimum?: number;
    minItems?: number;
    enum?: unknown[];
    [name: string]: unknown;
}

interface Api {
    url?: string;
    method?: string;
    protocol?: string;
    request?: { "Content-type"?: string; data?: Schema };
    response?: { "Content-type"?: string; data?: Schema };
}

function apisOf(model: ModelDetails): Api[] {
    try {
        const apis = JSON.parse(model.apis || "[]");
        return Array.isArray(apis) ? apis : [];
    } catch {
        return [];
    }
}

/** A value that fits the schema, to begin with. */
export function example(schema: Schema | undefined, depth = 0): unknown {
    if (!schema || depth > 8) return null;
    if (schema.enum?.length) return schema.enum[0];
    switch (schema.type) {
        case "object":
            return Object.fromEntries(
                Object.entries(schema.properties ?? {}).map(([name, inner]) => [name, example(inner, depth + 1)]),
            );
        case "array":
            return Array.from({ length: Math.min(Math.max(1, schema.minItems ?? 1), 16) }, () =>
                example(schema.items, depth + 1),
            );
        case "number":
        case "integer":
            return schema.minimum ?? 0;
        case "boolean":
            return false;
        case "string":
            return "";
        default:
            return null;
    }
}

function curlOf(api: Api): string {
    const method = (api.method ?? "POST").toUpperCase();
    const url = `http://localhost:8080${api.url ?? "/"}`;
    if (method === "GET") return `curl ${url}`;
    if ((api.request?.["Content-type"] ?? "").startsWith("multipart/")) {
        const fields = Object.keys(api.request?.data?.properties ?? { file: {} });
        return `curl ${fields.map((name) => `-F ${name}=@FILE`).join(" ")} ${url}`;
    }
    return `curl --json '${JSON.stringify(example(api.request?.data)).replaceAll("'", "'\\''")}' ${url}`;
}

function Body({ title, schema, type }: { title: string; schema?: Schema; type?: string }) {
    if (!schema) return null;
    return (
        <>
            <h3>
                {title} <span class="quiet">{type}</span>
            </h3>
            <pre class="schema" tabIndex={0}>
                {JSON.stringify(schema, null, 2)}
            </pre>
        </>
    );
}

export function ApiTab({ model }: { model: ModelDetails }) {
    const apis = apisOf(model);
    if (!apis.length)
        return (
            <Empty>
                <p>
                    {t(
                        "config.json describes no API. By default the model answers",
                        "config.json 未描述 API。默认情况下模型响应",
                    )}
                </p>
                <Command text="curl --json '{}' http://localhost:8080/" />
                <Command text="curl http://localhost:8080/health" />
            </Empty>
        );
    return (
        <>
            {apis.map((api) => (
                <section class="card">
                    <h2>
                        <code>
                            {(api.method ?? "POST").toUpperCase()} {api.url ?? "/"}
                        </code>
                    </h2>
                    <Command text={curlOf(api)} />
                    <Body
                        title={t("Request", "请求")}
                        schema={api.request?.data}
                        type={api.request?.["Content-type"]}
                    />
                    <Body
                        title={t("Response", "响应")}
                        schema={api.response?.data}
                        type={api.response?.["Content-type"]}
                    />
                </section>
            ))}
        </>
    );
}
