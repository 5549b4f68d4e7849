/** The page: which table, which board, and everything that may be changed about what it shows. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useAnswers } from "./answers";
import * as api from "./api";
import { Changed } from "./changed";
import { IntoDataset } from "./dataset";
import { Editor } from "./editor";
import { FilterBar } from "./filters";
import * as format from "./format";
import { Help } from "./help";
import { Home } from "./home";
import { Icon } from "./icons";
import { useChanges } from "./live";
import { ColumnChooser, Menu, RangePicker } from "./menus";
import { Frame, PanelView, Wrong } from "./panel";
import { RowView } from "./row";
import type { TableHandle } from "./table";
import { RowsTable, shownColumns } from "./table";
import { useTheme } from "./theme";
import type { About, Board, Filter, Panel, Value } from "./types";
import type { View } from "./view";
import * as views from "./view";

export function App() {
  const [view, setView] = useState<View>(() => views.read(location));
  const [tables, setTables] = useState<{ project: string; table: string }[] | null>(null);
  const [error, setError] = useState("");
  const go = (change: Partial<View>, keep = false) =>
    setView((old) => {
      const next = { ...old, ...change };
      const to = views.address(next);
      if (to !== location.pathname + location.search) history[keep ? "replaceState" : "pushState"](null, "", to);
      return next;
    });
  useEffect(() => {
    const back = () => setView(views.read(location));
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);
  useEffect(() => {
    api.get<{ tables: { project: string; table: string }[]; home: string | null }>("/api/tables").then(
      (found) => {
        setTables(found.tables);
        if (!view.project && found.home) setView(views.read(new URL(found.home, location.href) as unknown as Location));
      },
      (failed: Error) => setError(failed.message),
    );
  }, []);
  useEffect(() => {
    // an address that names a row only, as `row.ui_url` does
    if (!view.project || view.table || !view.row) return;
    api.get<{ table: string }>(`/api/${view.project}/find/row/${encodeURIComponent(view.row)}`).then(
      (found) => go({ table: found.table }, true),
      (failed: Error) => setError(failed.message),
    );
  }, [view.project, view.table, view.row]);
  if (error && !view.table) return <main class="alone"><Wrong text={error} /></main>;
  if (!view.project || (!view.table && !view.row)) return <Home tables={tables} project={view.project} onOpen={(project, table) => go({ project, table })} />;
  if (!view.table) return <main class="alone" aria-busy="true" />;
  return <Page key={`${view.project}/${view.table}`} view={view} go={go} tables={tables ?? []} />;
}

type Go = (change: Partial<View>, keep?: boolean) => void;

function Page({ view, go, tables }: { view: View; go: Go; tables: { project: string; table: string }[] }) {
  const base = views.base(view);
  const [about, setAbout] = useState<About | null>(null);
  const [board, setBoard] = useState<Board | null>(null);
  const [error, setError] = useState("");
  const [live, setLive] = useState(true);
  const [editing, setEditing] = useState(false);
  const [help, setHelp] = useState(false);
  const [shown, setShown] = useState<"" | "changed" | "dataset">("");
  const [rowsNote, setRowsNote] = useState("");
  const { theme, flip } = useTheme();
  const searchBox = useRef<HTMLInputElement>(null);
  const filterOpen = useRef<(() => void) | null>(null);
  const rows = useRef<TableHandle | null>(null);
  const { changed, line } = useChanges(about ? base : "", about?.mark ?? "", live);

  useEffect(() => {
    api.get<About>(base).then(setAbout, (failed: Error) => setError(failed.message));
  }, [base]);
  // a table that was empty, or gains columns: look again, now and then
  useEffect(() => {
    if (!changed || !about) return;
    if (about.columns.length === 0 || changed % 20 === 0) api.get<About>(base).then(setAbout, () => undefined);
  }, [changed]);
  useEffect(() => {
    if (!about) return;
    const seed = view.seed || "best";
    api.loadBoard(base, view.board ? "boards" : "seeds", view.board || seed).then(setBoard, (failed: Error) => setError(failed.message));
  }, [base, view.board, view.seed, about === null, about?.columns.length === 0]);
  useEffect(() => {
    document.title = board ? `${board.title} · ${view.table} · llmwatch` : "llmwatch";
  }, [board, view.table]);

  const range = view.range || board?.variables.range || "auto";
  const group = view.group || board?.variables.group || "";
  const question = useMemo(
    () => (board ? { range, filters: [...board.variables.filters, ...view.filters], where: [board.variables.where, view.where].filter(Boolean).map((w) => `(${w})`).join(" AND "), search: view.search } : null),
    [board, range, JSON.stringify(view.filters), view.where, view.search],
  );
  const panels = useMemo(() => (board ? grouped(board.panels, group) : []), [board, group]);
  const asked = useMemo(() => panels.filter((panel) => panel.kind !== "note" && panel.kind !== "rows").map((panel) => ({ ...panel, at: undefined })), [panels]);
  const { answers, asking, head, error: askError } = useAnswers(base, question, asked, live ? changed : 0);

  const roots = panels.find((panel) => panel.kind === "rows")?.roots ?? false;

  const setFilters = (filters: Filter[]) => go({ filters });
  const addFilters = (chips: Filter[]) => go({ filters: chips.reduce(views.toggled, view.filters) });
  const brush = (start: number, end: number, chips: Filter[] = []) => go({ range: `${start}-${end}`, filters: chips.reduce(views.toggled, view.filters) });
  const open = (row: string) => go({ row }, view.row !== "");

  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (shown || event.metaKey || event.ctrlKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
      const acts: Record<string, () => void> = {
        "/": () => searchBox.current?.focus(),
        f: () => filterOpen.current?.(),
        j: () => rows.current?.step(1),
        k: () => rows.current?.step(-1),
        "?": () => setHelp((old) => !old),
        t: flip,
        l: () => setLive((old) => !old),
        e: () => setEditing((old) => !old),
        w: () => setShown("changed"),
        c: () => view.row && go({ against: view.against === view.row ? "" : view.row }, true),
        Escape: () => (help ? setHelp(false) : view.row ? go({ row: "" }) : editing ? setEditing(false) : /-/.test(view.range) ? go({ range: "" }) : undefined),
      };
      const act = acts[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  });

  if (error) return <main class="alone"><Wrong text={error} /><a href="/">All tables</a></main>;
  const columns = about?.columns ?? [];
  return (
    <div class={`app ${editing ? "with-editor" : ""}`}>
      <header class="top">
        <a class="brand" href="/" aria-label="All tables"><img src="/static/mark.svg" alt="" width="22" height="22" /></a>
        <TableMenu view={view} tables={tables} />
        <nav class="boards" aria-label="Boards">
          {about?.seeds.map((seed) => (
            <button type="button" key={seed.name} aria-current={board?.seeded === seed.name && !view.board ? "page" : undefined} onClick={() => go({ seed: seed.name, board: "" })}>
              {seed.title}
            </button>
          ))}
          {about?.boards.map((name) => (
            <button type="button" key={`saved-${name}`} aria-current={view.board === name ? "page" : undefined} onClick={() => go({ board: name, seed: "" })}>
              {name}
            </button>
          ))}
        </nav>
        <span class="grow" />
        <button type="button" class={`tool line-${line}`} aria-pressed={live} title={live ? "Rows show as they arrive; pause (l)" : "Paused; go on (l)"} onClick={() => setLive(!live)}>
          <i class="dot" /> {line === "live" ? "Live" : line === "paused" ? "Paused" : "Connecting"}
        </button>
        <button type="button" class="tool what-changed" aria-label="What changed?" title="Compare these rows with the time before (w)" onClick={() => setShown("changed")}>
          <Icon name="compare" /> <span>What changed?</span>
        </button>
        <RangePicker range={range} shown={head?.range ?? [null, null]} onRange={(next) => go({ range: next })} />
        <More view={view} about={about} onEdit={() => setEditing(!editing)} onHelp={() => setHelp(true)} onShow={setShown} theme={theme} onTheme={flip} question={question} />
      </header>
      <FilterBar columns={columns} base={base} range={range} filters={view.filters} search={view.search} where={view.where} group={group} searchBox={searchBox} filterOpen={filterOpen} onFilters={setFilters} onSearch={(search) => go({ search }, view.search !== "")} onWhere={(where) => go({ where })} onGroup={(next) => go({ group: next })} />
      <main class="board" aria-busy={asking || !board}>
        {askError && <Wrong text={askError} />}
        {head?.searched !== undefined && head.searched < head.of! && <Searching searched={head.searched} of={head.of!} />}
        {about && !columns.length && <Teach project={view.project} table={view.table} />}
        {columns.length > 0 && (
          <div class="grid">
            {panels.map((panel) =>
              panel.kind === "rows" ? (
                <Frame key={panel.id} panel={panel} asking={false} extra={<><span class="rows-note" role="status">{rowsNote}</span><span class="grow" /><ColumnChooser columns={columns} shown={shownColumns({ columns: view.columns, panel, about: columns, calls: about!.calls })} onShown={(names) => go({ columns: names }, true)} /></>}>
                  {question && <RowsTable base={base} media={`/media/${view.project}`} question={question} panel={panel} about={columns} calls={about!.calls} sort={view.sort || panel.sort || ""} columns={view.columns} chosen={view.row} against={view.against} changed={changed} live={live} handle={rows} onSort={(sort) => go({ sort }, true)} onOpen={open} onCount={setRowsNote} onFilter={(column: string, value: Value) => addFilters([{ column, op: "=", value }])} />}
                </Frame>
              ) : (
                <PanelView key={panel.id} panel={panel} answer={answers.get(panel.id)} asking={asking} theme={theme} group={group} onRange={brush} onFilter={addFilters} />
              ),
            )}
          </div>
        )}
      </main>
      {view.row && about && (
        <RowView base={base} media={`/media/${view.project}`} id={view.row} against={view.against} readOnly={about.read_only} changed={live ? changed : 0} onOpen={open} onAgainst={(against) => go({ against }, true)} onStep={(by) => rows.current?.step(by)} onClose={() => go({ row: "" })} onSaid={(row, said) => rows.current?.said(row, said)} />
      )}
      {editing && board && <Editor key={board.name} base={base} board={board} readOnly={about?.read_only ?? true} onPreview={setBoard} onSaved={(name) => { api.get<About>(base).then(setAbout, () => undefined); go({ board: name, seed: "" }); }} onClose={() => setEditing(false)} />}
      {shown === "changed" && question && <Changed base={base} question={question} roots={roots} narrowed={question.filters.length > 0 || question.where !== ""} onWhere={(where) => go({ where })} onClose={() => setShown("")} />}
      {shown === "dataset" && question && <IntoDataset base={base} rows={{ ...question, roots }} what="the rows that are shown (the newest 1,000 at most)" onClose={() => setShown("")} />}
      {help && <Help onClose={() => setHelp(false)} />}
    </div>
  );
}

/** With a grouping chosen: charts split by it, and a table of the groups above the rows. */
function grouped(panels: Panel[], group: string): Panel[] {
  if (!group) return panels;
  const split = panels.map((panel) => ((panel.kind === "lines" || panel.kind === "bars") && !panel.source ? { ...panel, by: group } : panel));
  const rows = split.find((panel) => panel.kind === "rows");
  const top = rows?.at?.[1] ?? Math.max(0, ...split.map((panel) => (panel.at ? panel.at[1] + panel.at[3] : 0)));
  const groups: Panel = { id: "grouped", kind: "groups", title: `By ${format.column(group)}`, by: group, at: [0, top, 24, 9], where: rows?.roots ? "parent_id IS NULL" : rows?.where };
  const moved = split.map((panel) => (panel.at && panel.at[1] >= top ? { ...panel, at: [panel.at[0], panel.at[1] + 9, panel.at[2], panel.at[3]] as Panel["at"] } : panel));
  const place = rows ? moved.findIndex((panel) => panel.kind === "rows") : moved.length;
  return [...moved.slice(0, place), groups, ...moved.slice(place)];
}

/** The charts of a search that goes on are of the newest rows only, and say so. */
function Searching({ searched, of }: { searched: number; of: number }) {
  return (
    <p class="searching" role="status">
      <progress max={of} value={searched} aria-label="Rows searched" />
      Charts show what was found in the newest {format.count(searched)} of {format.count(of)} rows so far.
    </p>
  );
}

function TableMenu({ view, tables }: { view: View; tables: { project: string; table: string }[] }) {
  return (
    <Menu label="Choose a table" button={<><span class="where"><span class="quiet">{view.project.replace(/^local\//, "")}</span><span class="slash">/</span><strong>{view.table}</strong></span> <Icon name="chevron" /></>}>
      {() => (
        <div class="tables-menu">
          {tables.map(({ project, table }) => (
            <a class={`menu-item ${project === view.project && table === view.table ? "on" : ""}`} key={`${project}/${table}`} href={`/${project}/${encodeURIComponent(table)}`}>
              <span><span class="quiet">{project.replace(/^local\//, "")} / </span>{table}</span>
              {project === view.project && table === view.table && <Icon name="check" />}
            </a>
          ))}
        </div>
      )}
    </Menu>
  );
}

interface MoreProps {
  view: View;
  about: About | null;
  theme: string;
  question: api.Question | null;
  onEdit: () => void;
  onShow: (what: "changed" | "dataset") => void;
  onHelp: () => void;
  onTheme: () => void;
}

function More({ view, about, theme, question, onEdit, onShow, onHelp, onTheme }: MoreProps) {
  const [copied, setCopied] = useState(false);
  const exported = (form: string) => `${views.base(view)}/export.${form}?ask=${encodeURIComponent(JSON.stringify(question ?? {}))}`;
  const share = () => void navigator.clipboard?.writeText(location.href).then(() => { setCopied(true); setTimeout(() => setCopied(false), 1500); });
  return (
    <Menu label="More" bare button={<Icon name="more" />} align="right">
      {(close) => (
        <>
          <button type="button" class="menu-item" onClick={() => { onEdit(); close(); }}><span><Icon name="pen" /> Edit or save the board</span><kbd>e</kbd></button>
          {about?.read_only === false && <button type="button" class="menu-item" onClick={() => { onShow("dataset"); close(); }}><span><Icon name="dataset" /> Add these rows to a dataset</span></button>}
          <button type="button" class="menu-item" onClick={share}><span><Icon name={copied ? "check" : "link"} /> {copied ? "Copied" : "Copy a link to this view"}</span></button>
          <a class="menu-item" href={exported("csv")} download onClick={close}><span><Icon name="export" /> Export as CSV</span></a>
          <a class="menu-item" href={exported("jsonl")} download onClick={close}><span><Icon name="export" /> Export as JSON lines</span></a>
          <button type="button" class="menu-item" onClick={() => { onTheme(); close(); }}><span><Icon name={theme === "dark" ? "sun" : "moon"} /> {theme === "dark" ? "Light" : "Dark"} theme</span><kbd>t</kbd></button>
          <button type="button" class="menu-item" onClick={() => { onHelp(); close(); }}><span><Icon name="keyboard" /> Keys</span><kbd>?</kbd></button>
        </>
      )}
    </Menu>
  );
}

function Teach({ project, table }: { project: string; table: string }) {
  const name = `${project.replace(/^local\//, "")}/${table}`;
  return (
    <section class="teach">
      <h2>Nothing is recorded in {format.visible(table)} yet</h2>
      <p>Rows show here the moment they are written, by any process of this machine.</p>
      <pre class="code">{table === "traces" ? `import llmwatch\nfrom llmwatch import traced\n\nllmwatch.init("${project.replace(/^local\//, "")}")\n\n@traced\ndef answer(question): ...\n\nanswer("How do I reset my key?")` : `from llmwatch import StreamTable\n\nStreamTable("${name}").log({"question": "How do I reset my key?", "tokens": 12})`}</pre>
    </section>
  );
}
