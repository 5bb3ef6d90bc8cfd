import { spawn } from 'node:child_process'
import { join } from 'node:path'

export type Run = { code: number; out: string; err: string }

/** As the launcher has it: a run takes half the time. */
const COMPILE_CACHE = join(import.meta.dirname, '../../node_modules/.compile-cache')

/** Runs the real command, as a process of its own with nothing in its environment but what is given. */
export async function runCli(
  args: readonly string[],
  options: { env?: Record<string, string>; input?: string; directory?: string; onSpawn?: (pid: number) => void } = {},
): Promise<Run> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'main.ts'), ...args], {
    cwd: options.directory ?? process.env.TMPDIR,
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: COMPILE_CACHE, ...options.env },
  })
  let [out, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  child.stdin.end(options.input ?? '')
  options.onSpawn?.(child.pid ?? 0)
  const code = await new Promise<number>((resolve) => child.on('close', (exit) => resolve(exit ?? -1)))
  return { code, out, err }
}
