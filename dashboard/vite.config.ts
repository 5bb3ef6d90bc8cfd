import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** Control serves what this builds. */
export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  publicDir: false,
  // Control puts a fresh nonce in its place in each answer (`control/app/dashboard.ts`).
  html: { cspNonce: '__CSP_NONCE__' },
  build: {
    target: 'baseline-widely-available',
    // `light-dark()` is used as it is.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1_000,
  },
  server: {
    proxy: { '/v1': { target: process.env.AERODB_CONTROL_URL ?? 'http://127.0.0.1:8081', xfwd: true } },
  },
})
