import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findFreePort } from '../../runtime/free-port.ts'

/** What a platform needs to serve `*.localhost` over TLS, and a client to believe it. */
export type TestTls = {
  env: Record<string, string>
  port: number
  /** The self-signed certificate, PEM. */
  certificate: string
  remove: () => Promise<void>
}

export async function makeTestTls(): Promise<TestTls> {
  const directory = await mkdtemp(join(tmpdir(), 'aerodb-https-'))
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:*.localhost,DNS:localhost'],
    ...['-keyout', join(directory, 'wildcard.key'), '-out', join(directory, 'wildcard.crt')],
  ])
  const port = await findFreePort()
  return {
    env: { AERODB_GATEWAY_TLS_DIRECTORY: directory, AERODB_GATEWAY_TLS_PORT: String(port) },
    port,
    certificate: await readFile(join(directory, 'wildcard.crt'), 'utf8'),
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}
