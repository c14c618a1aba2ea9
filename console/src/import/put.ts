// One PUT of a file or a part of it. XMLHttpRequest, as fetch does not tell how far a body is.
import { ApiError, whoami } from "../api";
import { language } from "../preferences";
import { t } from "../text";

export class PutError extends ApiError {
    /** offset: what the server has of the file, where it says so (416). */
    constructor(
        status: number,
        code: string,
        message: string,
        readonly offset?: number,
        readonly complete = false,
    ) {
        super(status, code, message);
    }
}

export interface PutAnswer {
    offset: number;
    complete: boolean;
}

/** What is the matter, in the reader's language; the server's own words follow. */
function lead(status: number): string {
    switch (status) {
        case 409:
            return t("The upload is in use: ", "该上传正被使用:");
        case 413:
            return t("The package is larger than the server takes: ", "模型包超过服务器允许的大小:");
        case 507:
            return t(
                "The server's disk has no room for it; an administrator must make some: ",
                "服务器磁盘空间不足,请管理员清理:",
            );
        default:
            return "";
    }
}

function failureOf(request: XMLHttpRequest): PutError {
    const offset = request.getResponseHeader("Upload-Offset");
    const place = request.status === 416 && offset !== null ? Number(offset) : undefined;
    let code = "";
    let message = request.responseText || `HTTP ${request.status}`;
    try {
        const body = JSON.parse(request.responseText);
        code = String(body.error_code ?? "");
        message = String(body.error_msg ?? message);
    } catch {
        // not JSON: a proxy's page
    }
    return new PutError(
        request.status,
        code,
        lead(request.status) + message,
        place,
        request.getResponseHeader("Upload-Complete") === "?1",
    );
}

/** Sends at most `most` bytes from the offset on. */
export function putPart(
    url: string,
    file: File,
    from: number,
    most: number,
    signal: AbortSignal,
    onProgress: (loaded: number) => void,
): Promise<PutAnswer> {
    const end = Math.min(file.size, from + most);
    const whole = from === 0 && end === file.size;
    return new Promise((done, failed) => {
        const request = new XMLHttpRequest();
        const abort = () => request.abort();
        request.open("PUT", url);
        request.setRequestHeader("Content-Type", "application/octet-stream");
        request.setRequestHeader("X-Language", language.value === "zh" ? "zh-cn" : "en-us");
        if (!whole) request.setRequestHeader("Content-Range", `bytes ${from}-${end - 1}/${file.size}`);
        request.upload.onprogress = (event) => onProgress(event.loaded);
        request.onloadend = () => {
            signal.removeEventListener("abort", abort);
            if (request.status >= 200 && request.status < 300)
                done({
                    offset: Number(request.getResponseHeader("Upload-Offset")),
                    complete: request.getResponseHeader("Upload-Complete") === "?1",
                });
            else if (request.status === 0) failed(new PutError(0, "", t("The connection was broken.", "连接已中断。")));
            else {
                if (request.status === 401) void whoami().catch(() => undefined);
                failed(failureOf(request));
            }
        };
        signal.addEventListener("abort", abort);
        request.send(whole ? file : file.slice(from, end));
    });
}
