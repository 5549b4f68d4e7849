/** One colour for a value on all panels, in the order in which values are met; outcomes have their own. */

import type { Value } from "./types";

const OUTCOMES: Record<string, string> = { success: "--ok", error: "--bad", running: "--accent", P0: "--bad", P1: "--warn", P2: "--s0", drift: "--bad", "no drift": "--ok", true: "--ok", false: "--bad" };
const met = new Map<string, number>();

export const css = (variable: string) => getComputedStyle(document.documentElement).getPropertyValue(variable).trim();

export function of(value: Value | undefined, place: number): string {
  if (value === "\u0000other" || value === null || value === undefined) return css(value === undefined || (value === null && place === 0) ? "--s0" : "--faint-line");
  const text = String(value);
  if (text in OUTCOMES) return css(OUTCOMES[text]!);
  const found = /^p(\d+(?:\.\d+)?)$/.exec(text);
  if (found) return css(["--p0", "--p1", "--p2"][Math.min(place, 2)]!);
  if (!met.has(text)) met.set(text, met.size);
  return css(`--s${met.get(text)! % 8}`);
}

export function faded(color: string, alpha: number): string {
  const hex = /^#([0-9a-f]{6})$/i.exec(color)?.[1];
  if (!hex) return color;
  const parts = [0, 2, 4].map((n) => parseInt(hex.slice(n, n + 2), 16));
  return `rgba(${parts.join(",")},${alpha})`;
}
