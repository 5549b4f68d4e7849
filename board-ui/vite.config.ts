import { defineConfig } from "vite";

// One script and one stylesheet under fixed names, beside a page that names them: the wheel carries them as they are.
export default defineConfig({
  base: "/static/",
  build: {
    outDir: "../llmwatch/board/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    cssCodeSplit: false,
    rollupOptions: {
      output: { entryFileNames: "board.js", assetFileNames: "board[extname]" },
    },
  },
  server: { proxy: { "/api": "http://localhost:8420", "/media": "http://localhost:8420" } },
});
