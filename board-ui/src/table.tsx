/** The rows: a table that scrolls over a million of them and holds a screenful. */

import { useCallback, useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Ref } from "preact";
import * as api from "./api";
import type { Question } from "./api";
import { emojiOf, noteOf, parsed, scoreOf } from "./feedback";
import * as format from "./format";
import { Icon } from "./icons";
import { Wrong } from "./panel";
import { Status } from "./row";
import type { Column, Panel, RowsPage, Said, Value } from "./types";
import { shortName } from "./waterfall";

const PAGE = 100;
const ROW = 34;
/** Browsers lay out no element taller than some 16 million pixels: past that, scrolling is in proportion. */
const TALLEST = 8_000_000;

export interface TableHandle {
  step: (by: number) => void;
  said: (row: string, said: Said[]) => void;
}

interface Props {
  base: string;
  media: string;
  question: Question;
  panel: Panel;
  about: Column[];
  calls: boolean;
  sort: string;
  columns: string[];
  chosen: string;
  against: string;
  changed: number;
  live: boolean;
  handle: Ref<TableHandle>;
  onSort: (sort: string) => void;
  onOpen: (id: string) => void;
  onCount: (text: string) => void;
  onFilter: (column: string, value: Value) => void;
}

interface Loaded {
  key: string;
  asOf: number | null;
  total: number | null;
  columns: string[];
  pages: Map<number, Value[][]>;
  said: Map<string, Said[]>;
  searched: number | null;
  of: number | null;
  thin: boolean;
}

const nothing = (key: string): Loaded => ({ key, asOf: null, total: null, columns: [], pages: new Map(), said: new Map(), searched: null, of: null, thin: false });

export function RowsTable(props: Props) {
  const { base, question, panel, sort, chosen, changed, handle, onOpen, onCount } = props;
  const columns = useMemo(() => shownColumns(props), [props.columns, panel, props.about]);
  const key = JSON.stringify([base, question, sort, panel.where, panel.roots, columns]);
  const [loaded, setLoaded] = useState<Loaded>(() => nothing(key));
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  const [error, setError] = useState("");
  const [more, setMore] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const now = useRef(loaded);
  now.current = loaded;
  const asking = useRef(new Set<string>());
  const stop = useRef(new AbortController());
  const full = useRef(new Map<string, Value[]>());
  const texts = useRef(new Set<string>());
  const turn = useRef({ busy: false, again: false, rest: 200 });
  const scrolled = useRef(0);
  scrolled.current = top;
  const [failures, setFailures] = useState(0);

  /** A thin row with the texts that it had before. */
  const texted = (row: Value[]) => {
    const whole = full.current.get(String(row[0]));
    return whole && whole.length === row.length ? row.map((value, n) => value ?? whole[n]!) : row;
  };

  const asked = { ...question, sort, roots: panel.roots ?? false, panel_where: panel.where };

  const load = useCallback(
    async (number: number, asOf: number | null, fresh: boolean) => {
      const mark = `${key}|${number}|${asOf}|${fresh ? "fresh" : ""}`;
      const [marks, { signal }] = [asking.current, stop.current];
      if (marks.has(mark)) return;
      marks.add(mark);
      if (fresh && question.search && now.current.key !== key) onCount("searching…");
      try {
        const page = await api.send<RowsPage>(`${base}/rows`, { ...asked, columns, offset: number * PAGE, limit: PAGE, as_of: asOf ?? undefined }, signal);
        setError("");
        setFailures(0);
        if (fresh) texts.current.clear();
        setLoaded((old) => {
          const keep = old.key === key && !fresh ? old : nothing(key);
          const pages = new Map(keep.pages).set(number, page.thin ? page.rows.map(texted) : page.rows);
          const said = new Map(keep.said);
          for (const row of page.rows) said.set(String(row[0]), page.said[String(row[0])] ?? []);
          return { key, asOf: page.as_of, total: page.total, columns: page.columns, pages, said, searched: page.searched, of: page.of, thin: page.thin };
        });
        if (fresh) setMore(0);
      } catch (failed) {
        if ((failed as Error).name === "AbortError") return;
        setError((failed as Error).message);
        setFailures((n) => n + 1);
        if (api.mayPass(failed)) Object.assign(turn.current, { again: true, rest: 1000 });
      } finally {
        marks.delete(mark);
      }
    },
    [key],
  );

  /** What was asked is asked no more: the answer would be older than the one to come. */
  function leave() {
    stop.current.abort();
    stop.current = new AbortController();
    asking.current = new Set();
  }

  /** One at a time, and at most half of the time, so that the page stays quick while rows pour in. */
  async function during(work: () => Promise<unknown>) {
    const mine: typeof turn.current = (turn.current = { busy: true, again: false, rest: 200 });
    const began = performance.now();
    await work();
    setTimeout(() => {
      mine.busy = false;
      if (mine === turn.current && mine.again) void follow.current();
    }, Math.max(mine.rest, performance.now() - began));
  }

  useEffect(() => {
    setTop(0);
    setFailures(0);
    full.current.clear();
    texts.current.clear();
    if (box.current) box.current.scrollTop = 0;
    void during(() => load(0, null, true));
    return leave;
  }, [key]);

  /** At the top, rows that came are shown. Further down they wait behind a button, so that nothing moves; what is in
   *  sight is asked for again, as rows may have been erased, or have ended. */
  async function refresh() {
    leave();
    if (scrolled.current === 0) return load(0, null, true);
    const { asOf, total } = now.current;
    const counted = api.send<RowsPage>(`${base}/rows`, { ...asked, columns: ["timestamp"], limit: 1 }, stop.current.signal).catch(() => null);
    texts.current.clear();
    await Promise.all(inSight.current.map((n) => load(n, asOf, false)));
    setLoaded((old) => (old.key === key ? { ...old, pages: new Map([...old.pages].filter(([n]) => inSight.current.includes(n))) } : old));
    const page = await counted;
    if (page) setMore(Math.max(0, (page.total ?? 0) - (now.current.total ?? total ?? 0)));
  }

  const follow = useRef(async () => {});
  follow.current = async () => {
    if (!props.live) return;
    if (turn.current.busy) turn.current.again = true;
    else await during(refresh);
  };

  useEffect(() => {
    if (changed) void follow.current();
  }, [changed]);

  const total = loaded.key === key ? loaded.total : null;
  const known = total ?? (loaded.pages.get(0)?.length ?? 0);
  const reach = total === null && loaded.pages.size ? (Math.max(...loaded.pages.keys()) + 1) * PAGE + PAGE : known;
  const rows = total === null && loaded.pages.size ? reach : known;
  const tall = Math.min(rows * ROW, TALLEST);
  const scrollable = Math.max(1, tall - height);
  const visible = Math.ceil(height / ROW) + 2;
  const first = rows * ROW <= TALLEST ? Math.floor(top / ROW) : Math.round((top / scrollable) * Math.max(0, rows - visible + 2));

  const inSight = useRef<number[]>([]);
  inSight.current = Array.from({ length: Math.floor((first + visible) / PAGE) - Math.floor(first / PAGE) + 1 }, (_, n) => Math.floor(first / PAGE) + n);

  useEffect(() => {
    if (loaded.key !== key || !loaded.columns.length) return;
    const wait = setTimeout(() => {
      for (const n of inSight.current) if (!loaded.pages.has(n) && n * PAGE < rows) void load(n, loaded.asOf, false);
    }, 40);
    return () => clearTimeout(wait);
  }, [first, visible, loaded, key]);

  // a sorted page comes without its texts: those of the rows in sight follow
  useEffect(() => {
    if (!loaded.thin || loaded.key !== key) return;
    const seen = Array.from({ length: visible }, (_, n) => rowAt(first + n)).filter((row): row is Value[] => row !== undefined && !texts.current.has(String(row[0])));
    if (!seen.length) return;
    const left = new AbortController();
    const wait = setTimeout(async () => {
      const page = await api.send<RowsPage>(`${base}/rows`, { ...question, columns, at: seen.map((row) => row[4]), ids: seen.map((row) => row[0]) }, left.signal).catch(() => null);
      if (!page) return;
      const whole = new Map(page.rows.map((row) => [String(row[0]), row]));
      for (const row of seen) texts.current.add(String(row[0]));
      for (const [id, row] of whole) full.current.set(id, row);
      setLoaded((old) => (old.key === key ? { ...old, pages: new Map([...old.pages].map(([n, rows]) => [n, rows.map((row) => whole.get(String(row[0])) ?? row)])) } : old));
    }, 120);
    return () => {
      clearTimeout(wait);
      left.abort();
    };
  }, [first, visible, loaded.thin, loaded.pages, key]);

  // a search goes on after its first rows show: what it found since comes behind them
  const searching = loaded.key === key && loaded.searched !== null && loaded.searched < loaded.of!;
  useEffect(() => {
    if (!searching) return;
    const wait = setTimeout(() => void load(Math.floor(first / PAGE), null, top === 0), 250 * 2 ** Math.min(failures, 5));
    return () => clearTimeout(wait);
  }, [searching, loaded, failures]);

  useEffect(() => onCount(total === null ? "" : searching ? `${format.count(total)} so far, searched ${format.count(loaded.searched!)} of ${format.count(loaded.of!)}` : format.count(total)), [total, searching, loaded.searched]);

  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setHeight(box.current!.clientHeight - 32));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);

  const rowAt = (n: number) => loaded.pages.get(Math.floor(n / PAGE))?.[n % PAGE];
  const placeOf = (id: string) => {
    for (const [number, page] of loaded.pages) {
      const n = page.findIndex((row) => row[0] === id);
      if (n >= 0) return number * PAGE + n;
    }
    return -1;
  };
  const scrollTo = (n: number) => {
    const element = box.current!;
    if (rows * ROW > TALLEST) element.scrollTop = (n / Math.max(1, rows - visible + 2)) * scrollable;
    else if (n * ROW < element.scrollTop) element.scrollTop = n * ROW;
    else if ((n + 1) * ROW > element.scrollTop + height) element.scrollTop = (n + 1) * ROW - height;
  };
  useImperativeHandle(handle, (): TableHandle => ({
    step: (by) => {
      const place = chosen ? placeOf(chosen) : -1;
      const next = Math.max(0, Math.min(rows - 1, place < 0 ? first : place + by));
      const row = rowAt(next);
      if (!row) return void load(Math.floor(next / PAGE), loaded.asOf, false);
      scrollTo(next);
      onOpen(String(row[0]));
    },
    said: (row, said) => setLoaded((old) => ({ ...old, said: new Map(old.said).set(row, said) })),
  }));

  const names = loaded.columns.slice(5);
  const template = names.map((name) => widthOf(name, props.about)).join(" ");
  return (
    <div class="rows">
      {more > 0 && (
        <button type="button" class="more-rows" onClick={() => { box.current!.scrollTop = 0; void load(0, null, true); }}>
          {format.count(more)} new row{more === 1 ? "" : "s"}
        </button>
      )}
      {error && <Wrong text={error} />}
      <div class="rows-box" ref={box} tabIndex={0} role="grid" aria-rowcount={rows} aria-label={panel.title || "Rows"} onScroll={(e) => setTop(e.currentTarget.scrollTop)}>
        <div class="rows-inner">
          <div class="rows-head" role="row" style={{ gridTemplateColumns: template }}>
            {names.map((name) => (
              <Heading key={name} name={name} sort={sort} number={isNumber(name, props.about)} onSort={props.onSort} />
            ))}
          </div>
          {rows === 0 && loaded.columns.length > 0 && !searching && <div class="nothing rows-none">No rows fit. Widen the time range, or take a filter away.</div>}
          <div class="rows-space" style={{ height: `${tall}px` }}>
            <div class="rows-window" style={{ transform: `translateY(${rows * ROW <= TALLEST ? first * ROW : top}px)` }}>
              {Array.from({ length: Math.max(0, Math.min(visible, rows - first)) }, (_, n) => {
                const row = rowAt(first + n);
                return row ? <Line key={String(row[0])} row={row} at={first + n} names={names} template={template} {...props} said={loaded.said.get(String(row[0])) ?? []} /> : <div class="line blank" key={`blank-${first + n}`} />;
              })}
            </div>
          </div>
        </div>
      </div>
    </div>
  );
}

function Heading({ name, sort, number, onSort }: { name: string; sort: string; number: boolean; onSort: (sort: string) => void }) {
  const now = sort || "-timestamp";
  const down = now === `-${name}`;
  const up = now === name;
  return (
    <div role="columnheader" class={number ? "n" : ""} aria-sort={down ? "descending" : up ? "ascending" : "none"}>
      <button type="button" onClick={() => onSort(down ? name : `-${name}`)}>
        {format.visible(format.column(name))}
        {(down || up) && <span class={`sort ${up ? "up" : ""}`}><Icon name="chevron" /></span>}
      </button>
    </div>
  );
}

interface LineProps extends Props {
  row: Value[];
  at: number;
  names: string[];
  template: string;
  said: Said[];
}

function Line({ row, at, names, template, said, chosen, against, about, media, onOpen, onFilter }: LineProps) {
  const id = String(row[0]);
  return (
    <div role="row" aria-rowindex={at + 2} aria-selected={id === chosen} class={`line ${id === chosen ? "chosen" : ""} ${id === against ? "pinned" : ""} ${row[3] === "error" ? "failed" : ""}`} style={{ gridTemplateColumns: template }} onClick={() => onOpen(id)}>
      {names.map((name, n) => (
        <div role="gridcell" key={name} class={isNumber(name, about) ? "n" : ""}>
          <Cell name={name} value={row[n + 5]!} column={about.find((c) => c.name === name)} media={media} onFilter={onFilter} />
          {n === lastText(names, about) && <Marks said={said} />}
        </div>
      ))}
    </div>
  );
}

function lastText(names: string[], about: Column[]): number {
  const output = names.indexOf("output");
  if (output >= 0) return output;
  return names.findLastIndex((name) => ["text", "json"].includes(about.find((c) => c.name === name)?.type ?? ""));
}

function Cell({ name, value, column, media, onFilter }: { name: string; value: Value; column: Column | undefined; media: string; onFilter: (column: string, value: Value) => void }) {
  if (value === null || value === undefined) return <span class="none">–</span>;
  if (name === "status") return <Status status={String(value)} />;
  if (column?.type === "time") return <time>{format.moment(Number(value), true)}</time>;
  if (typeof value === "number") return <span>{name === "timestamp" ? format.moment(value, true) : format.number(value, format.unitOf(name))}</span>;
  if (typeof value === "boolean") return <span class={`flag ${value}`}>{value ? "yes" : "no"}</span>;
  const file = column?.type === "json" ? /"file":"([0-9a-f]{2}\/[0-9a-f]{64}\.(?:png|jpe?g|gif|webp|bmp))"/.exec(value) : null;
  if (file) return <img class="thumb" alt="" loading="lazy" src={`${media}/${file[1]}`} />;
  const text = name === "op_name" ? (shortName(value) ?? value) : value;
  const picks = ["model", "user_id", "version", "kind"].includes(name);
  const one = format.visible((column?.type === "json" ? text.replace(/\*\*|`/g, "") : text).replace(/\s+/g, " "));
  return picks ? (
    <button type="button" class="pick" tabIndex={-1} title={`Only ${one}`} onClick={(e) => { e.stopPropagation(); onFilter(name, value); }}>
      {one}
    </button>
  ) : (
    <span class={column?.type === "json" ? "snippet" : ""}>{one}</span>
  );
}

/** What was said about a row, as small as it can be told. */
function Marks({ said }: { said: Said[] }) {
  const emoji = [...new Set(said.filter((s) => s.kind === "feedback").map(emojiOf).filter(Boolean))];
  const notes = said.filter((s) => s.kind === "feedback" && noteOf(s) !== null).length;
  const labels = said.filter((s) => s.kind === "label");
  const poor = said.filter((s) => s.kind === "score" && isPoor(s));
  if (!emoji.length && !notes && !labels.length && !poor.length) return null;
  return (
    <span class="marks">
      {poor.map((s) => (
        <span class="mark poor" key={s.id} title={`${s.name} ${scoreOf(s).text}`}>
          {format.visible(s.name)} {scoreOf(s).text}
        </span>
      ))}
      {labels.map((s) => (
        <span class="mark" key={s.id} title={`label ${s.name}`}>
          {format.visible(s.name)}: {format.visible(String(parsed(s)))}
        </span>
      ))}
      {notes > 0 && <span class="mark" title={`${notes} note${notes > 1 ? "s" : ""}`}><Icon name="note" label="note" /></span>}
      {emoji.includes("👍") && <span class="mark on-up"><Icon name="up" filled label="good answer" /></span>}
      {emoji.includes("👎") && <span class="mark on-down"><Icon name="down" filled label="bad answer" /></span>}
      {emoji.filter((e) => e !== "👍" && e !== "👎").map((e) => <span key={e}>{e}</span>)}
    </span>
  );
}

/** Worth a look in a list: a share below a half in what is better high, a flag that was raised. */
function isPoor(said: Said): boolean {
  const value = parsed(said);
  const score = typeof value === "object" && value !== null ? (value as Record<string, unknown>).score : undefined;
  const flags = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  return (typeof score === "number" && score >= 0 && score < 0.5) || flags.flagged === true || flags.passed === false;
}

export function isNumber(name: string, about: Column[]): boolean {
  const column = about.find((c) => c.name === name);
  return column?.type === "number";
}

const WIDE = new Set(["inputs", "output", "data", "exception", "attributes", "summary", "said"]);

function widthOf(name: string, about: Column[]): string {
  if (name === "timestamp") return "128px";
  if (name === "status") return "92px";
  if (WIDE.has(name)) return "minmax(180px, 3fr)";
  if (isNumber(name, about)) return "minmax(96px, 0.6fr)";
  return "minmax(110px, 1fr)";
}

const USUAL = ["timestamp", "status", "op_name", "model", "inputs", "output", "latency_ms", "cost_usd", "user_id"];

export function shownColumns({ columns, panel, about, calls }: Pick<Props, "columns" | "panel" | "about" | "calls">): string[] {
  const there = new Set(about.filter((c) => c.known > 0).map((c) => c.name));
  there.add("timestamp");
  if (columns.length) return columns.filter((name) => there.has(name) || about.some((c) => c.name === name));
  if (panel.columns?.length) return panel.columns.filter((name) => there.has(name));
  if (calls) return USUAL.filter((name) => there.has(name));
  return ["timestamp", ...about.filter((c) => c.known > 0 && c.name !== "timestamp" && c.name !== "id").map((c) => c.name)].slice(0, 14);
}
