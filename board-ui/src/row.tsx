/** A row opened: the trace it is part of, and of the chosen call everything there is. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import * as api from "./api";
import { Conversation, messagesOf } from "./conversation";
import { IntoDataset } from "./dataset";
import { Compared } from "./diff";
import { Feedback } from "./feedback";
import * as format from "./format";
import { Icon } from "./icons";
import { Json } from "./json";
import { useNowAndThen } from "./live";
import { Wrong } from "./panel";
import type { Said, Trace, WholeRow } from "./types";
import { shortName, Waterfall } from "./waterfall";

interface Props {
  base: string;
  media: string;
  id: string;
  against: string;
  readOnly: boolean;
  changed: number;
  onOpen: (id: string) => void;
  onAgainst: (id: string) => void;
  onStep: (by: number) => void;
  onClose: () => void;
  onSaid: (row: string, said: Said[]) => void;
}

export function RowView(props: Props) {
  const { base, id, against, onClose, onStep } = props;
  const changed = useNowAndThen(props.changed, 1500);
  const [row, setRow] = useState<WholeRow | null>(null);
  const [other, setOther] = useState<WholeRow | null>(null);
  const [trace, setTrace] = useState<Trace | null>(null);
  const [error, setError] = useState("");
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    const stop = new AbortController();
    api
      .get<WholeRow>(`${base}/row/${id}`, stop.signal)
      .then((found) => {
        setRow(found);
        setError("");
      })
      .catch((failed: Error) => failed.name !== "AbortError" && (setError(failed.message), setRow(null)));
    return () => stop.abort();
  }, [base, id, changed]);
  const traceId = typeof row?.fields.trace_id === "string" ? row.fields.trace_id : "";
  useEffect(() => {
    if (!traceId) return setTrace(null);
    const stop = new AbortController();
    api.get<Trace>(`${base}/trace/${traceId}`, stop.signal).then(setTrace, (failed: Error) => failed.name !== "AbortError" && setTrace(null));
    return () => stop.abort();
  }, [base, traceId, changed]);
  useEffect(() => {
    if (!against) return setOther(null);
    api.get<WholeRow>(`${base}/row/${against}`).then(setOther, () => setOther(null));
  }, [base, against, changed]);
  useEffect(() => box.current?.focus({ preventScroll: true }), []);
  return (
    <aside class="row-view" ref={box} tabIndex={-1} aria-label="Row">
      <div class="row-head">
        <button type="button" class="icon-button" aria-label="Previous row" title="Previous row (k)" onClick={() => onStep(-1)}>
          <Icon name="left" />
        </button>
        <button type="button" class="icon-button" aria-label="Next row" title="Next row (j)" onClick={() => onStep(1)}>
          <Icon name="right" />
        </button>
        {row && <Title row={row} />}
        <span class="grow" />
        {row && <Tools {...props} row={row} />}
        <button type="button" class="icon-button" aria-label="Close" title="Close (Esc)" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      {error && <Wrong text={error} />}
      <div class={`row-body ${trace && trace.spans.length > 1 ? "with-trace" : ""}`}>
        {trace && trace.spans.length > 1 && (
          <div class="trace-side">
            <TraceSums trace={trace} />
            <Waterfall spans={trace.spans} chosen={id} onChoose={props.onOpen} />
            {trace.more && <p class="quiet small">The first 5,000 calls are shown.</p>}
          </div>
        )}
        <div class="row-detail">{row && (other && other.id !== row.id ? <Compared a={other} b={row} onClose={() => props.onAgainst("")} /> : <Detail {...props} row={row} setRow={setRow} />)}</div>
      </div>
    </aside>
  );
}

function Title({ row }: { row: WholeRow }) {
  const { fields } = row;
  const named = shortName((fields.display_name ?? fields.op_name ?? null) as string | null) ?? row.table;
  return (
    <div class="row-title">
      <h2>{format.visible(named)}</h2>
      {typeof fields.status === "string" && <Status status={fields.status} />}
    </div>
  );
}

export function Status({ status }: { status: string }) {
  return <span class={`status status-${["success", "error", "running"].includes(status) ? status : "other"}`}>{format.visible(status)}</span>;
}

function Tools({ base, readOnly, row, against, onAgainst }: Props & { row: WholeRow }) {
  const [copied, setCopied] = useState(false);
  const [adding, setAdding] = useState(false);
  const copy = () => {
    void navigator.clipboard?.writeText(location.href).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    });
  };
  return (
    <>
      <button type="button" class="tool" aria-pressed={against === row.id} title="Pin this row, then open another to compare (c)" onClick={() => onAgainst(against === row.id ? "" : row.id)}>
        <Icon name="compare" /> {against === row.id ? "Pinned" : "Compare"}
      </button>
      {!readOnly && (
        <button type="button" class="tool" title="Add this row to a dataset, its correction as what is expected" onClick={() => setAdding(true)}>
          <Icon name="dataset" /> Dataset
        </button>
      )}
      {adding && <IntoDataset base={base} rows={{ ids: [row.id] }} what="this row" onClose={() => setAdding(false)} />}
      <button type="button" class="tool" onClick={copy}>
        <Icon name={copied ? "check" : "link"} /> {copied ? "Copied" : "Link"}
      </button>
    </>
  );
}

function TraceSums({ trace }: { trace: Trace }) {
  const sum = (values: (number | null)[]) => (values.some((v) => v !== null) ? values.reduce<number>((total, v) => total + (v ?? 0), 0) : null);
  const tokens = sum(trace.spans.flatMap((span) => [span.prompt_tokens, span.completion_tokens]));
  const cost = sum(trace.spans.map((span) => span.cost_usd));
  const failed = trace.spans.filter((span) => span.status === "error").length;
  return (
    <p class="trace-sums">
      {trace.spans.length} calls{failed > 0 && <span class="bad"> · {failed} failed</span>}
      {tokens !== null && ` · ${format.count(tokens)} tokens`}
      {cost !== null && ` · ${format.money(cost)}`}
    </p>
  );
}

const FACTS: [string, string, string?][] = [
  ["latency_ms", "latency", "ms"],
  ["ttft_ms", "first token", "ms"],
  ["model", "model"],
  ["prompt_tokens", "prompt tokens"],
  ["completion_tokens", "completion tokens"],
  ["cost_usd", "cost", "usd"],
  ["user_id", "user"],
  ["session_id", "session"],
  ["version", "version"],
  ["kind", "kind"],
];

function Detail({ row, setRow, base, media, readOnly, onSaid, onOpen }: Props & { row: WholeRow; setRow: (row: WholeRow) => void }) {
  const { fields } = row;
  const messages = useMemo(() => messagesOf(fields.inputs, fields.output), [row]);
  const said = (found: Said[]) => {
    setRow({ ...row, said: found });
    onSaid(row.id, found);
  };
  return (
    <>
      <dl class="facts">
        <div>
          <dt>when</dt>
          <dd>{format.moment(Number(fields.started_at ?? fields.ts))}</dd>
        </div>
        {FACTS.filter(([key]) => fields[key] !== undefined).map(([key, label, unit]) => (
          <div key={key}>
            <dt>{label}</dt>
            <dd>{typeof fields[key] === "number" ? (unit ? format.number(fields[key], unit) : format.count(fields[key])) : format.visible(String(fields[key]))}</dd>
          </div>
        ))}
      </dl>
      <Examples row={row} base={base} />
      <Feedback base={base} row={row.id} said={row.said} readOnly={readOnly} onSaid={said} />
      {typeof fields.exception === "string" && <Exception text={fields.exception} kind={String(fields.exception_type ?? "")} />}
      {messages.length > 0 ? (
        <Part key="Conversation" title="Conversation" open>
          <Conversation messages={messages} media={media} />
        </Part>
      ) : (
        <>
          {fields.inputs !== undefined && (
            <Part key="Inputs" title="Inputs" open>
              <Json value={fields.inputs} media={media} />
            </Part>
          )}
          {fields.output !== undefined && (
            <Part key="Output" title="Output" open>
              <Json value={fields.output} media={media} />
            </Part>
          )}
        </>
      )}
      {fields.data !== undefined && (
        <Part key="Logged" title="Logged" open>
          <Json value={fields.data} media={media} />
        </Part>
      )}
      {messages.length > 0 && (
        <>
          <Part key="Inputs" title="Inputs">
            <Json value={fields.inputs} media={media} />
          </Part>
          {fields.output !== undefined && (
            <Part key="Output" title="Output">
              <Json value={fields.output} media={media} />
            </Part>
          )}
        </>
      )}
      {!isEmpty(fields.attributes) && (
        <Part key="Attributes" title="Attributes">
          <Json value={fields.attributes} media={media} />
        </Part>
      )}
      {!isEmpty(fields.summary) && (
        <Part key="Summary" title="Summary">
          <Json value={fields.summary} media={media} />
        </Part>
      )}
      {fields.embedding !== undefined && <Similar base={base} id={row.id} onOpen={onOpen} />}
      <Part key="Identity" title="Identity">
        <Json value={{ id: row.id, trace_id: fields.trace_id, parent_id: fields.parent_id ?? null, op_name: fields.op_name ?? null, table: row.table }} media={media} />
      </Part>
    </>
  );
}

const HOUR = 3_600_000_000;

/** An alert, or a check for drift, is about rows of another table: those of its time, and of its group. */
function Examples({ row, base }: { row: WholeRow; base: string }) {
  const data = row.fields.data as Record<string, unknown> | undefined;
  const [project] = /^(.*)\/[^/]+$/.exec(base.replace(/^\/api/, ""))?.slice(1) ?? [];
  if (!["alerts", "drift"].includes(row.table) || typeof data?.table !== "string" || !project) return null;
  const times = data.window as { start_us?: number; end_us?: number } | undefined;
  const fired = Number(data.fired_us ?? data.at_us);
  const [from, to] = times?.start_us && times.end_us ? [times.start_us, times.end_us] : [fired - HOUR, Math.max(Number(data.at_us), fired) + HOUR / 4];
  if (!Number.isFinite(from) || !Number.isFinite(to)) return null;
  const group = data.group && typeof data.group === "object" ? Object.entries(data.group as Record<string, unknown>) : [];
  const chips = group.filter(([column]) => !column.includes(".")).map(([column, value]) => ({ column, op: "=", value }));
  const query = new URLSearchParams({ range: `${Math.floor(from)}-${Math.ceil(to)}`, ...(chips.length ? { f: JSON.stringify(chips) } : {}) });
  const [table] = data.table.split("/").slice(-1);
  return (
    <p class="examples">
      <a href={`${project}/${encodeURIComponent(table!)}?${query}`}>The rows it is about</a> <span class="quiet">in {format.visible(table!)}, {format.span(from, to)}</span>
    </p>
  );
}

const isEmpty = (value: unknown) => value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);

/** What the person folded or unfolded stays so from row to row. */
const folds = new Map<string, boolean>();

function Part({ title, open = false, children }: { title: string; open?: boolean; children: preact.ComponentChildren }) {
  const [shown, setShown] = useState(folds.get(title) ?? open);
  const turn = () => {
    folds.set(title, !shown);
    setShown(!shown);
  };
  return (
    <section class="part">
      <h3>
        <button type="button" aria-expanded={shown} onClick={turn}>
          <Icon name={shown ? "chevron" : "right"} /> {title}
        </button>
      </h3>
      {shown && <div class="part-body">{children}</div>}
    </section>
  );
}

/** The last line says what went wrong; the frames are there for who wants them. */
function Exception({ text, kind }: { text: string; kind: string }) {
  const lines = format.visible(text).trimEnd().split("\n");
  const last = lines.at(-1) ?? kind;
  const [shown, setShown] = useState(lines.length < 12);
  return (
    <section class="exception" aria-label="Exception">
      <p>
        <Icon name="alert" /> <strong>{last}</strong>
      </p>
      {lines.length > 1 && shown && (
        <pre>
          {lines.slice(0, -1).map((line, n) => (
            <span key={n} class={/^\s*File "/.test(line) ? "frame" : ""}>
              {line}
              {"\n"}
            </span>
          ))}
        </pre>
      )}
      {lines.length >= 12 && (
        <button type="button" class="linkish" onClick={() => setShown(!shown)}>
          {shown ? "Hide the traceback" : `Show the traceback (${lines.length} lines)`}
        </button>
      )}
    </section>
  );
}

function Similar({ base, id, onOpen }: { base: string; id: string; onOpen: (id: string) => void }) {
  const [rows, setRows] = useState<{ id: string; near: number; inputs: string | null }[] | null>(null);
  useEffect(() => setRows(null), [id]);
  const load = () => void api.get<{ rows: { id: string; near: number; inputs: string | null }[] }>(`${base}/similar/${id}`).then((found) => setRows(found.rows), () => setRows([]));
  return (
    <section class="part">
      <h3>
        <button type="button" aria-expanded={rows !== null} onClick={() => (rows ? setRows(null) : load())}>
          <Icon name={rows ? "chevron" : "right"} /> Similar rows
        </button>
      </h3>
      {rows && (
        <ul class="similar">
          {rows.map((found) => (
            <li key={found.id}>
              <button type="button" onClick={() => onOpen(found.id)}>
                <b>{(found.near * 100).toFixed(0)}%</b> <span>{format.visible(found.inputs ?? found.id)}</span>
              </button>
            </li>
          ))}
          {!rows.length && <li class="quiet">No other row has an embedding.</li>}
        </ul>
      )}
    </section>
  );
}
