/** The keys, and what the mouse can do that is not written on anything. */

import { useEffect, useRef } from "preact/hooks";

const KEYS: [string, string][] = [
  ["j / k", "next, previous row"],
  ["Esc", "close, then back to the board's own range"],
  ["/", "search in texts"],
  ["f", "add a filter"],
  ["w", "what changed: these rows against the time before, or all others"],
  ["c", "pin the open row to compare with another"],
  ["l", "pause, go on"],
  ["e", "edit or save the board"],
  ["t", "dark, light"],
  ["?", "this"],
];

export function Help({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog class="help" ref={dialog} onClose={onClose} onClick={(e) => e.target === dialog.current && onClose()} aria-label="Keys">
      <h2>Keys</h2>
      <dl>
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt><kbd>{key}</kbd></dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p class="quiet">Drag over a chart to choose a time range for all of them; drag over the heat map or a distribution to filter by value; click a name in a legend or a list to see only its rows.</p>
      <button type="button" class="primary" onClick={onClose}>Close</button>
    </dialog>
  );
}
