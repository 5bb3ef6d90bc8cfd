import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { installDebianPackages } from '../../runtime/debian-packages.ts'
import { findFreePort } from '../../runtime/free-port.ts'
import { endProcess } from '../../runtime/processes.ts'
import { findProgram } from '../../runtime/programs.ts'

/** The path of `prometheus` or `promtool`; Debian's package is installed where it is missing (its service is not started). */
export async function ensurePrometheus(program: 'prometheus' | 'promtool'): Promise<string> {
  const found = await findProgram(program)
  if (found !== undefined) return found
  const outcome = await installDebianPackages(['prometheus'])
  const installed = await findProgram(program)
  if (installed !== undefined) return installed
  throw new Error(`The tests need ${program}: ${outcome.isInstalled ? 'the package brought none' : outcome.why}`)
}

export type TestPrometheus = {
  /** The `data` of an answer of its API. @throws with its error. */
  ask: (path: string, parameters?: Record<string, string>) => Promise<unknown>
  stop: () => Promise<void>
}

/** A real Prometheus with `config`, in a temporary folder and on a free port. */
export async function startPrometheus(config: Record<string, unknown>): Promise<TestPrometheus> {
  const program = await ensurePrometheus('prometheus')
  const directory = await mkdtemp(join(tmpdir(), 'aerodb-prometheus-'))
  await writeFile(join(directory, 'prometheus.yml'), stringify(config))
  const address = `127.0.0.1:${await findFreePort()}`
  const child = spawn(
    program,
    [
      `--config.file=${join(directory, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=${address}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const stop = async () => {
    if (child.pid !== undefined && child.exitCode === null) await endProcess(child.pid, 'SIGTERM', 10_000)
    await rm(directory, { recursive: true, force: true })
  }
  const ask: TestPrometheus['ask'] = async (path, parameters = {}) => {
    const response = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(parameters)}`)
    const answer = (await response.json()) as { status: string; data: unknown; error?: string }
    if (answer.status !== 'success') throw new Error(`${path} ${JSON.stringify(parameters)}: ${answer.error}`)
    return answer.data
  }
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    const isReady = await fetch(`http://${address}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isReady) return { ask, stop }
    await sleep(100)
  }
  await stop()
  throw new Error(`Prometheus did not start:\n${output}`)
}
