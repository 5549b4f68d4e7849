/** The line under the heading: search, chips, a condition, grouping. */

import type { Ref } from "preact";
import { useEffect, useState } from "preact/hooks";
import * as format from "./format";
import { Icon } from "./icons";
import { FilterForm, Menu, OPERATION_WORDS } from "./menus";
import type { Column, Filter } from "./types";

interface Props {
  columns: Column[];
  base: string;
  range: string;
  filters: Filter[];
  search: string;
  where: string;
  group: string;
  searchBox: Ref<HTMLInputElement>;
  filterOpen: { current: (() => void) | null };
  onFilters: (filters: Filter[]) => void;
  onSearch: (text: string) => void;
  onWhere: (text: string) => void;
  onGroup: (column: string) => void;
}

export function FilterBar(props: Props) {
  const { columns, filters, search, where, group, onFilters } = props;
  const [text, setText] = useState(search);
  const [writing, setWriting] = useState(where !== "");
  useEffect(() => setText(search), [search]);
  useEffect(() => setWriting((old) => old || where !== ""), [where]);
  useEffect(() => {
    if (text === search) return;
    const wait = setTimeout(() => props.onSearch(text), 350);
    return () => clearTimeout(wait);
  }, [text]);
  const groupable = columns.filter((c) => c.known > 0 && (c.type === "text" || c.type === "bool") && !["id", "trace_id", "parent_id", "turn_id", "exception"].includes(c.name));
  return (
    <div class="filter-bar" role="search">
      <div class="search">
        <Icon name="search" />
        <input ref={props.searchBox} type="search" aria-label="Search in texts" placeholder="Search in inputs, outputs, errors" value={text} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={(e) => { if (e.key === "Enter") props.onSearch(text); if (e.key === "Escape") e.currentTarget.blur(); e.stopPropagation(); }} />
        <kbd>/</kbd>
      </div>
      {filters.map((chip, n) => (
        <span class="chip" key={n}>
          <span>
            {format.visible(chip.column)} <em>{OPERATION_WORDS[chip.op] ?? chip.op}</em> {["null", "not null"].includes(chip.op) ? "" : <b>{valueText(chip)}</b>}
          </span>
          <button type="button" aria-label={`Take the filter on ${chip.column} away`} onClick={() => onFilters(filters.filter((_, m) => m !== n))}>
            <Icon name="close" />
          </button>
        </span>
      ))}
      <span ref={(span) => { props.filterOpen.current = span ? () => span.querySelector("button")?.click() : null; }}>
        <Menu label="Add a filter" title="Add a filter (f)" button={<><Icon name="filter" /> Filter</>}>
          {(close) => <FilterForm columns={columns} base={props.base} range={props.range} onAdd={(chip) => { onFilters([...filters, chip]); close(); }} />}
        </Menu>
      </span>
      <label class="group-by">
        <Icon name="group" />
        <span class="visually-hidden">Group by</span>
        <select value={group} onChange={(e) => props.onGroup(e.currentTarget.value)}>
          <option value="">Group by…</option>
          {groupable.map((c) => (
            <option key={c.name} value={c.name}>
              {format.visible(c.name)}
            </option>
          ))}
        </select>
      </label>
      <button type="button" class={`tool ${writing ? "on" : ""}`} aria-expanded={writing} title="Write a condition" onClick={() => { setWriting(!writing); if (writing) props.onWhere(""); }}>
        <Icon name="code" /> Condition
      </button>
      {(filters.length > 0 || search || where || group) && (
        <button type="button" class="linkish" onClick={() => { onFilters([]); props.onSearch(""); props.onWhere(""); props.onGroup(""); setWriting(false); }}>
          Clear
        </button>
      )}
      {writing && <Condition where={where} onWhere={props.onWhere} />}
    </div>
  );
}

function Condition({ where, onWhere }: { where: string; onWhere: (text: string) => void }) {
  const [text, setText] = useState(where);
  useEffect(() => setText(where), [where]);
  return (
    <form class="condition" onSubmit={(e) => { e.preventDefault(); onWhere(text.trim()); }} onKeyDown={(e) => e.stopPropagation()}>
      <input aria-label="Condition, as in SQL" spellcheck={false} placeholder="latency_ms > 2000 AND model LIKE 'gpt%'" autoFocus value={text} onInput={(e) => setText(e.currentTarget.value)} />
      <button type="submit" class="primary">
        Apply
      </button>
    </form>
  );
}

function valueText(chip: Filter): string {
  if (Array.isArray(chip.value)) return chip.value.map(format.name).join(", ");
  if (typeof chip.value === "number") return format.number(chip.value, format.unitOf(chip.column));
  return format.name(chip.value);
}
