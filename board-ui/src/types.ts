/** What the server says, as types. */

export type Value = string | number | boolean | null;

export interface Column {
  name: string;
  type: "text" | "number" | "bool" | "time" | "json" | "bytes";
  known: number;
}

export interface About {
  table: string;
  project: string;
  columns: Column[];
  calls: boolean;
  seeds: { name: string; title: string }[];
  boards: string[];
  read_only: boolean;
  extent: [number, number] | null;
  mark: string;
}

export interface Filter {
  column: string;
  op: string;
  value: Value | Value[];
}

export interface Panel {
  id: string;
  kind: "lines" | "bars" | "percentiles" | "distribution" | "heatmap" | "number" | "top" | "groups" | "rows" | "note";
  title?: string;
  at?: [number, number, number, number];
  measure?: string;
  measures?: string[];
  column?: string;
  columns?: string[];
  by?: string;
  where?: string;
  source?: string;
  unit?: string;
  better?: "up" | "down";
  limit?: number;
  sort?: string;
  roots?: boolean;
  text?: string;
}

export interface Board {
  format: number;
  name: string;
  title: string;
  table: string;
  version: number;
  seeded: string | null;
  variables: { range: string; filters: Filter[]; where: string; group: string | null };
  panels: Panel[];
}

export interface Bins {
  start: number;
  width: number;
  count: number;
}

export interface Series {
  name: Value;
  values: (number | null)[];
}

/** The answer for a panel: which fields it has depends on the panel's kind. */
export interface Answer {
  id: string;
  error?: string;
  bins?: Bins | null;
  series?: Series[];
  stacks?: boolean;
  value?: number | null;
  before?: number | null;
  spark?: (number | null)[];
  stats?: Record<string, number | null>;
  edges?: number[];
  counts?: number[];
  cells?: [number, number, number][];
  categories?: { name: Value; value: number }[];
  items?: { name: Value; value: number | null; rows: number }[];
  groups?: number;
  by?: string;
  measures?: string[];
  rows?: Value[][];
  count?: number;
}

export interface Said {
  id: string;
  kind: "feedback" | "score" | "label";
  name: string;
  value: string | null;
  creator: string;
  at: number;
}

export interface RowsPage {
  columns: string[];
  rows: Value[][];
  said: Record<string, Said[]>;
  total: number | null;
  searched: number | null;
  of: number | null;
  thin: boolean;
  as_of: number;
}

export interface WholeRow {
  id: string;
  table: string;
  fields: Record<string, unknown>;
  said: Said[];
}

export interface Span {
  id: string;
  trace_id: string;
  parent_id: string | null;
  op_name: string | null;
  display_name: string | null;
  kind: string | null;
  status: string | null;
  model: string | null;
  started_at: number | null;
  ended_at: number | null;
  latency_ms: number | null;
  ttft_ms: number | null;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  cost_usd: number | null;
  exception_type: string | null;
  exception: string | null;
  ts: number;
}

export interface Trace {
  trace_id: string;
  spans: Span[];
  more: boolean;
  said: Record<string, Said[]>;
}
