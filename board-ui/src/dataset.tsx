/** Rows put into a dataset of Weave's, to be evaluated on: corrections become what is expected. */

import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "./api";
import { Wrong } from "./panel";

interface Props {
  base: string;
  /** The rows: by their ids, or as the question that chooses them. */
  rows: { ids: string[] } | Record<string, unknown>;
  what: string;
  onClose: () => void;
}

interface Added {
  name: string;
  rows: number;
  added: number;
  corrected: number;
}

export function IntoDataset({ base, rows, what, onClose }: Props) {
  const [names, setNames] = useState<string[]>([]);
  const [name, setName] = useState("");
  const [said, setSaid] = useState<Added | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => void api.get<{ names: string[] }>(`${base}/datasets`).then((found) => setNames(found.names), () => undefined), []);
  const add = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    await api.send<Added>(`${base}/datasets`, { ...rows, name }).then(setSaid, (failed: Error) => setError(failed.message));
    setBusy(false);
  };
  return (
    <dialog class="into-dataset" ref={dialog} onClose={onClose} onClick={(e) => e.target === dialog.current && onClose()} aria-label="Add to a dataset">
      <h2>Add {what} to a dataset</h2>
      <p class="quiet">A weave.Dataset of this project: inputs by their names, the output, and as <code>expected</code> the newest correction.</p>
      <form onSubmit={add} onKeyDown={(e) => e.key !== "Escape" && e.stopPropagation()}>
        <input aria-label="Dataset" placeholder="name, such as golden" list="datasets" autoFocus value={name} onInput={(e) => { setName(e.currentTarget.value); setSaid(null); }} />
        <datalist id="datasets">{names.map((one) => <option key={one} value={one} />)}</datalist>
        <button type="submit" class="primary" disabled={busy || !name.trim()}>{busy ? "Adding…" : "Add"}</button>
      </form>
      {error && <Wrong text={error} />}
      <p role="status">
        {said && (
          <>
            {said.added} added, {said.corrected} with a correction; {said.rows} rows in <b>{said.name}</b> now: <code>weave.ref("{said.name}").get()</code>
          </>
        )}
      </p>
      <button type="button" class="tool" onClick={onClose}>Close</button>
    </dialog>
  );
}
