// Parts that need no browser.
import { expect, test } from "@playwright/test";
import { plainText, runsOf } from "../src/log/ansi";
import { SseReader } from "../src/sse";

function read(pieces: string[]): [string, string, string][] {
    const taken: [string, string, string][] = [];
    const reader = new SseReader((name, data, id) => taken.push([name, data, id]));
    for (const piece of pieces) reader.push(piece);
    return taken;
}

test("events come whole, however the connection cuts them", () => {
    const text =
        'id: 1\nevent: normal\ndata: {"a":\ndata: "中"}\n\n: still here\n\nevent: progress\ndata: {}\n\nid: 2\ndata: x';
    const whole: [string, string, string][] = [
        ["normal", '{"a":\n"中"}', "1"],
        ["progress", "{}", "1"],
    ];
    expect(read([text])).toEqual(whole);
    expect(read([...text])).toEqual(whole);
    expect(read([text, "\n\n"])).toEqual([...whole, ["message", "x", "2"]]);
    expect(read(["data: a\r\n\r\ndata:b\r", "\n\r\n"])).toEqual([
        ["message", "a", ""],
        ["message", "b", ""],
    ]);
});

test("colours of a terminal become classes, every other sequence goes", () => {
    expect(runsOf("plain")).toEqual([{ text: "plain", style: "" }]);
    expect(runsOf("\u001b[1;31merror\u001b[0m: \u001b[38;5;46mgo\u001b[39m")).toEqual([
        { text: "error", style: "fg-1 bold" },
        { text: ": ", style: "" },
        { text: "go", style: "fg-2" },
    ]);
    expect(runsOf("\u001b[2K\u001b]0;title\u0007a\u001b[1Ab\u0000\u0007")).toEqual([{ text: "ab", style: "" }]);
    expect(runsOf("\u001b[38;2;1;2;3mx\u001b[999;;mz\u001b[")).toEqual([
        { text: "x", style: "fg-7" },
        { text: "z", style: "" },
    ]);
    expect(plainText("\u001b[31m<b>\u001b[m")).toBe("<b>");
});
