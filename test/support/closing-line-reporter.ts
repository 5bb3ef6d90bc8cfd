import type { Reporter, TestModule } from 'vitest/node'

/** Ends the run's output with one plain line, `N passed, N failed`, which a machine can read. */
export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0
    let failed = unhandledErrors.length
    let skipped = 0
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed++
        else if (state === 'failed') failed++
        else skipped++
      }
      // A file that fails to load, or a hook that fails, has no failed test to show for it.
      if (module.state() === 'failed' && ![...module.children.allTests('failed')].length) failed++
    }
    const line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
    process.on('exit', () => console.log(line))
  }
}
