/** Values as people read them: JSON as a tree, texts whole, media as what they are. */

import { useState } from "preact/hooks";
import * as format from "./format";
import { Icon } from "./icons";
import { Markdown } from "./markdown";

const OPEN_DEPTH = 2;
const MOST_ITEMS = 100;
const LONG = 1200;
/** Texts that look written as Markdown: something bold, a code block, a list, a table. */
const MARKED = /\*\*[^*\n]+\*\*|^```|^#{1,4} |^\s*[-*] .+\n\s*[-*] |^\|.*\|$/m;

interface Props {
  value: unknown;
  media: string;
  depth?: number;
}

export function Json({ value, media, depth = 0 }: Props) {
  if (value === null || value === undefined) return <span class="j-null">null</span>;
  if (typeof value === "string") return <Text text={value} />;
  if (typeof value !== "object") return <span class={typeof value === "number" ? "j-number" : "j-bool"}>{String(value)}</span>;
  if (!Array.isArray(value)) {
    const shown = <Special value={value as Record<string, unknown>} media={media} />;
    if (isSpecial(value as Record<string, unknown>)) return shown;
  }
  return <Branch value={value as Record<string, unknown> | unknown[]} media={media} depth={depth} />;
}

function Branch({ value, media, depth }: { value: Record<string, unknown> | unknown[]; media: string; depth: number }) {
  const entries = Array.isArray(value) ? value.map((item, n) => [String(n), item] as const) : Object.entries(value);
  const [open, setOpen] = useState(depth < OPEN_DEPTH && entries.length < 60);
  const [most, setMost] = useState(MOST_ITEMS);
  if (!entries.length) return <span class="j-null">{Array.isArray(value) ? "[]" : "{}"}</span>;
  const about = Array.isArray(value) ? `${entries.length} item${entries.length === 1 ? "" : "s"}` : entries.slice(0, 3).map(([key]) => key).join(", ").slice(0, 60);
  if (!open)
    return (
      <button type="button" class="j-fold" aria-expanded="false" onClick={() => setOpen(true)}>
        <Icon name="right" />
        {format.visible(about)}
        {!Array.isArray(value) && entries.length > 3 ? "…" : ""}
      </button>
    );
  return (
    <div class="j-branch">
      {depth > 0 && (
        <button type="button" class="j-fold" aria-expanded="true" aria-label="Fold" onClick={() => setOpen(false)}>
          <Icon name="chevron" />
        </button>
      )}
      <dl class="j-object">
        {entries.slice(0, most).map(([key, item]) => (
          <div key={key} class="j-entry">
            <dt>{format.visible(key)}</dt>
            <dd>
              <Json value={item} media={media} depth={depth + 1} />
            </dd>
          </div>
        ))}
      </dl>
      {entries.length > most && (
        <button type="button" class="linkish" onClick={() => setMost(most + 500)}>
          {format.count(entries.length - most)} more
        </button>
      )}
    </div>
  );
}

export function Text({ text, plain = false }: { text: string; plain?: boolean }) {
  const [whole, setWhole] = useState(false);
  if (text === "") return <span class="j-null">(empty)</span>;
  const cut = !whole && text.length > LONG;
  if (!cut && !plain && MARKED.test(text)) return <Markdown text={text} />;
  return (
    <span class={plain ? "j-text plain" : "j-text"}>
      {format.visible(cut ? text.slice(0, LONG) : text)}
      {cut && (
        <button type="button" class="linkish" onClick={() => setWhole(true)}>
          … {format.count(text.length - LONG)} more characters
        </button>
      )}
    </span>
  );
}

const IMAGE = /\.(png|jpe?g|gif|webp|bmp)$/;
const AUDIO = /\.(wav|mp3|ogg|flac)$/;
const VIDEO = /\.(mp4|webm)$/;

function isSpecial(value: Record<string, unknown>): boolean {
  return typeof value._type === "string" || typeof value._cut === "string" || isDataImage(value);
}

const isDataImage = (value: Record<string, unknown>) => typeof (value.image_url as { url?: unknown } | undefined)?.url === "string" && /^data:image\/(png|jpeg|gif|webp);base64,/.test((value.image_url as { url: string }).url);

/** What is not plain JSON: a file beside the table, a number too long for JSON, an array. */
function Special({ value, media }: { value: Record<string, unknown>; media: string }) {
  if (isDataImage(value)) return <img class="picture" alt="image in the prompt" src={(value.image_url as { url: string }).url} />;
  if (typeof value._cut === "string") return <span class="j-text">{format.visible(value._cut)}<em class="quiet"> … {format.count(Number(value.chars) - value._cut.length)} more characters: export the row for the whole</em></span>;
  const kind = String(value._type);
  const caption = typeof value.caption === "string" ? value.caption : "";
  if (typeof value.file === "string") return <File kind={kind} file={value.file} caption={caption} size={Number(value.bytes ?? 0)} media={media} />;
  if (kind === "bytes" && typeof value.base64 === "string" && /^image\/(png|jpeg|gif|webp)$/.test(String(value.type))) return <img class="picture" alt={caption || "image"} src={`data:${String(value.type)};base64,${value.base64}`} />;
  if (kind === "int") return <span class="j-number">{format.visible(String(value.value))}</span>;
  if (typeof value.missing === "string") return <em class="quiet">{kind}: {format.visible(value.missing)}</em>;
  return <Branch value={value} media={media} depth={2} />;
}

function File({ kind, file, caption, size, media }: { kind: string; file: string; caption: string; size: number; media: string }) {
  const source = `${media}/${file}`;
  const [broken, setBroken] = useState(false);
  if (!broken && IMAGE.test(file))
    return (
      <figure class="media">
        <a href={source} target="_blank" rel="noreferrer">
          <img class="picture" loading="lazy" alt={format.visible(caption) || kind} src={source} onError={() => setBroken(true)} />
        </a>
        {caption && <figcaption>{format.visible(caption)}</figcaption>}
      </figure>
    );
  if (AUDIO.test(file)) return <audio controls preload="none" src={source} />;
  if (VIDEO.test(file)) return <video controls preload="none" src={source} />;
  return (
    <a class="file" href={source} download>
      <Icon name="export" /> {kind} {broken ? "(not there any more)" : format.bytes(size)}
    </a>
  );
}
