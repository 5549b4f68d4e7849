/** What people and scorers said about a row, and saying something. */

import { useState } from "preact/hooks";
import * as api from "./api";
import * as format from "./format";
import { Icon } from "./icons";
import type { Said } from "./types";

export function parsed(said: Said): unknown {
  try {
    return JSON.parse(said.value ?? "null");
  } catch {
    return said.value;
  }
}

const field = (value: unknown, name: string): unknown => (typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined);

/** A reaction's emoji, by whatever client it was said. */
export function emojiOf(said: Said): string | null {
  if (!/reaction/.test(said.name)) return null;
  const value = parsed(said);
  const found = field(value, "emoji") ?? value;
  return typeof found === "string" && found.length <= 16 ? found : null;
}

export function noteOf(said: Said): string | null {
  const value = parsed(said);
  const found = field(value, "note") ?? field(value, "expected") ?? (/note|comment|correction/.test(said.name) ? value : undefined);
  return typeof found === "string" ? found : null;
}

export function scoreOf(said: Said): { text: string; why: string } {
  const value = parsed(said);
  const why = ["why", "reason", "reasoning", "explanation", "rationale"].map((key) => field(value, key)).find((text) => typeof text === "string") as string | undefined;
  const inner = typeof value === "object" && value !== null ? (field(value, "score") ?? field(value, "value") ?? field(value, "passed") ?? field(value, "flagged") ?? first(value as Record<string, unknown>)) : value;
  return { text: typeof inner === "number" ? format.compact(inner) : inner === true ? "yes" : inner === false ? "no" : format.visible(String(inner ?? "–")).slice(0, 40), why: why ?? "" };
}

const first = (value: Record<string, unknown>) => Object.values(value).find((item) => typeof item === "number" || typeof item === "boolean" || typeof item === "string");

interface Props {
  base: string;
  row: string;
  said: Said[];
  readOnly: boolean;
  onSaid: (said: Said[]) => void;
}

const FORMS = [
  { what: "note", icon: "note", label: "Note", hint: "What should others know about this answer?" },
  { what: "correction", icon: "pen", label: "Correct", hint: "What should the answer have been?" },
  { what: "label", icon: "tag", label: "Label", hint: "" },
] as const;

export function Feedback({ base, row, said, readOnly, onSaid }: Props) {
  const [form, setForm] = useState<(typeof FORMS)[number]["what"] | null>(null);
  const [error, setError] = useState("");
  const feedback = said.filter((s) => s.kind === "feedback");
  const mine = (emoji: string) => feedback.filter((s) => emojiOf(s) === emoji);
  const run = async (work: Promise<{ said: Said[] }>) => {
    try {
      onSaid((await work).said);
      setError("");
      setForm(null);
    } catch (failed) {
      setError((failed as Error).message);
    }
  };
  const say = (body: Record<string, unknown>) => run(api.send(`${base}/say/${row}`, body));
  const takeBack = (event: string) => run(api.remove(`${base}/say/${row}/${event}`));
  const stars = feedback.findLast((s) => s.name === "rating");
  const rating = stars ? Number(field(parsed(stars), "stars") ?? parsed(stars)) : 0;
  return (
    <div class="feedback">
      <div class="feedback-bar">
        {(["up", "down"] as const).map((way) => {
          const emoji = way === "up" ? "👍" : "👎";
          const found = mine(emoji);
          return (
            <button type="button" key={way} class={`tool ${found.length ? `on-${way}` : ""}`} disabled={readOnly} aria-pressed={found.length > 0} title={way === "up" ? "Good answer (+)" : "Bad answer (-)"} aria-label={way === "up" ? "Good answer" : "Bad answer"} onClick={() => (found.length ? takeBack(found.at(-1)!.id) : say({ what: "reaction", value: way }))}>
              <Icon name={way} filled={found.length > 0} />
              {found.length > 1 && <span>{found.length}</span>}
            </button>
          );
        })}
        <span class="stars" role="group" aria-label="Rating">
          {[1, 2, 3, 4, 5].map((n) => (
            <button type="button" key={n} class={`tool star ${n <= rating ? "on-star" : ""}`} disabled={readOnly} aria-label={`${n} star${n > 1 ? "s" : ""}`} aria-pressed={n === rating} onClick={() => (n === rating && stars ? takeBack(stars.id) : say({ what: "rating", value: n, replaces: stars?.id }))}>
              <Icon name="star" filled={n <= rating} />
            </button>
          ))}
        </span>
        {FORMS.map(({ what, icon, label }) => (
          <button type="button" key={what} class={`tool ${form === what ? "on" : ""}`} disabled={readOnly} aria-expanded={form === what} onClick={() => setForm(form === what ? null : what)}>
            <Icon name={icon} /> {label}
          </button>
        ))}
        {readOnly && <span class="quiet small">read-only</span>}
      </div>
      {form && <Form what={form} onSay={say} onClose={() => setForm(null)} />}
      {error && <p class="wrong" role="alert"><Icon name="alert" /> {error}</p>}
      <Voices said={said} readOnly={readOnly} onTakeBack={takeBack} />
    </div>
  );
}

function Form({ what, onSay, onClose }: { what: (typeof FORMS)[number]["what"]; onSay: (body: Record<string, unknown>) => void; onClose: () => void }) {
  const [text, setText] = useState("");
  const [label, setLabel] = useState("resolved");
  const about = FORMS.find((form) => form.what === what)!;
  const submit = (event: Event) => {
    event.preventDefault();
    if (what === "label") onSay({ what, name: label.trim(), value: valueOf(text) });
    else if (text.trim()) onSay({ what, value: text.trim() });
  };
  const keys = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.key === "Escape") onClose();
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) submit(event);
  };
  return (
    <form class="feedback-form" onSubmit={submit} onKeyDown={keys}>
      {what === "label" ? (
        <>
          <input aria-label="Label" value={label} onInput={(e) => setLabel(e.currentTarget.value)} />
          <input aria-label="Value" placeholder="true, 0.8, refund, …" autoFocus value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </>
      ) : (
        <textarea aria-label={about.label} placeholder={about.hint} rows={3} autoFocus value={text} onInput={(e) => setText(e.currentTarget.value)} />
      )}
      <button type="submit" class="primary">
        Save
      </button>
    </form>
  );
}

/** A label as the person means it: `true` and `0.8` are no texts. */
function valueOf(text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === "") return true;
  try {
    const value: unknown = JSON.parse(trimmed);
    return typeof value === "object" ? trimmed : value;
  } catch {
    return trimmed;
  }
}

function Voices({ said, readOnly, onTakeBack }: { said: Said[]; readOnly: boolean; onTakeBack: (id: string) => void }) {
  const notes = said.filter((s) => s.kind === "feedback" && noteOf(s) !== null);
  const others = said.filter((s) => s.kind === "feedback" && noteOf(s) === null && emojiOf(s) === null && s.name !== "rating");
  const scores = said.filter((s) => s.kind === "score");
  const labels = said.filter((s) => s.kind === "label");
  return (
    <>
      {(scores.length > 0 || labels.length > 0 || others.length > 0) && (
        <ul class="scores">
          {scores.map((s) => {
            const { text, why } = scoreOf(s);
            return (
              <li key={s.id} class="score">
                <span>{format.visible(s.name)}</span> <b>{text}</b>
                {why && <em>{format.visible(why)}</em>}
              </li>
            );
          })}
          {labels.map((s) => (
            <li key={s.id} class="score label">
              <Icon name="tag" /> <span>{format.visible(s.name)}</span> <b>{format.visible(String(parsed(s)))}</b>
            </li>
          ))}
          {others.map((s) => (
            <li key={s.id} class="score">
              <span>{format.visible(s.name)}</span> <b>{scoreOf(s).text}</b>
            </li>
          ))}
        </ul>
      )}
      {notes.map((s) => (
        <blockquote class={`voice ${/correction/.test(s.name) ? "correction" : ""}`} key={s.id}>
          <p>{format.visible(noteOf(s)!)}</p>
          <footer>
            {/correction/.test(s.name) ? "correction by " : ""}
            {format.visible(s.creator)} · {format.moment(s.at, true)}
            {!readOnly && (
              <button type="button" class="linkish" onClick={() => onTakeBack(s.id)}>
                take back
              </button>
            )}
          </footer>
        </blockquote>
      ))}
    </>
  );
}
