/** What changed: these rows against the time before them, or against all others, the likeliest cause first. */

import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "./api";
import type { Question } from "./api";
import * as format from "./format";
import { Wrong } from "./panel";

interface Outcome {
  name: string;
  unit: string;
  before: number | null;
  after: number | null;
  medians: [number | null, number | null];
  verdict: string;
}

interface Cause {
  name: string;
  found: boolean;
  says: string;
  behaviour: unknown;
  explains: Record<string, number>;
  parts: { label: string; before: number; after: number; where: string | null }[];
}

interface Changes {
  selections: [string, string];
  rows: [number, number];
  outcomes: Outcome[];
  causes: Cause[];
  notes: string[];
}

interface Props {
  base: string;
  question: Question;
  roots: boolean;
  narrowed: boolean;
  onWhere: (where: string) => void;
  onClose: () => void;
}

export function Changed({ base, question, roots, narrowed, onWhere, onClose }: Props) {
  const [versus, setVersus] = useState<"before" | "others">("before");
  const [found, setFound] = useState<Changes | null>(null);
  const [error, setError] = useState("");
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    const stop = new AbortController();
    setFound(null);
    setError("");
    api.send<Changes>(`${base}/changed`, { ...question, roots, versus }, stop.signal).then(setFound, (failed: Error) => failed.name !== "AbortError" && setError(failed.message));
    return () => stop.abort();
  }, [versus]);
  const pick = (where: string) => {
    onWhere(where);
    onClose();
  };
  return (
    <dialog class="changes" ref={dialog} onClose={onClose} onClick={(e) => e.target === dialog.current && onClose()} aria-label="What changed?">
      <header>
        <h2>What changed?</h2>
        <span class="grow" />
        <div class="either" role="group" aria-label="Compared with">
          <button type="button" class="tool" aria-pressed={versus === "before"} onClick={() => setVersus("before")}>With the time before</button>
          <button type="button" class="tool" aria-pressed={versus === "others"} disabled={!narrowed} title={narrowed ? undefined : "Filter first: then these rows are compared with all others"} onClick={() => setVersus("others")}>With all other rows</button>
        </div>
      </header>
      {error ? <Wrong text={error} /> : found ? <Answer found={found} onPick={pick} /> : <p class="quiet" role="status">Comparing every column…</p>}
      <button type="button" class="primary" onClick={onClose}>Close</button>
    </dialog>
  );
}

function Answer({ found, onPick }: { found: Changes; onPick: (where: string) => void }) {
  const causes = found.causes.filter((cause) => cause.found);
  return (
    <>
      <p class="quiet small">
        {format.visible(found.selections[0])} ({format.count(found.rows[0])} rows) → {format.visible(found.selections[1])} ({format.count(found.rows[1])} rows)
      </p>
      {found.outcomes.length > 0 && (
        <ul class="outcomes">
          {found.outcomes.map((one) => (
            <li key={one.name} class={one.verdict.replace(/ /g, "-")}>
              <b>{format.visible(one.name)}</b>
              <span>{one.before === null || one.after === null ? "unknown" : `${amount(one.before, one)} → ${amount(one.after, one)}`}</span>
              <em>{one.verdict}</em>
            </li>
          ))}
        </ul>
      )}
      {causes.length === 0 && <p>No column changed by more than chance does.</p>}
      <ol class="causes">
        {causes.map((cause) => (
          <li key={cause.name}>
            <h3>{format.visible(cause.name)} {share(cause)}</h3>
            {(cause.behaviour !== null || !cause.parts.length) && <p>{format.visible(cause.says)}</p>}
            <ul>
              {cause.parts.slice(0, 4).map((part) => (
                <li key={part.label}>
                  <button type="button" class="linkish" disabled={!part.where} onClick={() => part.where && onPick(part.where)} title={part.where ? "Only these rows" : undefined}>{format.visible(part.label)}</button>
                  <span>{format.number(part.before, "percent")} → {format.number(part.after, "percent")}</span>
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ol>
      {found.notes.map((note) => <p class="quiet small" key={note}>{format.visible(note)}</p>)}
    </>
  );
}

/** A mean of what is 0 or 1 is a share. */
function amount(value: number, { name, unit, medians }: Outcome): string {
  const rate = name === "errors" || unit === "liked" || (unit === "" && (medians[0] === 0 || medians[0] === 1));
  return format.number(value, rate ? "percent" : unit === "$" ? "usd" : unit === "ms" ? "ms" : "");
}

function share(cause: Cause) {
  const most = Object.entries(cause.explains).sort((a, b) => b[1] - a[1])[0];
  return most && most[1] >= 0.05 ? <span class="quiet">accounts for {Math.round(most[1] * 100)}% of {format.visible(most[0])}</span> : null;
}
