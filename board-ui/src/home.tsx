/** No table chosen: which there are, or how to record the first row. */

import { Icon } from "./icons";
import { useTheme } from "./theme";

export function Home({ tables, project, onOpen }: { tables: { project: string; table: string }[] | null; project: string; onOpen: (project: string, table: string) => void }) {
  useTheme();
  const shown = (tables ?? []).filter((t) => !project || t.project === project);
  const projects = [...new Set(shown.map((t) => t.project))];
  return (
    <main class="home" aria-busy={tables === null}>
      <h1><img src="/static/mark.svg" alt="" width="28" height="28" /> llmwatch</h1>
      {projects.map((name) => (
        <section key={name}>
          <h2>{name}</h2>
          <ul>
            {shown.filter((t) => t.project === name).map(({ table }) => (
              <li key={table}>
                <a href={`/${name}/${encodeURIComponent(table)}`} onClick={(e) => { e.preventDefault(); onOpen(name, table); }}><Icon name="table" /> {table}</a>
              </li>
            ))}
          </ul>
        </section>
      ))}
      {tables !== null && !shown.length && (
        <section class="teach">
          <h2>Nothing is recorded here yet</h2>
          <p>Log a row from any program, then reload this page.</p>
          <pre class="code">{'from llmwatch import StreamTable\n\nStreamTable("demo/answers").log({"question": "How do I reset my key?", "tokens": 12})'}</pre>
        </section>
      )}
    </main>
  );
}
