import { render } from "preact";
import { App } from "./app";
import "uplot/dist/uPlot.min.css";
import "./board.css";

render(<App />, document.getElementById("page")!);
