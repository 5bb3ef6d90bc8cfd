import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestPlatform } from '../support/platform.ts'

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** Runs `npm run audit:isolation` on a platform as an operator does. */
export async function runAudit(
  platform: TestPlatform,
  args: readonly string[] = [],
): Promise<{ code: number | null; output: string }> {
  const program = join(ROOT, 'control/isolation-audit/main.ts')
  const endpoints = join(platform.directory, 'endpoints.json')
  const child = spawn(process.execPath, [program, '--endpoints', endpoints, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, AERODB_DATA_DIR: platform.directory },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, output }
}
