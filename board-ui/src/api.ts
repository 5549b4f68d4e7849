/** Asking the server. Every error is an Error whose message says what to do. */

import type { Answer, Board, Bins, Panel } from "./types";

export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly problems: string[] = [],
  ) {
    super(message);
  }
}

/** Whether asking again may help: the server is away or at a loss, rather than that the question is wrong. */
export const mayPass = (error: unknown) => !(error instanceof Refused) || error.status === 0 || error.status >= 500;

async function checked(response: Response): Promise<Response> {
  if (response.ok) return response;
  let said: { error?: string; reason?: string; problems?: string[] } = {};
  try {
    said = await response.json();
  } catch {
    // not an answer of ours: the status says what there is to say
  }
  throw new Refused(said.error ?? said.reason ?? `the server answered ${response.status}`, response.status, said.problems);
}

async function request(path: string, options: RequestInit = {}): Promise<Response> {
  try {
    return await checked(await fetch(path, options));
  } catch (error) {
    if (error instanceof TypeError) throw new Refused("The server does not answer. Is `llmwatch board` still running?", 0);
    throw error;
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await request(path, { signal })).json() as Promise<T>;
}

export async function send<T>(path: string, body: unknown, signal?: AbortSignal, method = "POST"): Promise<T> {
  const options = { method, signal, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return (await request(path, options)).json() as Promise<T>;
}

export async function remove<T>(path: string): Promise<T> {
  return (await request(path, { method: "DELETE" })).json() as Promise<T>;
}

export interface Question {
  range: string;
  filters: unknown[];
  where: string;
  search: string;
}

export interface Head {
  range: [number | null, number | null];
  bins: Bins | null;
  /** For a text search that goes on: how many rows were looked through, of how many. */
  searched?: number;
  of?: number;
}

/** Asks for all panels at once; `each` is called as answers come. */
export async function ask(base: string, question: Question, panels: Panel[], signal: AbortSignal, head: (head: Head) => void, each: (answer: Answer) => void): Promise<void> {
  const response = await request(`${base}/ask`, {
    method: "POST",
    signal,
    body: JSON.stringify({ ...question, panels }),
    headers: { "content-type": "application/json" },
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let first = true;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const parsed = JSON.parse(line);
      if (first) head(parsed as Head);
      else each(parsed as Answer);
      first = false;
    }
  }
}

export const loadBoard = (base: string, kind: "seeds" | "boards", name: string) => get<Board>(`${base}/${kind}/${encodeURIComponent(name)}`);
