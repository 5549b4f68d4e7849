/** A panel: its frame, and what is drawn in it for its kind. */

import type { ComponentChildren } from "preact";
import { Legend, TimeChart } from "./chart";
import * as format from "./format";
import { Icon } from "./icons";
import { Distribution, Groups, HeatMap, List, Nothing, Single } from "./shapes";
import type { Answer, Filter, Panel, Value } from "./types";

interface Props {
  panel: Panel;
  answer: Answer | undefined;
  asking: boolean;
  theme: string;
  group: string;
  onRange: (start: number, end: number, chips?: Filter[]) => void;
  onFilter: (chips: Filter[]) => void;
}

export function PanelView(props: Props) {
  const { panel, answer, asking } = props;
  const by = panel.kind === "lines" || panel.kind === "bars" ? (props.group && !panel.source ? props.group : panel.by) : undefined;
  const pick = by && !panel.source ? (value: unknown) => props.onFilter([{ column: by, op: "=", value: value as Value }]) : undefined;
  return (
    <Frame panel={panel} asking={asking} extra={answer?.series && panel.kind !== "number" ? <Legend answer={answer} onPick={pick} /> : null}>
      {answer?.error ? <Wrong text={answer.error} /> : panel.kind === "note" ? <p class="note-text">{format.visible(panel.text ?? "")}</p> : answer ? <Body {...props} answer={answer} /> : <div class="skeleton" aria-hidden="true" />}
    </Frame>
  );
}

export function Frame({ panel, asking, extra, children }: { panel: Panel; asking: boolean; extra?: ComponentChildren; children: ComponentChildren }) {
  const [x, y, width, height] = panel.at ?? [0, 0, 12, 11];
  return (
    <section class={`panel panel-${panel.kind}`} data-panel={panel.id} aria-busy={asking} aria-label={panel.title || panel.id} style={{ gridColumn: `${x + 1} / span ${width}`, gridRow: `${y + 1} / span ${height}` }}>
      {panel.kind !== "note" && (
        <header>
          <h2>{panel.title || panel.measure || panel.column || panel.id}</h2>
          {extra}
        </header>
      )}
      <div class="panel-body">{children}</div>
    </section>
  );
}

function Body({ panel, answer, theme, onRange, onFilter }: Props & { answer: Answer }) {
  const only = (column: string | undefined) => (column && !panel.source ? (value: Value) => onFilter([{ column, op: "=", value }]) : undefined);
  switch (panel.kind) {
    case "lines":
    case "bars":
    case "percentiles": {
      if (!answer.bins || !answer.series?.some((s) => s.values.some((v) => v !== null && v !== 0))) return <Nothing text={panel.source ? `No ${panel.source} in this range yet. Say something about a row, or run \`llmwatch score\`.` : "Nothing in this range."} />;
      const unit = panel.unit ?? (panel.kind === "percentiles" ? format.unitOf(panel.column ?? "") : format.unitOfMeasure(panel.measure ?? ""));
      return <TimeChart answer={answer} bars={panel.kind === "bars"} unit={unit} theme={theme} label={`${panel.title ?? panel.id} over time`} onRange={onRange} />;
    }
    case "number":
      return <Single answer={answer} panel={panel} />;
    case "distribution":
      return <Distribution answer={answer} panel={panel} onFilter={onFilter} />;
    case "heatmap":
      return <HeatMap answer={answer} panel={panel} theme={theme} onBox={onRange} />;
    case "top":
      return <List items={answer.items ?? []} unit={panel.unit ?? format.unitOfMeasure(panel.measure ?? "count")} onPick={only(panel.column)} />;
    case "groups":
      return <Groups answer={answer} onPick={only(answer.by)} />;
    default:
      return null;
  }
}

export function Wrong({ text }: { text: string }) {
  return (
    <div class="wrong" role="alert">
      <Icon name="alert" />
      <span>{format.visible(text)}</span>
    </div>
  );
}
