// A component that is rendered anew only when a property or a signal it reads has changed.
import { Component, h, type ComponentChild, type FunctionComponent } from "preact";

export function memo<P extends object>(render: FunctionComponent<P>): FunctionComponent<P> {
    class Memo extends Component<P> {
        shouldComponentUpdate(next: Readonly<P>): boolean {
            const now = this.props as Record<string, unknown>;
            const then = next as Record<string, unknown>;
            const names = Object.keys(then);
            return names.length !== Object.keys(now).length || names.some((name) => now[name] !== then[name]);
        }
        render(): ComponentChild {
            return h(render, this.props as P);
        }
    }
    return Memo as unknown as FunctionComponent<P>;
}
