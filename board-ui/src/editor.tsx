/** The board's spec as text: what is typed is checked and shown at once, and saved under a name. */

import { useEffect, useState } from "preact/hooks";
import * as api from "./api";
import { Icon } from "./icons";
import type { Board } from "./types";

interface Props {
  base: string;
  board: Board;
  readOnly: boolean;
  onPreview: (board: Board) => void;
  onSaved: (name: string) => void;
  onClose: () => void;
}

/** JSON as a person would write it: short lists on one line. */
const written = (spec: unknown) => JSON.stringify(spec, null, 2).replace(/\[\s+([^[\]{}]{1,80}?)\s+\]/g, (_, inner: string) => `[${inner.replace(/\s+/g, " ")}]`);

export function Editor({ base, board, readOnly, onPreview, onSaved, onClose }: Props) {
  const [text, setText] = useState(() => written({ title: board.title, variables: board.variables, panels: board.panels }));
  const [name, setName] = useState(board.seeded === board.name ? "" : board.name);
  const [problems, setProblems] = useState<string[]>([]);
  const [said, setSaid] = useState("");
  const spec = (): Record<string, unknown> => ({ ...(JSON.parse(text) as Record<string, unknown>), format: board.format, name: name.trim() || "preview" });
  useEffect(() => {
    const stop = new AbortController();
    const wait = setTimeout(() => {
      let made: Record<string, unknown>;
      try {
        made = spec();
      } catch (error) {
        return setProblems([`not JSON: ${(error as Error).message}`]);
      }
      api.send<Board>(`${base}/check`, made, stop.signal).then(
        (checked) => {
          setProblems([]);
          onPreview({ ...checked, name: board.name, seeded: board.seeded, version: board.version });
        },
        (error: api.Refused) => error.name !== "AbortError" && setProblems(error.problems?.length ? error.problems : [error.message]),
      );
    }, 400);
    return () => {
      clearTimeout(wait);
      stop.abort();
    };
  }, [text]);
  const save = async () => {
    try {
      const basedOn = name === board.name && !board.seeded ? board.version : undefined;
      const { version } = await api.send<{ version: number }>(`${base}/boards/${encodeURIComponent(name.trim())}`, { board: spec(), based_on: basedOn }, undefined, "PUT");
      setSaid(`Saved as version ${version}.`);
      onSaved(name.trim());
    } catch (error) {
      const refused = error as api.Refused;
      setProblems(refused.problems?.length ? refused.problems : [refused.message]);
    }
  };
  const download = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = `${name || board.name}.board.json`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  const upload = async (event: Event) => {
    const file = (event.currentTarget as HTMLInputElement).files?.[0];
    if (file) setText(await file.text());
  };
  return (
    <aside class="editor" aria-label="Edit the board" onKeyDown={(e) => { if (e.key === "Escape") onClose(); e.stopPropagation(); }}>
      <div class="row-head">
        <h2>Edit the board</h2>
        <span class="grow" />
        <button type="button" class="tool" onClick={download}>
          <Icon name="export" /> Export
        </button>
        <label class="tool">
          <input type="file" accept=".json,application/json" class="visually-hidden" onChange={upload} /> Import
        </label>
        <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      <textarea class="spec" aria-label="The board's JSON" spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} />
      {problems.length > 0 && (
        <ul class="problems" role="alert">
          {problems.map((problem) => (
            <li key={problem}>{problem}</li>
          ))}
        </ul>
      )}
      <form class="editor-save" onSubmit={(e) => { e.preventDefault(); void save(); }}>
        <input aria-label="Name" placeholder="name, such as on-call" value={name} onInput={(e) => setName(e.currentTarget.value)} />
        <button type="submit" class="primary" disabled={readOnly || problems.length > 0 || !name.trim()}>
          <Icon name="save" /> Save
        </button>
        <span class="quiet" role="status">
          {readOnly ? "Read-only: start without --read-only to save." : said}
        </span>
      </form>
    </aside>
  );
}
