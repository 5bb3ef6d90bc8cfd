import { createWriteStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { unwrap } from '../client/platform-client.ts'
import { CliFault, EXIT } from './fault.ts'
import type { Session } from './session.ts'

/** The body of a call that was made with `parseAs: 'stream'`. */
export function streamBody(answer: Parameters<typeof unwrap>[0]): Readable {
  return Readable.fromWeb(unwrap(answer) as Parameters<typeof Readable.fromWeb>[0])
}

/** Writes a document to stdout (no `output`, or `-`) or to a file, and says so. @throws CliFault when the file is there. */
export async function deliver(
  session: Session,
  content: Readable,
  to: { output?: string | undefined; force?: boolean | undefined; format: string },
): Promise<void> {
  const { output, force = false, format } = to
  if (output === undefined || output === '-') return pipeline(content, process.stdout, { end: false })
  await writeFileOnce(output, content, force)
  session.out.show({ file: output, format }, () => `Written to ${output}.\n`)
}

/** Writes a file whole or not at all; one that is there is replaced only when that is asked for. */
async function writeFileOnce(path: string, content: Readable, force: boolean): Promise<void> {
  if (!force) {
    // Taken first, so that what is there cannot be lost by a race either.
    const taken = await open(path, 'wx').catch((fault: NodeJS.ErrnoException) => {
      content.destroy()
      if (fault.code === 'EEXIST') throw new CliFault(EXIT.usage, 'file_exists', `${path} is there.`, 'Add --force.')
      throw fault
    })
    await taken.close()
  }
  const draft = `${path}.${process.pid}.part`
  try {
    // What is delivered may be a tenant's data: nobody else reads it.
    await pipeline(content, createWriteStream(draft, { flags: 'wx', mode: 0o600 }))
    await rename(draft, path)
  } catch (fault) {
    await rm(draft, { force: true })
    if (!force) await rm(path, { force: true })
    throw fault
  }
}
