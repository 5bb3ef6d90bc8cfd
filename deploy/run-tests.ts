import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureRedis } from './ensure-redis.ts'
import { Remedy } from './remedy.ts'

/**
 * `npm test`: lint (with the import walls), types, then every test against real servers. `npm run test:long` runs the long
 * ones; `npm run fuzz -- SECONDS` gives hostile input to a whole platform for so long. Arguments go to vitest: `npm test -- gateway` runs one folder.
 */
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const BIN = join(ROOT, 'node_modules', '.bin')

async function run(program: string, args: readonly string[]): Promise<boolean> {
  const child = spawn(process.execPath, [join(BIN, program), ...args], { cwd: ROOT, stdio: 'inherit' })
  const stop = () => child.kill('SIGTERM')
  process.once('disconnect', stop)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  return new Promise((resolve) => child.once('error', () => resolve(false)).once('exit', (code) => resolve(code === 0)))
}

async function main(args: readonly string[]): Promise<boolean> {
  const isLong = args.includes('--long')
  const filters = args.filter((arg) => arg !== '--long')
  await ensureRedis((text) => console.error(text))
  if (filters.length === 0 && !isLong) {
    console.error('Lint and import walls ...')
    if (!(await run('biome', ['ci', '.']))) return false
    console.error('Types ...')
    if (!(await run('tsc', ['--noEmit']))) return false
    if (!(await run('tsc', ['--noEmit', '--project', 'dashboard']))) return false
  }
  if (args[0] === '--fuzz') {
    process.env.AERODB_FUZZ_SECONDS = args[1] ?? '600'
    return run('vitest', ['run', 'test/security/fuzz'])
  }
  const config = isLong ? ['--config', 'vitest.long.config.ts'] : []
  return run('vitest', ['run', ...config, ...filters])
}

try {
  process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1
} catch (fault) {
  console.error(fault instanceof Remedy ? `${fault.message}\n  Remedy: ${fault.remedy}` : fault)
  process.exitCode = 1
}
if (process.connected) process.disconnect?.()
