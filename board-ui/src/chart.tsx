/** A chart over time: lines, or bars that stack. Dragging over it chooses a time range for the whole page. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import * as colors from "./colors";
import * as format from "./format";
import { useSize } from "./size";
import type { Answer } from "./types";

interface Props {
  answer: Answer;
  bars: boolean;
  unit: string;
  theme: string;
  label: string;
  onRange: (start: number, end: number) => void;
}

const SYNC = uPlot.sync("time");

export function TimeChart({ answer, bars, unit, theme, label, onRange }: Props) {
  const { ref, width, height } = useSize<HTMLDivElement>();
  const tip = useRef<HTMLDivElement>(null);
  const brush = useRef(onRange);
  brush.current = onRange;
  useEffect(() => {
    if (!answer.bins || width < 40 || height < 40) return;
    const stacked = bars && answer.stacks !== false && (answer.series?.length ?? 0) > 1;
    const data = columns(answer, stacked);
    const plot = new uPlot(options(answer, { bars, stacked, unit, width, height, tip, brush }), data, ref.current!);
    return () => plot.destroy();
  }, [answer, width, height, theme, bars, unit]);
  return (
    <div class="chart" ref={ref} role="img" aria-label={label}>
      <div class="tip" ref={tip} hidden />
    </div>
  );
}

function columns(answer: Answer, stacked: boolean): uPlot.AlignedData {
  const { start, width, count } = answer.bins!;
  const xs = Array.from({ length: count }, (_, n) => (start + n * width) / 1e6);
  const series = answer.series!;
  if (!stacked) return [xs, ...series.map((s) => s.values)] as uPlot.AlignedData;
  // the tallest is drawn first, the ones before it over it
  const sums = new Array<number>(count).fill(0);
  const stacks = series.map((s) => s.values.map((v, n) => (sums[n] = sums[n]! + (v ?? 0))));
  return [xs, ...stacks.reverse()] as uPlot.AlignedData;
}

interface Look {
  bars: boolean;
  stacked: boolean;
  unit: string;
  width: number;
  height: number;
  tip: { current: HTMLDivElement | null };
  brush: { current: (start: number, end: number) => void };
}

function options(answer: Answer, look: Look): uPlot.Options {
  const { start, width: binWidth, count } = answer.bins!;
  const series = answer.series!;
  const order = look.stacked ? [...series.keys()].reverse() : [...series.keys()];
  const font = `11px ${colors.css("--sans")}`;
  const axis: uPlot.Axis = { stroke: colors.css("--muted"), font, grid: { stroke: colors.css("--grid"), width: 1 }, ticks: { show: false } };
  return {
    width: look.width,
    height: look.height,
    padding: [8, 24, 0, 0],
    legend: { show: false },
    scales: { x: { time: true, range: () => [start / 1e6, (start + count * binWidth) / 1e6] }, y: { range: (_, low, high) => (low === null || high === null ? [0, 1] : uPlot.rangeNum(Math.min(0, low), high || 1, { min: { pad: 0, soft: 0, mode: 1 }, max: { pad: 0.08, soft: 0, mode: 0 } })) } },
    cursor: { y: false, points: { show: !look.bars, size: 6 }, drag: { x: true, y: false, setScale: false, dist: 4 }, sync: { key: SYNC.key, setSeries: false } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 64, values: times },
      { ...axis, size: 52, space: 28, values: (_, ticks) => ticks.map((v) => format.number(v, look.unit)) },
    ],
    series: [
      {},
      ...order.map((n) => {
        const color = colors.of(series.length === 1 && series[n]!.name === null ? undefined : series[n]!.name, n);
        return look.bars
          ? { stroke: color, fill: color, width: 0, paths: uPlot.paths.bars!({ size: [0.82, 60], align: 1 }), points: { show: false } }
          : { stroke: color, width: 1.6, spanGaps: true, points: { show: count < 3, size: 4 }, fill: series.length === 1 ? colors.faded(color, 0.1) : undefined };
      }),
    ],
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < 4) return;
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          look.brush.current(Math.floor(plot.posToVal(left, "x") * 1e6), Math.ceil(plot.posToVal(left + width, "x") * 1e6));
        },
      ],
      setCursor: [(plot) => showTip(plot, answer, look)],
    },
  };
}

const pad = (n: number) => String(n).padStart(2, "0");

function times(_: uPlot, ticks: number[], __: number, ___: number, step: number): string[] {
  let day = "";
  return ticks.map((tick) => {
    const at = new Date(tick * 1000);
    const date = at.toLocaleDateString("en", { month: "short", day: "numeric" });
    if (step >= 86_400) return date;
    const time = `${pad(at.getHours())}:${pad(at.getMinutes())}${step < 60 ? `:${pad(at.getSeconds())}` : ""}`;
    const newDay = day !== "" && date !== day;
    day = date;
    return newDay ? date : time;
  });
}

function showTip(plot: uPlot, answer: Answer, look: Look) {
  const box = look.tip.current;
  const { left, idx } = plot.cursor;
  if (!box) return;
  // only the chart under the pointer tells; the others show their line at the same time
  if (left === undefined || left < 0 || idx === null || idx === undefined || !plot.root.matches(":hover")) {
    box.hidden = true;
    return;
  }
  const { start, width, count } = answer.bins!;
  const place = Math.min(count - 1, Math.max(0, look.bars ? Math.floor((plot.posToVal(left, "x") * 1e6 - start) / width) : idx));
  box.replaceChildren(heading(start + place * width, width), ...lines(answer, place, look.unit));
  box.hidden = false;
  const x = left + plot.over.offsetLeft;
  const over = x > look.width / 2;
  box.style.left = over ? "" : `${x + 12}px`;
  box.style.right = over ? `${look.width - x + 12}px` : "";
}

function heading(start: number, width: number): HTMLElement {
  const element = document.createElement("div");
  element.className = "tip-time";
  element.textContent = format.span(start, start + width);
  return element;
}

function lines(answer: Answer, place: number, unit: string): HTMLElement[] {
  const series = answer.series!;
  return series
    .map((s, n) => ({ s, n, value: s.values[place] }))
    .filter(({ value }) => value !== null && value !== undefined && (value !== 0 || series.length < 4))
    .map(({ s, n, value }) => {
      const line = document.createElement("div");
      line.className = "tip-line";
      const dot = document.createElement("i");
      dot.style.background = colors.of(series.length === 1 && s.name === null ? undefined : s.name, n);
      const named = document.createElement("span");
      named.textContent = series.length === 1 && s.name === null ? "" : format.name(s.name);
      const number = document.createElement("b");
      number.textContent = format.number(value, unit);
      line.append(dot, named, number);
      return line;
    });
}

/** The names of a chart's series; picking one filters by it. */
export function Legend({ answer, onPick }: { answer: Answer; onPick?: (value: unknown) => void }) {
  const series = answer.series ?? [];
  const { ref, hidden } = useHidden(series.length);
  if (series.length < 2 && (series[0]?.name ?? null) === null) return null;
  return (
    <>
    <div class="legend" ref={ref}>
      {series.map((s, n) => {
        const inner = (
          <>
            <i style={{ background: colors.of(s.name, n) }} />
            {format.name(s.name)}
          </>
        );
        return onPick && s.name !== "\u0000other" ? (
          <button type="button" class="legend-item" key={n} title="Show only these" onClick={() => onPick(s.name)}>
            {inner}
          </button>
        ) : (
          <span class="legend-item" key={n}>
            {inner}
          </span>
        );
      })}
    </div>
    {hidden > 0 && (
      <span class="legend-more" title={series.map((s) => format.name(s.name)).join(", ")}>
        +{hidden}
      </span>
    )}
    </>
  );
}

/** How many of an element's children lie on lines that it has no room for. */
function useHidden(count: number) {
  const ref = useRef<HTMLDivElement>(null);
  const [hidden, setHidden] = useState(0);
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box) return setHidden(0);
    const measure = () => setHidden([...box.children].filter((child) => (child as HTMLElement).offsetTop - box.offsetTop >= box.clientHeight).length);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, [count]);
  return { ref, hidden };
}
