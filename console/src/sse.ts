// Server-sent events out of the pieces that a connection delivers (HTML, "Server-sent events"): fields
// end with a line, events with an empty one; comments are passed over.

export class SseReader {
    private rest = "";
    private name = "";
    private data: string[] = [];
    private id = "";

    constructor(private readonly take: (name: string, data: string, id: string) => void) {}

    push(text: string): void {
        const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
        this.rest = lines.pop()!;
        for (const line of lines) this.line(line);
    }

    private line(line: string): void {
        if (line === "") {
            this.dispatch();
            return;
        }
        const colon = line.indexOf(":");
        const field = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "event") this.name = value;
        else if (field === "data") this.data.push(value);
        else if (field === "id") this.id = value;
    }

    private dispatch(): void {
        if (this.data.length) this.take(this.name || "message", this.data.join("\n"), this.id);
        this.name = "";
        this.data = [];
    }
}
