/** A trace: its calls as a tree, each where it was in time. */

import { useMemo, useState } from "preact/hooks";
import * as format from "./format";
import { Icon } from "./icons";
import type { Span } from "./types";

interface Node {
  span: Span;
  depth: number;
  children: number;
}

const KINDS: Record<string, string> = { retrieval: "--s1", search: "--s1", generation: "--s0", llm: "--s0", tool: "--s2", guardrail: "--s3", scorer: "--s5" };

/** The calls in the order of a tree, children under their parent by the time they began. */
export function tree(spans: Span[], folded: Set<string>): Node[] {
  const ids = new Set(spans.map((span) => span.id));
  const children = new Map<string | null, Span[]>();
  for (const span of spans) {
    const parent = span.parent_id && ids.has(span.parent_id) && span.parent_id !== span.id ? span.parent_id : null;
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const nodes: Node[] = [];
  const seen = new Set<string>();
  const visit = (span: Span, depth: number) => {
    if (seen.has(span.id)) return;
    seen.add(span.id);
    const below = children.get(span.id) ?? [];
    nodes.push({ span, depth: Math.min(depth, 24), children: below.length });
    if (!folded.has(span.id)) for (const child of below) visit(child, depth + 1);
  };
  for (const root of children.get(null) ?? []) visit(root, 0);
  return nodes;
}

export const spanName = (span: Span) => format.visible(span.display_name ?? shortName(span.op_name) ?? "row");

/** `weave:///entity/project/op/answer:v1` is `answer` to a person. */
export function shortName(op: string | null): string | null {
  return op ? op.replace(/^weave:\/\/\/.*\/op\//, "").replace(/:[^:]*$/, (end) => (op.startsWith("weave:") ? "" : end)) : null;
}

export function Waterfall({ spans, chosen, onChoose }: { spans: Span[]; chosen: string; onChoose: (id: string) => void }) {
  const [folded, setFolded] = useState(new Set<string>());
  const nodes = useMemo(() => tree(spans, folded), [spans, folded]);
  const times = spans.map((span) => ({ start: span.started_at ?? span.ts, end: endOf(span) }));
  const start = Math.min(...times.map((t) => t.start));
  const whole = Math.max(1, Math.max(...times.map((t) => t.end)) - start);
  const fold = (id: string) => setFolded((old) => (old.has(id) ? new Set([...old].filter((other) => other !== id)) : new Set([...old, id])));
  return (
    <div class="waterfall" role="tree" aria-label="Calls of this trace">
      {nodes.map(({ span, depth, children }) => {
        const left = (((span.started_at ?? span.ts) - start) / whole) * 100;
        const width = ((endOf(span) - (span.started_at ?? span.ts)) / whole) * 100;
        const first = span.ttft_ms ? (span.ttft_ms / Math.max(span.latency_ms ?? 1, 0.001)) * 100 : null;
        return (
          <div role="treeitem" aria-selected={span.id === chosen} aria-level={depth + 1} tabIndex={span.id === chosen ? 0 : -1} class={`span ${span.id === chosen ? "chosen" : ""} ${span.status === "error" ? "failed" : ""}`} key={span.id} onClick={() => onChoose(span.id)} onKeyDown={(e) => (e.key === "Enter" || e.key === " ") && onChoose(span.id)}>
            <div class="span-name" style={{ paddingLeft: `${depth * 14}px` }}>
              {children > 0 ? (
                <span class={`fold ${folded.has(span.id) ? "" : "open"}`} onClick={(e) => { e.stopPropagation(); fold(span.id); }}>
                  <Icon name="right" />
                </span>
              ) : (
                <span class="fold" />
              )}
              <span class="span-title">{spanName(span)}</span>
              {span.status === "error" && <Icon name="alert" label="failed" />}
            </div>
            <div class="span-track">
              <i style={{ left: `${left}%`, width: `max(2px, ${width}%)`, background: `var(${span.status === "error" ? "--bad" : (KINDS[span.kind ?? ""] ?? "--s6")})` }}>{first !== null && first < 100 && <u style={{ left: `${first}%` }} />}</i>
            </div>
            <div class="span-time">{span.status === "running" ? "running" : format.number(span.latency_ms, "ms")}</div>
          </div>
        );
      })}
    </div>
  );
}

function endOf(span: Span): number {
  return span.ended_at ?? (span.started_at ?? span.ts) + (span.latency_ms ?? 0) * 1000;
}
