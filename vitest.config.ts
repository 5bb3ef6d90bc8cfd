import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', '.aerodb/**', 'dashboard/**', 'test/long/**', '**/*.long.test.ts'],
    reporters: ['default', './test/support/closing-line-reporter.ts'],
    // No promise is about time: on a busy machine everything takes several times as long.
    testTimeout: 90_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 15_000 } },
    pool: 'forks',
    maxWorkers: 2,
  },
})
