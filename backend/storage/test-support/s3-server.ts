import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { access, mkdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { findFreePort } from '../../../runtime/free-port.ts'
import type { S3BlobStoreOptions } from '../blobs/s3-blob-store.ts'
import { temporaryDirectory } from './files.ts'

/** Programs that tests need and keep: the usual place for what can be made again. */
const TOOLS = join(import.meta.dirname, '../../../node_modules/.cache/aerodb-tools')
const MODULE = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'
const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test-secret' }

/** A real S3 server (versitygw over a folder) of the test's own, with one bucket. */
export type S3Server = { options: S3BlobStoreOptions & { endpoint: string }; stop: () => Promise<void> }

export async function startS3(): Promise<S3Server> {
  const program = await findVersitygw()
  const directory = await temporaryDirectory()
  const [files, sidecar] = [join(directory.path, 'files'), join(directory.path, 'sidecar')]
  await mkdir(files)
  await mkdir(sidecar)
  const port = await findFreePort()
  const options = {
    bucket: 'blobs',
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${port}`,
    credentials: CREDENTIALS,
    prefix: 'test/',
  }
  const child = spawn(
    program,
    [
      ...['--quiet', '--port', `127.0.0.1:${port}`],
      ...['--access', CREDENTIALS.accessKeyId, '--secret', CREDENTIALS.secretAccessKey],
      ...['posix', '--sidecar', sidecar, files],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const stop = async () => {
    await end(child)
    await directory.remove()
  }
  try {
    await createBucket(options, child)
  } catch (fault) {
    await stop()
    throw fault
  }
  return { options, stop }
}

async function createBucket(options: S3Server['options'], child: ChildProcess): Promise<void> {
  let output = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const client = new S3Client({ ...options, forcePathStyle: true, maxAttempts: 1 })
  try {
    for (let tries = 0; ; tries++) {
      try {
        await client.send(new CreateBucketCommand({ Bucket: options.bucket }))
        return
      } catch (fault) {
        if (tries === 100 || child.exitCode !== null)
          throw new Error(`versitygw does not serve: ${output}`, { cause: fault })
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  } finally {
    client.destroy()
  }
}

/** From PATH, or installed once by Go. */
async function findVersitygw(): Promise<string> {
  for (const directory of [...(process.env.PATH ?? '').split(delimiter), TOOLS]) {
    const path = join(directory, 'versitygw')
    if (await isThere(path)) return path
  }
  try {
    await promisify(execFile)('go', ['install', MODULE], { env: { ...process.env, GOBIN: TOOLS } })
  } catch (cause) {
    throw new Error(`The S3 tests need versitygw in PATH, or Go to install it: go install ${MODULE}`, { cause })
  }
  return join(TOOLS, 'versitygw')
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await exited
}
