/** Two rows beside each other: what differs, word by word. */

import * as format from "./format";
import type { WholeRow } from "./types";

interface Piece {
  text: string;
  how: "same" | "gone" | "new";
}

const MOST_WORDS = 1500;

export function Compared({ a, b, onClose }: { a: WholeRow; b: WholeRow; onClose: () => void }) {
  const skip = new Set(["id", "trace_id", "parent_id", "started_at", "ended_at", "ts", "embedding"]);
  const names = [...new Set([...Object.keys(a.fields), ...Object.keys(b.fields)])].filter((name) => !skip.has(name));
  const pairs = names.map((name) => ({ name, left: shown(a.fields[name]), right: shown(b.fields[name]) }));
  const differing = pairs.filter(({ left, right }) => left !== right);
  return (
    <div class="compared">
      <header class="compared-head">
        <h3>
          {differing.length ? `${differing.length} of ${pairs.length} fields differ` : "The two rows are alike"}
        </h3>
        <button type="button" class="tool" onClick={onClose}>
          Stop comparing
        </button>
      </header>
      <div class="compared-who">
        <span>pinned · {format.moment(Number(a.fields.ts), true)}</span>
        <span>this row · {format.moment(Number(b.fields.ts), true)}</span>
      </div>
      {differing.map(({ name, left, right }) => (
        <section key={name} class="compared-field">
          <h4>{name}</h4>
          <div class="compared-pair">
            <Side pieces={words(left, right).filter((p) => p.how !== "new")} />
            <Side pieces={words(left, right).filter((p) => p.how !== "gone")} />
          </div>
        </section>
      ))}
    </div>
  );
}

function Side({ pieces }: { pieces: Piece[] }) {
  return (
    <pre class="side">
      {pieces.map((piece, n) => (piece.how === "same" ? piece.text : piece.how === "gone" ? <del key={n}>{piece.text}</del> : <ins key={n}>{piece.text}</ins>))}
    </pre>
  );
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return "";
  return format.visible(typeof value === "string" ? value : JSON.stringify(value, null, 1)).replace(/\\n/g, "\n");
}

/** The longest common run of words, by the classic table; texts too long for it are shown whole. */
function words(left: string, right: string): Piece[] {
  const a = left.match(/\s+|[^\s]+/g) ?? [];
  const b = right.match(/\s+|[^\s]+/g) ?? [];
  if (a.length > MOST_WORDS || b.length > MOST_WORDS) return [{ text: left, how: "gone" }, { text: right, how: "new" }];
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      lengths[i * width + j] = a[i] === b[j] ? lengths[(i + 1) * width + j + 1]! + 1 : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!);
  const pieces: Piece[] = [];
  const add = (text: string, how: Piece["how"]) => {
    const last = pieces.at(-1);
    if (last?.how === how) last.text += text;
    else pieces.push({ text, how });
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      add(a[i]!, "same");
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!)) {
      add(a[i]!, "gone");
      i += 1;
    } else {
      add(b[j]!, "new");
      j += 1;
    }
  }
  return pieces;
}
