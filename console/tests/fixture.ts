// A running `waybill serve` on a data directory of its own, and packages to import.
import { test as base, expect } from "@playwright/test";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const PROGRAM = resolve(process.env.WAYBILL ?? join(ROOT, "build/waybill"));
const MAKE_BASE = `import sys; sys.dont_write_bytecode = True; sys.path.insert(0, sys.argv[2])
from oci_layout import make_base
make_base(sys.argv[1])`;

export const CONFIG = { model_algorithm: "digits", model_type: "Custom" };

export interface Answer {
    status: number;
    json: any;
}

export class Waybill {
    readonly directory = realpathSync(mkdtempSync(join(tmpdir(), "waybill-console-")));
    readonly environment: NodeJS.ProcessEnv;
    url = "";
    private listen = "127.0.0.1:0";
    private process?: ChildProcess;

    constructor() {
        this.environment = Object.fromEntries(
            Object.entries(process.env).filter(([name]) => !/^(WAYBILL|GITHUB_ACTIONS|GITLAB_CI)/.test(name)),
        );
        Object.assign(this.environment, {
            WAYBILL_DATA: join(this.directory, "data"),
            LC_ALL: "C.UTF-8",
            WAYBILL_LANG: "en",
            NO_COLOR: "1",
        });
    }

    /** Runs a command to its end. */
    run(...words: string[]): { status: number | null; stdout: string; stderr: string } {
        return spawnSync(PROGRAM, words, { env: this.environment, encoding: "utf8" });
    }

    /** A base image, and a runtime of it. */
    addRuntime(): void {
        const layout = join(this.directory, "base");
        const made = spawnSync("/usr/bin/python3", ["-c", MAKE_BASE, layout, join(ROOT, "tests/integration")], {
            encoding: "utf8",
        });
        expect(made.status, made.stderr).toBe(0);
        const added = this.run("runtime", "add", "base", "--image", `oci:${layout}:latest`);
        expect(added.status, added.stderr).toBe(0);
    }

    /** Restarts keep the port. */
    async start(...settings: string[]): Promise<void> {
        const words = [
            "serve",
            "--set",
            `server.listen=${this.listen}`,
            "--set",
            `server.import_roots=${this.directory}`,
        ];
        for (const setting of settings) words.push("--set", setting);
        const child = spawn(PROGRAM, words, {
            env: this.environment,
            stdio: ["ignore", "pipe", openSync(join(this.directory, "server.log"), "a")],
        });
        this.process = child;
        this.url = await new Promise((done, failed) => {
            let text = "";
            child.stdout!.on("data", (part) => {
                text += part;
                const found = /http:\/\/\S+/.exec(text);
                if (found && text.includes("\n")) done(found[0]);
            });
            child.on("exit", (status) => failed(new Error(`the server ended: ${status} ${text}`)));
        });
        this.listen = new URL(this.url).host;
    }

    async stop(how: NodeJS.Signals = "SIGTERM"): Promise<void> {
        const child = this.process;
        if (!child || child.exitCode !== null || child.signalCode !== null) return;
        const ended = new Promise((done) => child.once("exit", done));
        child.kill(how);
        await ended;
    }

    /** A folder with model/config.json and what else is given: {"model/weights.bin": "…"}. */
    package(
        name: string,
        config: unknown = CONFIG,
        files: Record<string, string | Buffer> = { "model/weights.bin": "weights" },
    ): string {
        const folder = join(this.directory, "packages", name);
        const all: Record<string, string | Buffer> = { ...files };
        if (config !== null)
            all["model/config.json"] = typeof config === "string" ? config : `${JSON.stringify(config, null, 2)}\n`;
        for (const [path, contents] of Object.entries(all)) {
            mkdirSync(dirname(join(folder, path)), { recursive: true });
            writeFileSync(join(folder, path), contents);
        }
        return folder;
    }

    async ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
        const answer = await fetch(`${this.url}${path}`, {
            method,
            headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
        const text = await answer.text();
        return { status: answer.status, json: text.startsWith("{") ? JSON.parse(text) : text };
    }

    /** Imports over HTTP; the model's id. */
    async create(folder: string, fields: Record<string, unknown> = {}): Promise<string> {
        const answer = await this.ask("POST", "/v1/default/models", {
            model_name: folder.split("/").pop(),
            model_version: "0.0.1",
            model_type: "Custom",
            source_location: `file://${folder}`,
            ...fields,
        });
        expect(answer.status, JSON.stringify(answer.json)).toBe(200);
        return answer.json.model_id;
    }

    /** The details once the import has ended. */
    async settled(id: string): Promise<any> {
        for (;;) {
            const details = (await this.ask("GET", `/v1/default/models/${id}?wait=30`)).json;
            if (!["publishing", "building"].includes(details.model_status)) return details;
        }
    }

    async imported(folder: string, fields: Record<string, unknown> = {}): Promise<string> {
        const id = await this.create(folder, fields);
        await this.settled(id);
        return id;
    }

    remove(): void {
        rmSync(this.directory, { recursive: true, force: true });
    }
}

/** waybill: a server with a runtime; page errors and refusals of the page's policy fail the test. */
export const test = base.extend<{ waybill: Waybill }>({
    waybill: async ({ page }, use) => {
        const waybill = new Waybill();
        const faults: string[] = [];
        page.on("pageerror", (error) => faults.push(error.message));
        page.on("console", (message) => {
            if (message.type() === "error" && /Content.Security.Policy/i.test(message.text()))
                faults.push(message.text());
        });
        try {
            waybill.addRuntime();
            await waybill.start();
            await use(waybill);
            expect(faults).toEqual([]);
        } finally {
            await waybill.stop();
            waybill.remove();
        }
    },
});

export { expect };
