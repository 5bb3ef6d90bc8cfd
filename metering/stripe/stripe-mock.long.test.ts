import { execFile, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { findFreePort } from '../../runtime/free-port.ts'
import { findGoProgram } from '../../runtime/go-program.ts'

/** Stripe's own mock: the real API's description, answering with examples. It keeps nothing. */
const MODULE = 'github.com/stripe/stripe-mock@v0.203.0'

test("every call that we make is one of Stripe's API, as its own mock reads it", async () => {
  const [program, port] = [await findGoProgram(MODULE), await findFreePort()]
  const mock = spawn(program, ['-http-port', String(port)], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => mock.once('close', () => resolve()))
  try {
    const url = `http://127.0.0.1:${port}`
    await expect
      .poll(
        () =>
          fetch(url)
            .then(() => true)
            .catch(() => false),
        { timeout: 20_000 },
      )
      .toBe(true)
    const script = fileURLToPath(new URL('../testing/stripe-mock-check.ts', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [script, url])
    expect(stdout).toContain('every call was accepted')
  } finally {
    mock.kill('SIGTERM')
    await ended
  }
})
