/** The answers for a board's panels: asked together, kept while the next ones come, asked again when rows came. */

import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "./api";
import type { Head, Question } from "./api";
import type { Answer, Panel } from "./types";

interface Asked {
  answers: Map<string, Answer>;
  asking: boolean;
  head: Head | null;
  error: string;
}

export function useAnswers(base: string, question: Question | null, panels: Panel[], changed: number): Asked {
  const [state, setState] = useState<Asked>({ answers: new Map(), asking: false, head: null, error: "" });
  const key = question ? JSON.stringify([base, question, panels]) : "";
  const busy = useRef(false);
  const again = useRef(false);
  const stop = useRef<AbortController | null>(null);
  const [turn, setTurn] = useState(0);

  useEffect(() => {
    if (!question) return;
    stop.current?.abort();
    const mine = (stop.current = new AbortController());
    void run(mine, true);
    return () => mine.abort();
  }, [key]);

  const follow = () => {
    if (!question) return;
    if (busy.current) again.current = true;
    else void run((stop.current = new AbortController()), false);
  };
  useEffect(() => void (changed && follow()), [changed]);
  useEffect(() => void (turn && follow()), [turn]);

  async function run(mine: AbortController, fresh: boolean) {
    busy.current = true;
    const began = performance.now();
    const came = new Map<string, Answer>();
    let [frame, rest] = [0, 0];
    const show = () => {
      frame = 0;
      if (!mine.signal.aborted) setState((old) => ({ ...old, answers: new Map([...old.answers, ...came]) }));
    };
    if (fresh) setState((old) => ({ ...old, asking: true, error: "" }));
    try {
      const headed = (head: Head) => {
        setState((old) => ({ ...old, head }));
        // the answers are of what a search found by now: ask again until it is done
        if (head.searched !== undefined && head.searched < head.of!) again.current = true;
      };
      again.current = false;
      await api.ask(base, question!, panels, mine.signal, headed, (answer) => {
        came.set(answer.id, answer);
        frame ||= requestAnimationFrame(show);
      });
      if (!mine.signal.aborted) setState((old) => ({ ...old, answers: new Map(came), asking: false, error: "" }));
    } catch (error) {
      if ((error as Error).name === "AbortError") return;
      setState((old) => ({ ...old, asking: false, error: (error as Error).message }));
      // what stands there may be about rows that are gone
      again.current ||= api.mayPass(error);
      rest = 1000;
    } finally {
      if (stop.current === mine) {
        // at most half of the time is spent on asking, so that the page stays quick while rows pour in
        setTimeout(() => {
          if (stop.current !== mine) return;
          busy.current = false;
          if (again.current) {
            again.current = false;
            setTurn((n) => n + 1);
          }
        }, Math.max(rest, 400, performance.now() - began));
      }
    }
  }
  return state;
}
