/** Dark or light: as the system has it, until the person says otherwise. */

import { useEffect, useState } from "preact/hooks";

const KEY = "llmwatch-theme";

function chosen(): string {
  const kept = localStorage.getItem(KEY);
  if (kept === "dark" || kept === "light") return kept;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function useTheme() {
  const [theme, setTheme] = useState(chosen);
  document.documentElement.dataset.theme = theme;
  useEffect(() => {
    const media = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setTheme(chosen());
    media.addEventListener("change", follow);
    return () => media.removeEventListener("change", follow);
  }, []);
  const flip = () => {
    const next = theme === "dark" ? "light" : "dark";
    localStorage.setItem(KEY, next);
    setTheme(next);
  };
  return { theme, flip };
}
