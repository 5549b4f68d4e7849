/** Numbers, times and texts for a person. */

import type { Value } from "./types";

const OTHER = "\u0000other";

export function name(value: Value | undefined): string {
  if (value === OTHER) return "others";
  if (value === null || value === undefined) return "none";
  if (value === "") return "(empty)";
  const weave = /^wandb\.(reaction|note)\.1$/.exec(String(value));
  if (weave) return weave[1]!;
  // an op's ref is its name to a person
  const op = /^weave:\/\/\/.*\/op\/([^:]+)(?::.*)?$/.exec(String(value));
  if (op) return visible(op[1]!);
  return visible(String(value));
}

/** Control and direction characters shown, so that a row cannot rearrange the page. */
export function visible(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const whole = new Intl.NumberFormat("en");

export function count(value: number): string {
  return whole.format(Math.round(value));
}

export function compact(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e9) return `${digits(value / 1e9)}B`;
  if (size >= 1e6) return `${digits(value / 1e6)}M`;
  if (size >= 1e4) return `${digits(value / 1e3)}k`;
  if (Number.isInteger(value)) return whole.format(value);
  return digits(value);
}

function digits(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return trimmed(value.toFixed(1));
  if (size >= 1) return trimmed(value.toFixed(2));
  if (size >= 0.001) return trimmed(value.toFixed(size >= 0.1 ? 3 : 4));
  return value.toExponential(1);
}

const trimmed = (text: string) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

export function number(value: number | null | undefined, unit?: string): string {
  if (value === null || value === undefined) return "–";
  if (unit === "ms") return duration(value);
  if (unit === "usd") return money(value);
  if (unit === "percent") return `${digits(value * 100)}%`;
  if (unit === "bytes") return bytes(value);
  return compact(value);
}

export function duration(ms: number): string {
  const size = Math.abs(ms);
  if (size === 0) return "0 ms";
  if (size < 1) return `${digits(ms * 1000)} µs`;
  if (size < 1000) return `${digits(ms)} ms`;
  if (size < 60_000) return `${digits(ms / 1000)} s`;
  if (size < 3_600_000) return `${Math.floor(ms / 60_000)}m ${Math.round((ms % 60_000) / 1000)}s`;
  return `${Math.floor(ms / 3_600_000)}h ${Math.round((ms % 3_600_000) / 60_000)}m`;
}

export function money(usd: number): string {
  const size = Math.abs(usd);
  if (size === 0) return "$0";
  if (size >= 1000) return `$${compact(usd)}`;
  if (size >= 1) return `$${usd.toFixed(2)}`;
  if (size >= 0.01) return `$${usd.toFixed(3)}`;
  return `$${usd.toPrecision(2).replace(/e.*/, "")}`.length > 9 ? `$${usd.toExponential(1)}` : `$${Number(usd.toPrecision(2)).toFixed(6).replace(/0+$/, "")}`;
}

export function bytes(size: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let n = 0;
  while (size >= 1024 && n < units.length - 1) {
    size /= 1024;
    n += 1;
  }
  return `${n ? size.toFixed(1) : size} ${units[n]}`;
}

const pad = (value: number) => String(value).padStart(2, "0");

export function moment(us: number, short = false): string {
  const at = new Date(us / 1000);
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  const today = new Date();
  const sameDay = at.toDateString() === today.toDateString();
  if (short && sameDay) return time;
  const day = at.toLocaleDateString("en", { month: "short", day: "numeric", ...(at.getFullYear() === today.getFullYear() ? {} : { year: "numeric" }) });
  return short ? `${day} ${time}` : `${day}, ${time}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

export function span(start: number, end: number): string {
  const a = new Date(start / 1000);
  const b = new Date(end / 1000);
  const day = (d: Date) => d.toLocaleDateString("en", { month: "short", day: "numeric" });
  const seconds = end - start < 600_000_000;
  const time = (d: Date) => `${pad(d.getHours())}:${pad(d.getMinutes())}${seconds ? `:${pad(d.getSeconds())}` : ""}`;
  return a.toDateString() === b.toDateString() ? `${day(a)} ${time(a)} – ${time(b)}` : `${day(a)} ${time(a)} – ${day(b)} ${time(b)}`;
}

/** The unit that a column's name speaks of. */
export function unitOf(column: string): string {
  if (/_ms$|latency/.test(column)) return "ms";
  if (/_usd$|cost/.test(column)) return "usd";
  return "";
}

export function unitOfMeasure(measure: string): string {
  if (measure.startsWith("share(")) return "percent";
  if (/^(count|distinct|known)/.test(measure)) return "";
  return unitOf(measure);
}

/** `p95(latency_ms)` as a heading. */
export function measureName(measure: string): string {
  if (measure === "count") return "rows";
  if (measure === "share(status = 'error')") return "errors";
  const found = /^([a-z]+\d*(?:\.\d+)?)\((.*)\)$/.exec(measure);
  if (!found) return measure;
  return `${column(found[2]!)} ${found[1] === "sum" ? "" : found[1]}`.trim();
}

export function column(text: string): string {
  return text.replace(/_ms$|_usd$/, "").replace(/_/g, " ");
}
