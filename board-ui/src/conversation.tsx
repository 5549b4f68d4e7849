/** Chat messages as a conversation, from the shapes in which clients of model providers hold them. */

import { useState } from "preact/hooks";
import * as format from "./format";
import { Json } from "./json";
import { Markdown } from "./markdown";

export interface Message {
  role: string;
  parts: unknown[];
  tools: { name: string; input: unknown }[];
}

type Thing = Record<string, unknown>;
const isThing = (value: unknown): value is Thing => typeof value === "object" && value !== null && !Array.isArray(value);

/** The messages that a call was given and answered; none when it was no chat. */
export function messagesOf(inputs: unknown, output: unknown): Message[] {
  const found: Message[] = [];
  if (isThing(inputs)) {
    const given = inputs.messages ?? (isThing(inputs.kwargs) ? inputs.kwargs.messages : undefined) ?? (Array.isArray(inputs.input) ? inputs.input : undefined);
    if (typeof inputs.instructions === "string") found.push({ role: "system", parts: [inputs.instructions], tools: [] });
    if (Array.isArray(given)) found.push(...given.map(message).filter((m): m is Message => m !== null));
  }
  if (!found.length) return [];
  return [...found, ...answers(output)];
}

function answers(output: unknown): Message[] {
  if (typeof output === "string") return [{ role: "assistant", parts: [output], tools: [] }];
  if (!isThing(output)) return [];
  if (Array.isArray(output.choices)) return output.choices.map((choice) => message(isThing(choice) ? choice.message : null)).filter((m): m is Message => m !== null);
  if (Array.isArray(output.output)) return output.output.map(message).filter((m): m is Message => m !== null);
  if (output.role || output.content) return [message(output)].filter((m): m is Message => m !== null);
  return [];
}

function message(value: unknown): Message | null {
  if (!isThing(value)) return null;
  const content = value.content ?? value.text;
  const parts = typeof content === "string" ? [content] : Array.isArray(content) ? content.map((part) => (isThing(part) && typeof part.text === "string" ? part.text : part)) : content == null ? [] : [content];
  const calls = Array.isArray(value.tool_calls) ? value.tool_calls : [];
  const tools = calls.filter(isThing).map((call) => {
    const made = isThing(call.function) ? call.function : call;
    return { name: String(made.name ?? "tool"), input: parsed(made.arguments) };
  });
  if (!parts.length && !tools.length) return null;
  return { role: typeof value.role === "string" ? value.role : "assistant", parts, tools };
}

function parsed(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

const LONG = 700;

export function Conversation({ messages, media }: { messages: Message[]; media: string }) {
  return (
    <ol class="talk">
      {messages.map((m, n) => (
        <li key={n} class={`said said-${["system", "user", "assistant", "tool", "developer"].includes(m.role) ? m.role : "other"}`}>
          <span class="who">{format.visible(m.role)}</span>
          <div class="words">
            {m.parts.map((part, p) => (
              <Part key={p} part={part} media={media} folds={m.role === "system" || m.role === "tool" || m.role === "developer"} />
            ))}
            {m.tools.map((tool, t) => (
              <div class="tool-call" key={t}>
                <code>{format.visible(tool.name)}</code>
                <Json value={tool.input} media={media} />
              </div>
            ))}
          </div>
        </li>
      ))}
    </ol>
  );
}

function Part({ part, media, folds }: { part: unknown; media: string; folds: boolean }) {
  const [whole, setWhole] = useState(false);
  if (typeof part !== "string") return <Json value={part} media={media} />;
  const most = folds ? 280 : LONG * 10;
  const cut = !whole && part.length > most;
  return (
    <>
      <Markdown text={cut ? `${part.slice(0, most)} …` : part} />
      {part.length > most && (
        <button type="button" class="linkish" onClick={() => setWhole(!whole)}>
          {whole ? "Show less" : `Show all ${format.count(part.length)} characters`}
        </button>
      )}
    </>
  );
}
