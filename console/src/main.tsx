import { render } from "preact";
import "../style/base.css";
import "../style/parts.css";
import "../style/models.css";
import "../style/events.css";
import "../style/log.css";
import "../style/import.css";
import "../style/pages.css";
import { App } from "./app";

render(<App />, document.getElementById("app")!);
