/** A number that goes up when the table changed, no quicker than the page can ask again. */

import { useEffect, useRef, useState } from "preact/hooks";

export type Line = "live" | "waiting" | "paused";

export function useChanges(base: string, mark: string, on: boolean): { changed: number; line: Line } {
  const [changed, setChanged] = useState(0);
  const [line, setLine] = useState<Line>("waiting");
  const first = useRef("");
  if (!first.current) first.current = mark;
  useEffect(() => {
    if (!on || !base) return setLine("paused");
    const source = new EventSource(`${base}/live?mark=${encodeURIComponent(first.current || mark)}`);
    let opened = false;
    source.addEventListener("open", () => {
      setLine("live");
      // rows may have come while the line was down
      if (opened) setChanged((n) => n + 1);
      opened = true;
    });
    source.addEventListener("changed", () => setChanged((n) => n + 1));
    source.addEventListener("error", () => setLine("waiting"));
    return () => source.close();
  }, [base, on]);
  return { changed, line };
}

/** A number that goes up, taken over now and then, the last of it always. */
export function useNowAndThen(value: number, everyMs: number): number {
  const [taken, setTaken] = useState(value);
  const last = useRef(0);
  useEffect(() => {
    if (value === taken) return;
    const take = () => {
      last.current = performance.now();
      setTaken(value);
    };
    const wait = setTimeout(take, Math.max(0, last.current + everyMs - performance.now()));
    return () => clearTimeout(wait);
  }, [value, taken]);
  return taken;
}
