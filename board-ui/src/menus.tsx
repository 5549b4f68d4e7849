/** Small things that open: menus, choices, a value to filter by. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "./api";
import * as format from "./format";
import { Icon } from "./icons";
import type { Answer, Column, Filter, Value } from "./types";

export function Menu({ label, title, button, children, align = "left", bare = false }: { label: string; title?: string; bare?: boolean; button: ComponentChildren; children: (close: () => void) => ComponentChildren; align?: "left" | "right" }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const close = () => setOpen(false);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => !box.current?.contains(event.target as Node) && close();
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
      box.current?.querySelector("button")?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", escape, true);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", escape, true);
    };
  }, [open]);
  return (
    <div class="menu" ref={box}>
      <button type="button" class="tool" aria-expanded={open} title={title ?? label} onClick={() => setOpen(!open)}>
        {button}
        {bare && <span class="visually-hidden">{label}</span>}
      </button>
      {open && <div class={`menu-box ${align}`}>{children(close)}</div>}
    </div>
  );
}

const RANGES: [string, string][] = [
  ["15m", "Last 15 minutes"],
  ["1h", "Last hour"],
  ["6h", "Last 6 hours"],
  ["24h", "Last 24 hours"],
  ["7d", "Last 7 days"],
  ["30d", "Last 30 days"],
  ["all", "Everything"],
];

export function rangeText(range: string, shown: [number | null, number | null]): string {
  const fixed = /^(\d+)-(\d+)$/.exec(range);
  if (fixed) return format.span(Number(fixed[1]), Number(fixed[2]));
  return RANGES.find(([key]) => key === range)?.[1] ?? (range === "auto" || !range ? automatic(shown) : `Last ${range}`);
}

/** What the automatic range came to. */
function automatic([start, end]: [number | null, number | null]): string {
  if (start === null) return "Everything";
  if (end !== null) return format.span(start, end);
  const hours = Math.round((Date.now() * 1000 - start) / 3600e6);
  return RANGES.find(([key]) => key === (hours % 24 ? `${hours}h` : hours === 24 ? "24h" : `${hours / 24}d`))?.[1] ?? `Last ${hours} hours`;
}

export function RangePicker({ range, shown, onRange }: { range: string; shown: [number | null, number | null]; onRange: (range: string) => void }) {
  const local = (us: number | null) => {
    const at = new Date(us ? us / 1000 : Date.now());
    return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  };
  const submit = (event: Event, close: () => void) => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const [a, b] = [Date.parse(String(form.get("from"))), Date.parse(String(form.get("to")))];
    if (Number.isFinite(a) && Number.isFinite(b) && b > a) {
      onRange(`${a * 1000}-${b * 1000}`);
      close();
    }
  };
  return (
    <Menu label="Time range" button={<><Icon name="clock" /> <span>{rangeText(range, shown)}</span> <Icon name="chevron" /></>} align="right">
      {(close) => (
        <>
          {RANGES.map(([key, text]) => (
            <button type="button" class={`menu-item ${range === key ? "on" : ""}`} key={key} onClick={() => { onRange(key); close(); }}>
              {text}
              {range === key && <Icon name="check" />}
            </button>
          ))}
          <form class="menu-form" onSubmit={(e) => submit(e, close)} onKeyDown={(e) => e.stopPropagation()}>
            <label>
              From <input type="datetime-local" name="from" defaultValue={local(shown[0])} />
            </label>
            <label>
              To <input type="datetime-local" name="to" defaultValue={local(shown[1])} />
            </label>
            <button type="submit" class="primary">
              Show
            </button>
          </form>
        </>
      )}
    </Menu>
  );
}

const OPERATIONS: Record<string, string[]> = {
  text: ["=", "!=", "contains", "null", "not null"],
  json: ["contains", "null", "not null"],
  number: [">", ">=", "<", "<=", "=", "!=", "null", "not null"],
  time: [">", "<"],
  bool: ["=", "!=", "null", "not null"],
  bytes: ["null", "not null"],
};
export const OPERATION_WORDS: Record<string, string> = { "=": "is", "!=": "is not", null: "is unknown", "not null": "is known", in: "is one of" };

interface FilterFormProps {
  columns: Column[];
  base: string;
  range: string;
  onAdd: (chip: Filter) => void;
}

/** Column, comparison, value: the values that are there are offered. */
export function FilterForm({ columns, base, range, onAdd }: FilterFormProps) {
  const usable = columns.filter((c) => c.known > 0 && c.type !== "bytes" && c.type !== "time");
  const [column, setColumn] = useState(usable.find((c) => c.name === "status")?.name ?? usable[0]?.name ?? "");
  const about = columns.find((c) => c.name === column);
  const operations = OPERATIONS[about?.type ?? "text"]!;
  const [op, setOp] = useState("");
  const [value, setValue] = useState("");
  const [offered, setOffered] = useState<Answer["items"]>([]);
  const chosen = operations.includes(op) ? op : operations[0]!;
  useEffect(() => {
    setValue("");
    if (!about || about.type === "json" || about.type === "number") return setOffered([]);
    const stop = new AbortController();
    api.get<Answer>(`${base}/values/${encodeURIComponent(column)}?range=${range || "auto"}`, stop.signal).then((found) => setOffered(found.items ?? []), () => setOffered([]));
    return () => stop.abort();
  }, [column]);
  const needs = !["null", "not null"].includes(chosen);
  const add = (picked: Value) => onAdd({ column, op: chosen, value: needs ? picked : null });
  const submit = (event: Event) => {
    event.preventDefault();
    if (!needs || value !== "") add(about?.type === "number" ? Number(value) : about?.type === "bool" ? value === "true" : value);
  };
  return (
    <form class="filter-form" onSubmit={submit} onKeyDown={(e) => e.key !== "Escape" && e.stopPropagation()}>
      <div class="filter-row">
        <select aria-label="Column" value={column} onChange={(e) => setColumn(e.currentTarget.value)}>
          {usable.map((c) => (
            <option key={c.name} value={c.name}>
              {format.visible(c.name)}
            </option>
          ))}
        </select>
        <select aria-label="Comparison" value={chosen} onChange={(e) => setOp(e.currentTarget.value)}>
          {operations.map((operation) => (
            <option key={operation} value={operation}>
              {OPERATION_WORDS[operation] ?? operation}
            </option>
          ))}
        </select>
        {needs && <input aria-label="Value" autoFocus inputMode={about?.type === "number" ? "decimal" : "text"} value={value} onInput={(e) => setValue(e.currentTarget.value)} />}
        <button type="submit" class="primary">
          Add
        </button>
      </div>
      {needs && (offered?.length ?? 0) > 0 && (
        <ul class="offered">
          {offered!.filter((item) => format.name(item.name).toLowerCase().includes(value.toLowerCase())).slice(0, 12).map((item, n) => (
            <li key={n}>
              <button type="button" onClick={() => add(item.name)}>
                <span>{format.name(item.name)}</span> <b>{format.compact(item.rows)}</b>
              </button>
            </li>
          ))}
        </ul>
      )}
    </form>
  );
}

export function ColumnChooser({ columns, shown, onShown }: { columns: Column[]; shown: string[]; onShown: (names: string[]) => void }) {
  const [find, setFind] = useState("");
  const there = columns.filter((c) => c.known > 0 || shown.includes(c.name));
  const toggle = (name: string) => onShown(shown.includes(name) ? shown.filter((other) => other !== name) : [...shown, name]);
  return (
    <Menu label="Choose columns" button={<><Icon name="columns" /> Columns</>} align="right">
      {() => (
        <div class="chooser" onKeyDown={(e) => e.key !== "Escape" && e.stopPropagation()}>
          <input type="search" aria-label="Find a column" placeholder="Find a column" value={find} onInput={(e) => setFind(e.currentTarget.value)} />
          <ul>
            {there.filter((c) => c.name.toLowerCase().includes(find.toLowerCase())).slice(0, 200).map((c) => (
              <li key={c.name}>
                <label>
                  <input type="checkbox" checked={shown.includes(c.name)} onChange={() => toggle(c.name)} /> <span>{format.visible(c.name)}</span> <em>{c.type}</em>
                </label>
              </li>
            ))}
          </ul>
          <button type="button" class="linkish" onClick={() => onShown([])}>
            As the board has it
          </button>
        </div>
      )}
    </Menu>
  );
}
