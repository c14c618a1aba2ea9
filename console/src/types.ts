// What the API answers (docs/api.md), as far as the console reads it. Times are ms since 1970, UTC.

export type EventType = "normal" | "abnormal" | "hint";
export type FixBy = "you" | "admin" | "wait";
export type ModelStatus = "publishing" | "published" | "failed" | "building" | "building_failed";

/** What config.json may say its model_type is. */
export const MODEL_TYPES = [
    "TensorFlow",
    "PyTorch",
    "MindSpore",
    "MXNet",
    "Caffe",
    "XGBoost",
    "Scikit_Learn",
    "Spark_MLlib",
    "ONNX",
    "LLM",
    "Custom",
    "Image",
];

export interface Snippet {
    first_line: number;
    lines: string[];
    column?: number;
    length?: number;
}

export interface HttpExchange {
    method?: string;
    url?: string;
    status?: number;
    body?: string;
}

/** Members that have a picture of their own; the others are shown as name and value. */
export interface Evidence {
    file?: string;
    path?: string;
    line?: number;
    column?: number;
    pointer?: string;
    found?: unknown;
    expected?: unknown;
    size?: number;
    limit?: number;
    snippet?: Snippet;
    http?: HttpExchange;
    command?: string;
    exit_status?: number;
    log?: { from: number; to: number };
    error_lines?: string[];
    [name: string]: unknown;
}

export interface Event {
    event_id: string;
    seq: number;
    occur_time: number;
    event_type: EventType;
    reason: string;
    stage: string;
    attempt: number;
    event_info: string;
    event_info_cn: string;
    params: Record<string, unknown>;
    solution: string | null;
    solution_cn: string | null;
    faq: string | null;
    evidence?: Evidence;
    cause?: number;
    causes?: number[];
    kind?: string;
    summary?: string;
    summary_cn?: string;
    advice?: string[];
    advice_cn?: string[];
    fix_by?: FixBy;
    retryable?: boolean;
    retry_at?: number;
    actor?: string;
    duration_ms?: number;
}

/** What POST …/models/check finds: an event that did not happen. */
export type Finding = Omit<Event, "event_id" | "seq" | "occur_time" | "attempt">;

export interface LastEvent {
    seq: number;
    occur_time: number;
    event_type: EventType;
    reason: string;
    event_info: string;
    event_info_cn: string;
}

export interface Failure {
    seq: number;
    reason: string;
    kind?: string;
    place?: string;
    summary?: string;
    summary_cn?: string;
    event_info: string;
    event_info_cn: string;
    fix_by?: FixBy;
    retryable?: boolean;
    /** On details: the event itself, and the seq of every cause. */
    event?: Event;
    causes?: number[];
}

export interface Progress {
    stage: string;
    since?: number;
    bytes_done?: number;
    bytes_total?: number;
    file?: string;
    rate?: number;
    eta_ms?: number;
    worker?: string;
    heartbeat_age_ms?: number;
    queue?: { position: number; ahead: number; workers_alive: number; workers_busy: number };
    waits_for?: { kind: string; state: string; worker?: string };
    hint?: string;
    hint_cn?: string;
}

export interface Model {
    model_id: string;
    model_name: string;
    model_version: string;
    model_type: string;
    model_size: number;
    model_status: ModelStatus;
    description: string;
    project: string;
    owner: string;
    create_at: number;
    attempt: number;
    last_event: LastEvent | null;
    failure?: Failure;
    progress?: Progress;
    source_location?: string;
}

export interface Layer {
    digest: string;
    size: number;
    media_type: string;
    origin: string;
    files: number;
}

export interface Package {
    package_name: string;
    package_version?: string;
    restraint?: "EXACT" | "ATLEAST" | "ATMOST";
}

export interface Dependency {
    installer: string;
    packages: Package[];
}

export interface ModelDetails extends Model {
    source_location: string;
    model_algorithm?: string;
    runtime?: string;
    config?: string;
    apis?: string;
    /** "dynamic": the files are fetched when the image starts. Unset: they are packed. */
    load_mode?: "packed" | "dynamic";
    template?: { template_id: string; infer_format?: string };
    source_job_id?: string;
    source_job_version?: string;
    model_metrics?: string;
    dependencies: Dependency[];
    /** What was really installed for them. */
    packages?: { installer: string; name: string; version: string }[];
    layers: Layer[];
    image_address?: string;
    image_digest?: string;
    image_size?: number;
}

export interface ModelList {
    total_count: number;
    count: number;
    models: Model[];
}

export interface EventList {
    model_id: string;
    model_name: string;
    total_count: number;
    count: number;
    last_seq: number;
    events: Event[];
}

export interface Whoami {
    user: string;
    project: string;
    role: "reader" | "writer" | "admin";
    open: boolean;
}

/** A frame of the project's stream: a model that is new or changed. */
export interface ModelChange {
    model_id: string;
    model_name: string;
    model_version: string;
    model_type: string;
    model_status: ModelStatus;
    description: string;
    create_at: number;
    attempt: number;
    last_seq: number;
    last_event: LastEvent | null;
}
