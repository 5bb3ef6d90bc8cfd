import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The path of an installed program, or `undefined`. The benchmark installs nothing. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/bin', '/usr/local/bin']) {
    if (folder !== '' && (await isThere(join(folder, name), constants.X_OK))) return join(folder, name)
  }
  return undefined
}

/** The first of `paths` that can be read, or `undefined`. */
export async function findFile(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await isThere(path, constants.R_OK)) return path
  return undefined
}

/** The first line that a program prints about itself, on either stream; empty when it says nothing. */
export async function programVersion(program: string, args: readonly string[]): Promise<string> {
  const answer = await run(program, [...args], { timeout: 5_000 }).catch(
    (fault: { stdout?: string; stderr?: string }) => fault,
  )
  return `${answer.stdout ?? ''}${answer.stderr ?? ''}`.trim().split('\n')[0]?.trim() ?? ''
}

function isThere(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}
