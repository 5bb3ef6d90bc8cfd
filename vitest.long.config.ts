import { defineConfig } from 'vitest/config'

/** What takes too long for every run: `npm run test:long`, one file after the other. */
export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    include: ['test/long/**/*.test.ts', '**/*.long.test.ts'],
    exclude: ['node_modules/**', '.aerodb/**'],
    reporters: ['default', './test/support/closing-line-reporter.ts'],
    testTimeout: 600_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 1,
    passWithNoTests: true,
  },
})
