/** What is looked at, kept in the address: reload, back, and a link to somebody else all show the same. */

import type { Filter } from "./types";

export interface View {
  project: string;
  table: string;
  board: string;
  seed: string;
  range: string;
  filters: Filter[];
  where: string;
  search: string;
  group: string;
  sort: string;
  columns: string[];
  row: string;
  against: string;
}

const EMPTY: View = { project: "", table: "", board: "", seed: "", range: "", filters: [], where: "", search: "", group: "", sort: "", columns: [], row: "", against: "" };
const TEXTS = { board: "board", seed: "seed", range: "range", where: "where", search: "q", group: "group", sort: "sort", row: "row", against: "against" } as const;

export function read(location: Location): View {
  const parts = location.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  const view: View = { ...EMPTY, project: parts.slice(0, 2).join("/"), table: parts[2] ?? "" };
  if (parts.length === 4 && parts[2] === "rows") {
    view.table = "";
    view.row = parts[3]!;
  }
  const asked = new URLSearchParams(location.search);
  for (const [key, param] of Object.entries(TEXTS)) {
    const value = asked.get(param);
    if (value) view[key as keyof typeof TEXTS] = value;
  }
  view.columns = asked.get("columns")?.split("\u0001").filter(Boolean) ?? [];
  try {
    const filters: unknown = JSON.parse(asked.get("f") ?? "[]");
    if (Array.isArray(filters)) view.filters = filters.filter((f) => f && typeof f.column === "string");
  } catch {
    // a link that was cut off: show the table without its filters
  }
  return view;
}

export function address(view: View): string {
  const asked = new URLSearchParams();
  for (const [key, param] of Object.entries(TEXTS)) {
    const value = view[key as keyof typeof TEXTS];
    if (value) asked.set(param, value);
  }
  if (view.columns.length) asked.set("columns", view.columns.join("\u0001"));
  if (view.filters.length) asked.set("f", JSON.stringify(view.filters));
  const query = asked.toString();
  const path = `/${[...view.project.split("/"), view.table].filter(Boolean).map(encodeURIComponent).join("/")}`;
  return query ? `${path}?${query}` : path;
}

export const base = (view: View) => `/api/${[...view.project.split("/"), view.table].map(encodeURIComponent).join("/")}`;

/** A value picked somewhere on the page, as a chip: picking it again takes it away. */
export function toggled(filters: Filter[], chip: Filter): Filter[] {
  const same = (f: Filter) => f.column === chip.column && f.op === chip.op && JSON.stringify(f.value) === JSON.stringify(chip.value);
  if (filters.some(same)) return filters.filter((f) => !same(f));
  const others = chip.op === "=" ? filters.filter((f) => !(f.column === chip.column && f.op === "=")) : filters.filter((f) => !(f.column === chip.column && f.op === chip.op));
  return [...others, chip];
}
