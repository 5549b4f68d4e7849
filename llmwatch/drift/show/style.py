"""How the page looks: light and dark, wide and narrow, in the fonts that the machine has."""

from __future__ import annotations

_CSS = """
.llmwatch-drift{--ink:#1b1f24;--soft:#59636e;--line:#d8dee4;--card:#fff;--page:#f6f8fa;--was:#c9d1d9;--was-line:#8b949e;
--is:#0969da;--drift:#b42318;--drift-soft:#fde8e6;--quiet:#1a7f37;--quiet-soft:#dff4e4;--unsure:#8a5a00;--unsure-soft:#fdf1d5;
box-sizing:border-box;max-width:1080px;margin:0 auto;padding:28px 20px;color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
@media (prefers-color-scheme:dark){.llmwatch-drift{--ink:#e6edf3;--soft:#9aa4af;--line:#30363d;--card:#161b22;--page:#0d1117;
--was:#3b434d;--was-line:#7d8792;--is:#58a6ff;--drift:#ff8f85;--drift-soft:#3d1513;--quiet:#56d364;--quiet-soft:#10281a;
--unsure:#e3b341;--unsure-soft:#2f2509}}
body:has(>.llmwatch-drift){margin:0;background:#f6f8fa}
@media (prefers-color-scheme:dark){body:has(>.llmwatch-drift){background:#0d1117}}
.llmwatch-drift *{box-sizing:border-box}
.llmwatch-drift h1{font-size:26px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em;overflow-wrap:anywhere}
.llmwatch-drift h2{font-size:17px;margin:32px 0 6px}
.llmwatch-drift h3{font-size:15px;margin:0;display:flex;gap:10px;align-items:baseline;justify-content:space-between;overflow-wrap:anywhere}
.llmwatch-drift p{margin:6px 0}
.llmwatch-drift header{background:var(--card);border:1px solid var(--line);border-left:5px solid var(--mark);border-radius:10px;padding:18px 20px}
.llmwatch-drift .drift{--mark:var(--drift);--mark-soft:var(--drift-soft)}
.llmwatch-drift .quiet{--mark:var(--quiet);--mark-soft:var(--quiet-soft)}
.llmwatch-drift .unsure{--mark:var(--unsure);--mark-soft:var(--unsure-soft)}
.llmwatch-drift header h1{color:var(--mark)}
.llmwatch-drift .where{margin:0;color:var(--soft);overflow-wrap:anywhere}
.llmwatch-drift dl{display:flex;flex-wrap:wrap;gap:12px 40px;margin:14px 0 0}
.llmwatch-drift dt{color:var(--soft);font-size:12.5px}
.llmwatch-drift dd{margin:0;overflow-wrap:anywhere}
.llmwatch-drift .cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr));gap:14px}
.llmwatch-drift article{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px;min-width:0}
.llmwatch-drift .badge{font-size:12px;font-weight:600;white-space:nowrap;color:var(--mark);background:var(--mark-soft);border-radius:99px;padding:1px 9px}
.llmwatch-drift .said{font-weight:500;overflow-wrap:anywhere}
.llmwatch-drift .how{color:var(--soft);font-size:12.5px;margin-bottom:0;overflow-wrap:anywhere}
.llmwatch-drift .legend{color:var(--soft);font-size:12.5px;margin:0 0 8px}
.llmwatch-drift .legend span{display:inline-block;width:12px;height:10px;border-radius:2px;margin:0 3px 0 0}
.llmwatch-drift .legend span+span,.llmwatch-drift .legend .is{margin-left:10px}
.llmwatch-drift .legend .was{background:var(--was);border-top:2px solid var(--was-line)}.llmwatch-drift .legend .is{background:var(--is)}
.llmwatch-drift svg{display:block;width:100%;height:auto;margin:8px 0 2px}
.llmwatch-drift svg .was{fill:var(--was)}.llmwatch-drift svg .is{fill:var(--is);opacity:.75}
.llmwatch-drift svg .was-line{fill:none;stroke:var(--was-line);stroke-width:1.5}
.llmwatch-drift svg text{fill:var(--soft);font-size:11px}
.llmwatch-drift .levels{list-style:none;margin:8px 0 2px;padding:0;font-size:13px}
.llmwatch-drift .levels li{display:grid;grid-template-columns:minmax(0,34%) 1fr auto;gap:10px;align-items:center;padding:2px 0}
.llmwatch-drift .levels .name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.llmwatch-drift .levels .more{display:block;color:var(--soft)}
.llmwatch-drift .levels i{display:block;height:6px;border-radius:2px;min-width:1px}
.llmwatch-drift .levels i.was{background:var(--was-line);opacity:.6}.llmwatch-drift .levels i.is{background:var(--is);margin-top:1px}
.llmwatch-drift .n{font-variant-numeric:tabular-nums;white-space:nowrap}
.llmwatch-drift blockquote{margin:8px 0 0;padding:6px 10px;border-left:3px solid var(--line);background:var(--page);border-radius:0 6px 6px 0;
font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.llmwatch-drift .scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
.llmwatch-drift table{border-collapse:collapse;width:100%;font-size:14px}
.llmwatch-drift th,.llmwatch-drift td{text-align:left;vertical-align:top;padding:8px 14px;border-bottom:1px solid var(--line)}
.llmwatch-drift tr:last-child td{border-bottom:0}
.llmwatch-drift th{font-weight:500;color:var(--soft);font-size:12.5px;white-space:nowrap}
.llmwatch-drift footer{margin-top:28px;color:var(--soft);font-size:12.5px}
.llmwatch-drift footer ul{padding-left:18px;margin:0}
"""
STYLE = f"<style>{_CSS}</style>"
