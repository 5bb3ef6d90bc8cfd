import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'
import { findGoProgram } from '../../runtime/go-program.ts'
import type { Manifest } from '../../test/support/manifest-schema.ts'

const CHART = join(import.meta.dirname, 'aerodb')
const HELM = 'helm.sh/helm/v3/cmd/helm@v3.18.4'

export type Values = { [name: string]: unknown }
type Helm = (command: string, ...rest: string[]) => Promise<string>

/** Runs a command of the real Helm on the chart, with `values` in a file. @throws Error with what Helm wrote. */
async function withHelm<Result>(values: Values, use: (helm: Helm) => Promise<Result>): Promise<Result> {
  const program = await findGoProgram(HELM)
  const directory = await mkdtemp(join(tmpdir(), 'aerodb-helm-'))
  try {
    const file = join(directory, 'values.yaml')
    // JSON is YAML.
    await writeFile(file, JSON.stringify(values))
    // No cache or configuration of whoever runs this.
    const env = { PATH: process.env.PATH, HOME: directory }
    return await use(async (command, ...rest) => {
      const args = [command, ...rest, '--values', file, '--kube-version', '1.36.0']
      return (await promisify(execFile)(program, args, { env, maxBuffer: 16_000_000 })).stdout
    })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** The manifests that `helm template` makes of the chart for a release `aero` in the namespace `platform`. */
export async function renderChart(values: Values = {}): Promise<Manifest[]> {
  const text = await withHelm(values, (helm) => helm('template', 'aero', CHART, '--namespace', 'platform'))
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw new Error(`Helm made wrong YAML: ${document.errors.join('; ')}`)
    const manifest = document.toJS() as Manifest | null
    return manifest === null ? [] : [manifest]
  })
}

/** What `helm lint --strict` says. @throws Error when it refuses the chart. */
export function lintChart(values: Values = {}): Promise<string> {
  return withHelm(values, (helm) => helm('lint', CHART, '--strict'))
}
