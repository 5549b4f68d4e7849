/** Panels that are not over time alone: numbers, distributions, heat maps, lists. */

import { useEffect, useRef, useState } from "preact/hooks";
import * as colors from "./colors";
import * as format from "./format";
import { useSize } from "./size";
import type { Answer, Filter, Panel, Value } from "./types";

export function Single({ answer, panel }: { answer: Answer; panel: Panel }) {
  const unit = panel.unit ?? format.unitOfMeasure(panel.measure ?? "");
  const change = answer.value != null && answer.before ? answer.value / answer.before - 1 : null;
  const tone = change === null || Math.abs(change) < 0.01 || !panel.better ? "" : change > 0 === (panel.better === "up") ? "good" : "worse";
  return (
    <div class="single">
      <div class="single-value">
        {format.number(answer.value, unit === "percent" ? "percent" : unit)}
        {change !== null && Math.abs(change) >= 0.005 && (
          <span class={`change ${tone}`} title={`${format.number(answer.before, unit)} in the time before`}>
            {change > 0 ? "+" : "−"}
            {Math.abs(change) > 9.99 ? `×${format.compact(change + 1)}` : `${Math.abs(change * 100).toFixed(Math.abs(change) < 0.1 ? 1 : 0)}%`}
          </span>
        )}
      </div>
      <Spark values={answer.spark ?? []} />
    </div>
  );
}

function Spark({ values }: { values: (number | null)[] }) {
  const known = values.filter((v): v is number => v !== null);
  if (known.length < 2) return <div class="spark" />;
  const low = Math.min(...known, 0);
  const high = Math.max(...known);
  const y = (v: number) => 28 - ((v - low) / (high - low || 1)) * 26;
  const points = values.map((v, n) => (v === null ? null : `${(n / (values.length - 1)) * 100},${y(v).toFixed(2)}`)).filter(Boolean);
  return (
    <svg class="spark" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
      <path class="spark-area" d={`M${points[0]!.split(",")[0]},30 L${points.join(" L")} L${points.at(-1)!.split(",")[0]},30Z`} />
      <path class="spark-line" d={`M${points.join(" L")}`} vector-effect="non-scaling-stroke" />
    </svg>
  );
}

export function Distribution({ answer, panel, onFilter }: { answer: Answer; panel: Panel; onFilter: (chips: Filter[]) => void }) {
  const [over, setOver] = useState<number | null>(null);
  const [from, setFrom] = useState<number | null>(null);
  if (answer.categories) return <List items={answer.categories.map((c) => ({ ...c, rows: c.value }))} unit="" onPick={(value) => onFilter([{ column: panel.column!, op: "=", value }])} />;
  const edges = answer.edges ?? [];
  const counts = answer.counts ?? [];
  if (!counts.length) return <Nothing text={`No row in this range has ${format.column(panel.column ?? "a value")}.`} />;
  const unit = panel.unit ?? format.unitOf(panel.column ?? "");
  const most = Math.max(...counts);
  const stats = answer.stats ?? {};
  const pick = (a: number, b: number) => {
    const [low, high] = [Math.min(a, b), Math.max(a, b)];
    const chips: Filter[] = [{ column: panel.column!, op: ">=", value: rounded(edges[low]!) }];
    if (high < counts.length - 1) chips.push({ column: panel.column!, op: "<", value: rounded(edges[high + 1]!) });
    onFilter(chips);
  };
  const marked = (n: number) => (from !== null && over !== null ? n >= Math.min(from, over) && n <= Math.max(from, over) : n === over);
  return (
    <div class="distribution">
      <div class="bars" onPointerLeave={() => { setOver(null); setFrom(null); }}>
        {counts.map((value, n) => (
          <button type="button" tabIndex={-1} class={`bar ${marked(n) ? "on" : ""}`} key={n} aria-label={`${format.number(edges[n], unit)} to ${format.number(edges[n + 1], unit)}: ${format.count(value)} rows`} onPointerEnter={() => setOver(n)} onPointerDown={() => setFrom(n)} onPointerUp={() => { if (from !== null && !panel.source) pick(from, n); setFrom(null); }}>
            <i style={{ height: `${most ? Math.max(value ? 2 : 0, (value / most) * 100) : 0}%` }} />
          </button>
        ))}
      </div>
      <div class="distribution-axis">
        <span>{format.number(edges[0], unit)}</span>
        <span class="distribution-note">{over !== null ? `${format.number(edges[over], unit)} – ${format.number(edges[over + 1], unit)}: ${format.count(counts[over]!)}` : ""}</span>
        <span>{format.number(edges.at(-1), unit)}</span>
      </div>
      <dl class="stats">
        {(["p50", "p95", "p99", "mean", "max"] as const).map((key) => (
          <div key={key}>
            <dt>{key === "p50" ? "median" : key}</dt>
            <dd>{format.number(stats[key], unit)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

const rounded = (value: number) => Number(value.toPrecision(4));

export function HeatMap({ answer, panel, theme, onBox }: { answer: Answer; panel: Panel; theme: string; onBox: (start: number, end: number, chips: Filter[]) => void }) {
  const { ref, width, height } = useSize<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drag, setDrag] = useState<{ x: number; y: number; x2: number; y2: number } | null>(null);
  const [said, setSaid] = useState("");
  const unit = panel.unit ?? format.unitOf(panel.column ?? "");
  const edges = answer.edges ?? [];
  const rows = Math.max(1, edges.length - 1);
  const plot = { left: 52, right: 8, top: 8, bottom: 24 };
  const inner = { width: Math.max(1, width - plot.left - plot.right), height: Math.max(1, height - plot.top - plot.bottom) };
  useEffect(() => {
    if (canvas.current && answer.bins && width > 60) draw(canvas.current, answer, { width, height, plot, inner, rows, unit });
  }, [answer, width, height, theme]);
  if (!answer.bins || !answer.cells?.length) return <Nothing text={`No row in this range has ${format.column(panel.column ?? "a value")}.`} />;
  const cellAt = (x: number, y: number) => ({
    column: Math.max(0, Math.min(answer.bins!.count - 1, Math.floor(((x - plot.left) / inner.width) * answer.bins!.count))),
    row: Math.max(0, Math.min(rows - 1, Math.floor((1 - (y - plot.top) / inner.height) * rows))),
  });
  const place = (event: PointerEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const tell = (x: number, y: number) => {
    const { column, row } = cellAt(x, y);
    const found = answer.cells!.find((cell) => cell[0] === column && cell[1] === row)?.[2] ?? 0;
    const start = answer.bins!.start + column * answer.bins!.width;
    setSaid(`${format.span(start, start + answer.bins!.width)} · ${format.number(edges[row], unit)} – ${format.number(edges[row + 1], unit)} · ${format.count(found)}`);
  };
  const finish = () => {
    if (drag && Math.abs(drag.x - drag.x2) + Math.abs(drag.y - drag.y2) > 6) {
      const a = cellAt(Math.min(drag.x, drag.x2), Math.max(drag.y, drag.y2));
      const b = cellAt(Math.max(drag.x, drag.x2), Math.min(drag.y, drag.y2));
      const { start, width: bin } = answer.bins!;
      const chips: Filter[] = [{ column: panel.column!, op: ">=", value: rounded(edges[a.row]!) }];
      if (b.row < rows - 1) chips.push({ column: panel.column!, op: "<", value: rounded(edges[b.row + 1]!) });
      onBox(start + a.column * bin, start + (b.column + 1) * bin, chips);
    }
    setDrag(null);
  };
  return (
    <div class="chart heat" ref={ref} role="img" aria-label={`Heat map of ${format.column(panel.column ?? "")} over time`} onPointerDown={(e) => { const p = place(e); (e.currentTarget as HTMLElement).setPointerCapture(e.pointerId); setDrag({ ...p, x2: p.x, y2: p.y }); }} onPointerMove={(e) => { const p = place(e); tell(p.x, p.y); if (drag) setDrag({ ...drag, x2: p.x, y2: p.y }); }} onPointerUp={finish} onPointerLeave={() => setSaid("")}>
      <canvas ref={canvas} />
      {drag && <div class="box" style={{ left: `${Math.min(drag.x, drag.x2)}px`, top: `${Math.min(drag.y, drag.y2)}px`, width: `${Math.abs(drag.x - drag.x2)}px`, height: `${Math.abs(drag.y - drag.y2)}px` }} />}
      {said && <div class="heat-note">{said}</div>}
    </div>
  );
}

interface Plot {
  width: number;
  height: number;
  plot: { left: number; right: number; top: number; bottom: number };
  inner: { width: number; height: number };
  rows: number;
  unit: string;
}

function draw(canvas: HTMLCanvasElement, answer: Answer, { width, height, plot, inner, rows, unit }: Plot) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d")!;
  pen.scale(ratio, ratio);
  const { count, start, width: bin } = answer.bins!;
  const most = Math.max(...answer.cells!.map((cell) => cell[2]));
  const color = colors.css("--s0");
  const [w, h] = [inner.width / count, inner.height / rows];
  for (const [x, y, n] of answer.cells!) {
    pen.fillStyle = colors.faded(color, 0.12 + 0.88 * Math.sqrt(n / most));
    pen.fillRect(plot.left + x * w + 0.5, plot.top + (rows - 1 - y) * h + 0.5, Math.max(1, w - 1), Math.max(1, h - 1));
  }
  pen.font = `11px ${colors.css("--sans")}`;
  pen.fillStyle = colors.css("--muted");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  const step = Math.max(1, Math.ceil(rows / (inner.height / 34)));
  for (let n = 0; n <= rows; n += step) pen.fillText(format.number(answer.edges![n], unit), plot.left - 8, plot.top + inner.height - n * h);
  pen.textAlign = "center";
  pen.textBaseline = "alphabetic";
  const labels = Math.max(1, Math.floor(inner.width / 90));
  for (let n = 0; n < labels; n += 1) {
    const at = start + ((n + 0.5) / labels) * count * bin;
    const date = new Date(at / 1000);
    const text = count * bin > 2 * 86_400e6 ? date.toLocaleDateString("en", { month: "short", day: "numeric" }) : `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
    pen.fillText(text, plot.left + ((n + 0.5) / labels) * inner.width, height - 8);
  }
}

interface Item {
  name: Value;
  value: number | null;
  rows: number;
}

export function List({ items, unit, onPick }: { items: Item[]; unit: string; onPick?: (value: Value) => void }) {
  if (!items.length) return <Nothing text="Nothing in this range." />;
  const most = Math.max(...items.map((item) => Math.abs(item.value ?? 0)), Number.MIN_VALUE);
  return (
    <ul class="list">
      {items.map((item, n) => (
        <li key={n}>
          <button type="button" disabled={!onPick} title={onPick ? `Only ${format.name(item.name)}` : undefined} onClick={() => onPick?.(item.name)}>
            <i style={{ width: `${(Math.abs(item.value ?? 0) / most) * 100}%` }} />
            <span class={item.name === null ? "quiet" : ""}>{format.name(item.name)}</span>
            <b>{format.number(item.value, unit)}</b>
          </button>
        </li>
      ))}
    </ul>
  );
}

export function Groups({ answer, onPick }: { answer: Answer; onPick?: (value: Value) => void }) {
  const all = answer.measures ?? [];
  const rows = answer.rows ?? [];
  if (!rows.length) return <Nothing text="Nothing in this range." />;
  // what is unknown in every group is not worth a column
  const measures = all.filter((_, n) => rows.some((row) => row[n + 1] !== null));
  const most = Math.max(...rows.map((row) => Math.abs(Number(row[1] ?? 0))), Number.MIN_VALUE);
  return (
    <div class="groups" tabIndex={0} role="region" aria-label={`Grouped by ${answer.by}`}>
      <table>
        <thead>
          <tr>
            <th>{format.column(answer.by ?? "")}</th>
            {measures.map((measure) => (
              <th class="n" key={measure}>
                {format.measureName(measure)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, n) => (
            <tr key={n}>
              <td>
                <button type="button" class="linkish" disabled={!onPick} onClick={() => onPick?.(row[0]!)}>
                  {format.name(row[0])}
                </button>
              </td>
              {measures.map((measure, m) => (
                <td class="n" key={measure}>
                  {format.number(row[all.indexOf(measure) + 1] as number | null, format.unitOfMeasure(measure))}
                  {m === 0 && <i style={{ width: `${(Math.abs(Number(row[1] ?? 0)) / most) * 100}%` }} />}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {(answer.groups ?? 0) > rows.length && <p class="quiet small">{format.count(answer.groups! - rows.length)} more groups are not shown: narrow the rows down.</p>}
    </div>
  );
}

export function Nothing({ text }: { text: string }) {
  return <div class="nothing">{text}</div>;
}
