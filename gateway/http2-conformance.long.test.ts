import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findGoProgram } from '../runtime/go-program.ts'
import { makeTestTls } from '../test/support/tls.ts'
import { EdgeWorld } from './testing/edge-world.ts'
import { makeTenant } from './testing/snapshots.ts'
import { StubUpstream } from './testing/stub-upstream.ts'

/** The public conformance suite for HTTP/2 servers. */
const MODULE = 'github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible'

/** What h2spec finds wrong at `port`: the section and the name of each case. */
async function failuresAt(port: number, directory: string): Promise<string[]> {
  const report = join(directory, `${port}.xml`)
  const program = await findGoProgram(MODULE)
  const args = ['-h', 'localhost', '-p', String(port), '-t', '-k', '-o', '3', '-j', report]
  const child = spawn(program, args, { stdio: 'ignore' })
  await new Promise((resolve) => child.once('close', resolve))
  const cases = [
    ...(await readFile(report, 'latin1')).matchAll(
      /<testcase package="([^"]*)" classname="([^"]*)"[^>]*>(.*?)<\/testcase>/gs,
    ),
  ]
  // Fewer would mean that the run broke off.
  expect(cases.length).toBeGreaterThan(140)
  return cases
    .filter(([, , , inside]) => /<(?:failure|error)/.test(inside ?? ''))
    .map(([, section, name]) => `${section}: ${name?.replaceAll('&#34;', '"')}`)
}

/*
 * What h2spec finds, and why it is so. The first nine are those of Node's own HTTP/2 server (nghttp2), which it finds with
 * ten lines of `node:http2` alone; in the last two an early answer of ours overtakes the stream error, which then follows.
 */
const EXPLAINED: readonly string[] = [
  // Frames that come for a closed stream are dropped, which RFC 9113 5.1 allows for a while after RST_STREAM.
  'http2/5.1: closed: Sends a DATA frame after sending RST_STREAM frame',
  'http2/5.1: closed: Sends a HEADERS frame after sending RST_STREAM frame',
  'http2/5.1: closed: Sends a DATA frame',
  'http2/5.1: closed: Sends a HEADERS frame',
  // A lower stream id after a higher one counts as a closed stream too.
  'http2/5.1.1: Sends stream identifier that is numerically smaller than previous',
  // RFC 9113 5.3 has done away with priorities: nghttp2 reads nothing of them.
  'http2/5.3.1: Sends PRIORITY frame that depend on itself',
  'http2/6.3: Sends a PRIORITY frame with 0x0 stream identifier',
  // An answer to a PING that was never sent, or too much window, ends the connection, where ending nothing or the stream would do.
  'http2/6.7: Sends a PING frame with ACK',
  'http2/6.9.1: Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream',
  // Refused by its head (404) before the rest of it is looked at.
  'http2/8.1.2.1: Sends a HEADERS frame that contains a pseudo-header field as trailers',
  'http2/8.1.2.6: Sends a HEADERS frame with the "content-length" header field which does not equal the DATA frame payload length',
  'http2/8.1.2.6: Sends a HEADERS frame with the "content-length" header field which does not equal the sum of the multiple DATA frames payload length',
]

test("h2spec finds nothing wrong with the gateway's HTTP/2 but what is explained", async () => {
  const tls = await makeTestTls()
  const backend = new StubUpstream('from-gateway')
  const world = await EdgeWorld.start(makeTenant('streams'), await backend.start(), tls.env)
  try {
    const failures = await failuresAt(tls.port, tls.env.AERODB_GATEWAY_TLS_DIRECTORY ?? '')
    expect(failures.filter((failure) => !EXPLAINED.includes(failure))).toEqual([])
  } finally {
    await world.stop()
    await backend.stop()
    await tls.remove()
  }
})
