// Terminal colours (ECMA-48, SGR) as classes; every other control sequence is left out. What is in the
// text stays text.

export interface Run {
    text: string;
    /** Names of classes: "fg-1 bold". */
    style: string;
}

// CSI sequences, OSC strings with their end, other escapes, and lone control characters.
const CONTROL =
    /\u001b\[([0-9;:<=>?]*)[ -/]*([@-~])?|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[@-Z\\-_]?|[\u0000-\u0008\u000b-\u001f\u007f]/g;

interface Pen {
    fg: number;
    bg: number;
    bold: boolean;
    dim: boolean;
    italic: boolean;
    underline: boolean;
}

const PLAIN: Pen = { fg: -1, bg: -1, bold: false, dim: false, italic: false, underline: false };

/** The 256-colour cube's nearest of the sixteen, which the themes have readable shades of. */
function ofPalette(index: number): number {
    if (index < 16) return index;
    if (index >= 232) return index < 244 ? 8 : 7;
    const level = index - 16;
    const on = (value: number) => (value > 2 ? 1 : 0);
    const bits = on(Math.floor(level / 36)) | (on(Math.floor(level / 6) % 6) << 1) | (on(level % 6) << 2);
    return bits === 0 ? 8 : bits;
}

function set(pen: Pen, codes: number[]): Pen {
    const next = { ...pen };
    for (let i = 0; i < codes.length; i++) {
        const code = codes[i]!;
        if (code === 0) Object.assign(next, PLAIN);
        else if (code === 1) next.bold = true;
        else if (code === 2) next.dim = true;
        else if (code === 3) next.italic = true;
        else if (code === 4) next.underline = true;
        else if (code === 22) next.bold = next.dim = false;
        else if (code === 23) next.italic = false;
        else if (code === 24) next.underline = false;
        else if (code >= 30 && code <= 37) next.fg = code - 30;
        else if (code >= 90 && code <= 97) next.fg = code - 82;
        else if (code === 39) next.fg = -1;
        else if (code >= 40 && code <= 47) next.bg = code - 40;
        else if (code >= 100 && code <= 107) next.bg = code - 92;
        else if (code === 49) next.bg = -1;
        else if (code === 38 || code === 48) {
            const isPalette = codes[i + 1] === 5;
            const colour = isPalette ? ofPalette(codes[i + 2] ?? 7) : 7;
            if (code === 38) next.fg = colour;
            else next.bg = colour;
            i += isPalette ? 2 : 4;
        }
    }
    return next;
}

function styleOf(pen: Pen): string {
    const names = [];
    if (pen.fg >= 0) names.push(`fg-${pen.fg}`);
    if (pen.bg >= 0) names.push(`bg-${pen.bg}`);
    if (pen.bold) names.push("bold");
    if (pen.dim) names.push("dim");
    if (pen.italic) names.push("italic");
    if (pen.underline) names.push("underline");
    return names.join(" ");
}

/** A line by itself: colours do not run on from the line before. */
export function runsOf(line: string): Run[] {
    const runs: Run[] = [];
    let pen = PLAIN;
    let from = 0;
    const put = (text: string) => {
        if (!text) return;
        const style = styleOf(pen);
        const last = runs.at(-1);
        if (last?.style === style) last.text += text;
        else runs.push({ text, style });
    };
    for (const match of line.matchAll(CONTROL)) {
        put(line.slice(from, match.index));
        from = match.index! + match[0].length;
        if (match[2] === "m") pen = set(pen, (match[1] || "0").split(/[;:]/).map(Number));
    }
    put(line.slice(from));
    return runs;
}

export function plainText(line: string): string {
    return line.replace(CONTROL, "");
}
