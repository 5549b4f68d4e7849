/** The little of Markdown that models answer in, made of elements: nothing in a text becomes HTML. */

import type { ComponentChildren } from "preact";
import * as format from "./format";

export function Markdown({ text }: { text: string }) {
  const blocks: ComponentChildren[] = [];
  const lines = format.visible(text).split("\n");
  for (let n = 0; n < lines.length; ) {
    const line = lines[n]!;
    if (line.startsWith("```")) {
      const end = lines.findIndex((other, m) => m > n && other.startsWith("```"));
      const upto = end < 0 ? lines.length : end;
      blocks.push(<pre class="code">{lines.slice(n + 1, upto).join("\n")}</pre>);
      n = upto + 1;
    } else if (/^\s*\|.*\|\s*$/.test(line) && /^\s*\|[\s:|-]+\|\s*$/.test(lines[n + 1] ?? "")) {
      let end = n + 2;
      while (/^\s*\|.*\|\s*$/.test(lines[end] ?? "")) end += 1;
      blocks.push(table(lines.slice(n, end)));
      n = end;
    } else if (/^\s*([-*]|\d+\.)\s+/.test(line)) {
      let end = n;
      while (/^\s*([-*]|\d+\.)\s+/.test(lines[end] ?? "")) end += 1;
      const items = lines.slice(n, end).map((item) => <li>{inline(item.replace(/^\s*([-*]|\d+\.)\s+/, ""))}</li>);
      blocks.push(/^\s*\d/.test(line) ? <ol>{items}</ol> : <ul>{items}</ul>);
      n = end;
    } else if (/^#{1,4}\s/.test(line)) {
      blocks.push(<p class="md-heading">{inline(line.replace(/^#+\s/, ""))}</p>);
      n += 1;
    } else if (line.trim() === "") {
      n += 1;
    } else {
      let end = n;
      while ((lines[end] ?? "").trim() !== "" && !/^(```|\s*\||#{1,4}\s|\s*([-*]|\d+\.)\s)/.test(lines[end]!)) end += 1;
      end = Math.max(end, n + 1);
      blocks.push(<p>{lines.slice(n, end).flatMap((part, m) => (m ? [<br />, ...inline(part)] : inline(part)))}</p>);
      n = end;
    }
  }
  return <div class="md">{blocks}</div>;
}

function table(lines: string[]) {
  const cells = (line: string) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
  return (
    <table>
      <thead>
        <tr>{cells(lines[0]!).map((cell) => <th>{inline(cell)}</th>)}</tr>
      </thead>
      <tbody>
        {lines.slice(2).map((line) => (
          <tr>{cells(line).map((cell) => <td>{inline(cell)}</td>)}</tr>
        ))}
      </tbody>
    </table>
  );
}

function inline(text: string): ComponentChildren[] {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*)/g).map((part) => {
    if (/^`.+`$/.test(part)) return <code>{part.slice(1, -1)}</code>;
    if (/^\*\*.+\*\*$/.test(part)) return <strong>{part.slice(2, -2)}</strong>;
    if (/^\*.+\*$/.test(part)) return <em>{part.slice(1, -1)}</em>;
    return part;
  });
}
