import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { request } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { agent, storageClient } from './test-support/client.ts'
import { filesBelow } from './test-support/files.ts'
import { type Fixture, openFixture } from './test-support/fixture.ts'
import { type S3Server, startS3 } from './test-support/s3-server.ts'
import type { StreamingOrder } from './test-support/streaming-server.ts'

const MB = 1_000_000
const LENGTH = 200 * MB

let fixture: Fixture
let s3: S3Server

beforeAll(async () => {
  fixture = await openFixture()
  s3 = await startS3()
}, 300_000)
afterAll(async () => {
  await fixture?.close()
  await s3?.stop()
})

test.each(['files', 's3'] as const)('200 MB go up and come down through bounded memory, over %s', async (kind) => {
  const server = await startServer(kind === 's3' ? s3.options : undefined)
  try {
    const path = `/storage/v1/object/files/large-${kind}`
    const host = new URL(fixture.server.url(fixture.tenant)).hostname
    const url = `http://${host}:${server.port}${path}`
    const sent = createHash('sha256')
    await warmUp(url)
    const before = await server.memory()
    for (const headers of [{ 'content-length': String(LENGTH) }, {}]) {
      const up = await request(url, {
        method: 'PUT',
        headers: { apikey: 'service', 'content-type': 'application/x-test', ...headers },
        body: Readable.from(chunks(headers['content-length'] === undefined ? undefined : sent)),
        dispatcher: agent,
      })
      expect([up.statusCode, await up.body.text()]).toEqual([200, expect.stringContaining('large')])
    }
    const down = await request(url, { headers: { apikey: 'service' }, dispatcher: agent })
    const received = createHash('sha256')
    let bytes = 0
    for await (const chunk of down.body as AsyncIterable<Buffer>) {
      received.update(chunk)
      bytes += chunk.length
    }
    expect([bytes, received.digest('hex')]).toEqual([LENGTH, sent.digest('hex')])
    const growth = (await server.memory()) - before
    // Far less than the file: S3's two parts in flight, streams' buffers and what the collector has not come to yet.
    expect(growth).toBeLessThan(120 * MB)
  } finally {
    await server.stop()
  }
})

test('the whole API works over S3', async () => {
  const server = await startServer(s3.options)
  try {
    const inS3 = storageClient(server.as(fixture), fixture.tenant, 'service').from('files')
    expect((await inS3.upload('dir/a.txt', 'in s3')).error).toBeNull()
    expect((await inS3.upload('dir/a.txt', new Blob(['again']), { upsert: true })).error).toBeNull()
    expect((await inS3.copy('dir/a.txt', 'dir/b.txt')).error).toBeNull()
    expect((await inS3.move('dir/b.txt', 'c.txt')).error).toBeNull()
    expect(await (await inS3.download('c.txt')).data?.text()).toBe('again')
    expect((await inS3.remove(['c.txt', 'dir/a.txt'])).data).toHaveLength(2)
    expect((await inS3.download('c.txt')).error).toMatchObject({ statusCode: '404' })
    expect(await filesBelow(fixture.directory)).not.toContain('c.txt')
  } finally {
    await server.stop()
  }
})

function* chunks(hash: ReturnType<typeof createHash> | undefined): Generator<Buffer> {
  for (let i = 0; i < 200; i++) {
    const chunk = Buffer.alloc(MB, i)
    hash?.update(chunk)
    yield chunk
  }
}

async function warmUp(url: string): Promise<void> {
  const up = await request(`${url}-warm`, {
    method: 'PUT',
    headers: { apikey: 'service' },
    body: Buffer.alloc(20 * MB),
    dispatcher: agent,
  })
  await up.body.dump()
  const down = await request(`${url}-warm`, { headers: { apikey: 'service' }, dispatcher: agent })
  await down.body.dump({ limit: 30 * MB })
}

/** A server in a process of its own, whose memory can be asked for. */
async function startServer(s3Options: StreamingOrder['s3']) {
  const { database, directory, tenant } = fixture
  const child = fork(`${import.meta.dirname}/test-support/streaming-server.ts`, {
    stdio: 'inherit',
    execArgv: ['--expose-gc'],
  })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const answer = () => new Promise<number>((resolve) => child.once('message', (message) => resolve(Number(message))))
  const started = answer()
  const order: StreamingOrder = { address: database.address, directory, tenant, s3: s3Options }
  child.send(order)
  const port = await started
  return {
    port,
    as: (from: Fixture) =>
      Object.assign(Object.create(from.server) as Fixture['server'], {
        url: (of: Fixture['tenant'], path = '') =>
          from.server.url(of, path).replace(`:${from.server.port}`, `:${port}`),
      }),
    memory: async () => {
      const asked = answer()
      child.send('memory')
      return asked
    },
    stop: async () => {
      child.send('stop')
      await exited
    },
  }
}
