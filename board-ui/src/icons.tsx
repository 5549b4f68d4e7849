/** Icons, drawn on a grid of 16, as wide as the text beside them. */

const PATHS: Record<string, string> = {
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14",
  filter: "M2 3.5h12M4.5 8h7M7 12.5h2",
  close: "m4 4 8 8m0-8-8 8",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Zm0-9v3.2l2 1.3",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.5m0 11V15M1 8h1.5m11 0H15M3 3l1.1 1.1m7.8 7.8L13 13m0-10-1.1 1.1M4.1 11.9 3 13",
  moon: "M13.5 9.5A5.8 5.8 0 0 1 6.5 2.5a5.8 5.8 0 1 0 7 7Z",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  up: "M5 14V7.5L8 2c1 0 1.7.7 1.5 1.8L9 6.5h3.6c.9 0 1.5.8 1.3 1.7l-1 4.5c-.2.8-.8 1.3-1.6 1.3H5Zm0 0H2.5V7.5H5",
  down: "M11 2v6.5L8 14c-1 0-1.7-.7-1.5-1.8L7 9.5H3.4c-.9 0-1.5-.8-1.3-1.7l1-4.5C3.3 2.5 3.900 2 4.700 2H11Zm0 0h2.500v6.500H11",
  star: "m8 1.800 1.900 4 4.300.600-3.100 3 .7 4.300L8 11.700l-3.800 2 .7-4.300-3.100-3 4.300-.600Z",
  note: "M3 2.500h10v8l-3 3H3Zm7 11v-3h3M5.500 6h5M5.500 8.500h3",
  tag: "M2 2.500h5.500l6 6-5 5-6-6Zm2.800 2.800h.01",
  pen: "m3 13 .700-3L10.500 3.200l2.300 2.300L6 12.300Z",
  link: "M6.500 9.500a2.500 2.500 0 0 0 3.600 0l2.400-2.400A2.540 2.540 0 0 0 8.900 3.500l-.700.700m1.300 2.300a2.500 2.500 0 0 0-3.600 0L3.500 8.900a2.540 2.540 0 0 0 3.600 3.600l.700-.700",
  save: "M3 2.500h8l2 2v9H3Zm2.500 0v3.500h4.500V2.500M5 13.500V9.500h6v4",
  code: "m5 4.500-3.500 3.500L5 11.500m6-7 3.500 3.500L11 11.500",
  export: "M8 2v8m0-8L5 5m3-3 3 3M2.500 10v3.500h11V10",
  columns: "M2.500 2.500h11v11h-11Zm3.700 0v11m3.600-11v11",
  left: "M10 3 5 8l5 5",
  right: "m6 3 5 5-5 5",
  chevron: "m4 6 4 4 4-4",
  check: "m3 8.500 3 3 7-7",
  alert: "M8 2 1.500 13.500h13Zm0 4v3.500m0 2h.01",
  compare: "M6 2.500v11m4-11v11M2 5h4M2 8h4m4 0h4m-4 3h4",
  keyboard: "M1.500 4h13v8h-13Zm2.500 2.500h.01m2.500 0h.01m2.500 0h.01m2.500 0h.01M5 9.500h6",
  pause: "M5.500 3v10m5-10v10",
  play: "M5 3v10l8-5Z",
  table: "M2 3h12v10H2Zm0 3.500h12M2 10h12M6 3v10",
  copy: "M5.500 5.500v-3h8v8h-3m-8-5h8v8h-8Z",
  dataset: "M2.500 4c0-1 2.500-1.800 5.500-1.800s5.500.800 5.500 1.800-2.500 1.800-5.500 1.800S2.500 5 2.500 4Zm0 0v8c0 1 2.500 1.800 5.500 1.800s5.500-.800 5.500-1.800V4m-11 4c0 1 2.500 1.800 5.500 1.800S13.500 9 13.500 8",
  undo: "M5 3 2 6l3 3M2.500 6H10a3.500 3.500 0 0 1 0 7H6",
  group: "M2 3h5v4H2Zm7 0h5v4H9ZM2 9h5v4H2Zm7 0h5v4H9Z",
};

export function Icon({ name, label, filled }: { name: keyof typeof PATHS | string; label?: string; filled?: boolean }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" role={label ? "img" : undefined} aria-label={label} aria-hidden={label ? undefined : "true"} fill={filled ? "currentColor" : "none"} stroke="currentColor" stroke-width={name === "more" ? 2.2 : 1.5} stroke-linecap="round" stroke-linejoin="round">
      <path d={PATHS[name]} />
    </svg>
  );
}
