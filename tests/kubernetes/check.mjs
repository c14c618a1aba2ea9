// Checks Kubernetes objects, a JSON array on standard input, by the JSON schemas of the API: ajv's
// validators, compiled from Kubernetes' OpenAPI description, in the package kubernetes-models. They let
// fields pass that there are not; so the same objects are written out as TypeScript, whose compiler
// refuses those (the argument names the file). What is wrong is said, a line each; exit status 1.
import { readFileSync, writeFileSync } from "node:fs";

const objects = JSON.parse(readFileSync(0, "utf8"));
const lines = [];
let faults = 0;

for (const [index, object] of objects.entries()) {
    const { apiVersion, kind } = object;
    const path = `kubernetes-models/${apiVersion}/${kind}`;
    const name = `${kind} ${object.metadata?.namespace ?? "-"}/${object.metadata?.name}`;
    try {
        const model = await import(path);
        new model[kind](object).validate();
    } catch (error) {
        faults++;
        console.log(`${name}: ${error.message}`);
        continue;
    }
    lines.push(`import type { I${kind} as T${index} } from "${path}"; // ${name}`);
    lines.push(`export const object${index}: T${index} = ${JSON.stringify(object)};`);
}
writeFileSync(process.argv[2], lines.join("\n") + "\n");
process.exitCode = faults ? 1 : 0;
