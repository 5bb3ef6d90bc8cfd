import { execFile } from 'node:child_process'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findFile, findProgram } from './programs.ts'

const INSTALL_TIMEOUT_MS = 15 * 60_000

/**
 * The path of a program that is written in Go: from PATH or Go's folder, else installed with `go install` where there is Go.
 * @param module with its version, as `go install` takes it; the program is named like its last part.
 * @throws Error that says how a person would get it.
 */
export async function findGoProgram(
  module: string,
  options: { onProgress?: (text: string) => void } = {},
): Promise<string> {
  const name = nameOf(module)
  const folders = [
    process.env.GOBIN,
    process.env.GOPATH && join(process.env.GOPATH, 'bin'),
    join(homedir(), 'go', 'bin'),
  ]
  const candidates = folders
    .filter((folder) => folder !== undefined && folder !== '')
    .map((folder) => join(`${folder}`, name))
  const found = (await findProgram(name)) ?? (await findFile(candidates))
  if (found !== undefined) return found
  const go = await findProgram('go')
  if (go !== undefined) {
    options.onProgress?.(`installing ${name}: go install ${module} (a few minutes, once)`)
    await promisify(execFile)(go, ['install', module], { timeout: INSTALL_TIMEOUT_MS })
    const installed = await findFile(candidates)
    if (installed !== undefined) return installed
  }
  throw new Error(
    `${name} is not here. Get it with Go (\`go install ${module}\`) or from your package manager, then run this again.`,
  )
}

/** `example.com/a/tool/v2@v2.1.0` is installed as `tool`. */
function nameOf(module: string): string {
  const parts = (module.split('@')[0] ?? '').split('/')
  const last = parts.at(-1) ?? ''
  return /^v\d+$/.test(last) ? (parts.at(-2) ?? last) : last
}
