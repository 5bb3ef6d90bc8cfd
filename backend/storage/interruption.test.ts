import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { storageClient } from './test-support/client.ts'
import { type Fixture, openFixture, waitFor } from './test-support/fixture.ts'

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture({ bodyIdleMs: 300 })
})
afterAll(() => fixture?.close())

/** Sends the head and a part of a body on a connection of its own; gives it to the caller to break off. */
async function begin(head: string, part: string) {
  const socket = connect(fixture.server.port, '127.0.0.1')
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve))
  const host = new URL(fixture.server.url(fixture.tenant)).host
  socket.write(head.replace('HOST', `Host: ${host}\napikey: service`).replaceAll('\n', '\r\n'))
  socket.write(part)
  return socket
}

const pending = async () =>
  Number((await fixture.row('select count(*)::int as n from $schema._storage_pending_blobs'))?.n)
const nothingLeft = async () => (await fixture.blobs()).length === 0 && (await pending()) === 0

test('a client that goes away in the middle of an upload leaves nothing', async () => {
  const heads = {
    length: 'POST /storage/v1/object/files/gone HTTP/1.1\nHOST\nContent-Length: 1000000\n\n',
    chunked: 'POST /storage/v1/object/files/gone HTTP/1.1\nHOST\nTransfer-Encoding: chunked\n\n186A0\n',
    form: 'POST /storage/v1/object/files/gone HTTP/1.1\nHOST\nContent-Length: 1000000\nContent-Type: multipart/form-data; boundary=b\n\n--b\nContent-Disposition: form-data; name=""; filename="x"\n\n',
  }
  for (const head of Object.values(heads)) {
    const socket = await begin(head, 'x'.repeat(50_000))
    await waitFor(async () => (await pending()) === 1)
    socket.destroy()
    await waitFor(nothingLeft)
  }
  expect((await fixture.files().list()).data).toEqual([])
})

test('a body that stands still is given up', async () => {
  const socket = await begin('POST /storage/v1/object/files/slow HTTP/1.1\nHOST\nContent-Length: 1000\n\n', 'x')
  let answer = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text
  })
  await waitFor(() => answer.includes('RequestTimeout'))
  expect(answer).toMatch(/^HTTP\/1\.1 408 /)
  socket.destroy()
  await waitFor(nothingLeft)
})

test('a refusal reaches a client that is still sending, and then the connection ends', async () => {
  const head = 'POST /storage/v1/object/nowhere/x HTTP/1.1\nHOST\nContent-Length: 5000000000\n\n'
  const socket = await begin(head, 'x'.repeat(10_000))
  let answer = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text
  })
  let closed = false
  socket.on('close', () => {
    closed = true
  })
  await waitFor(() => answer.includes('NoSuchBucket'))
  expect(answer).toMatch(/^HTTP\/1\.1 404 [\s\S]*Connection: close/i)
  await waitFor(() => closed)
})

test('a refusal is read whole by a client that sends on at full speed', async () => {
  const nowhere = storageClient(fixture.server, fixture.tenant, 'service').from('nowhere')
  for (let i = 0; i < 5; i++) {
    const { error } = await nowhere.upload('x', new Blob([Buffer.alloc(20_000_000)]).stream())
    expect(error).toMatchObject({ status: 404, code: 'NoSuchBucket' })
  }
})

test('a client that goes away in the middle of a download lets go of the file', async () => {
  await fixture.files().upload('large', Buffer.alloc(20_000_000))
  const socket = await begin('GET /storage/v1/object/files/large HTTP/1.1\nHOST\n\n', '')
  await new Promise((resolve) => socket.once('data', resolve))
  socket.destroy()
  expect((await fixture.files().remove(['large'])).error).toBeNull()
  await waitFor(nothingLeft)
})

test('a reader of an object that is replaced meanwhile gets the old or the new one, whole', async () => {
  const files = fixture.files()
  const versions = ['a', 'b'].map((letter) => letter.repeat(300_000))
  await files.upload('turn', versions[0] ?? '')
  let stop = false
  const writer = (async () => {
    for (let i = 0; !stop; i++) await files.update('turn', versions[i % 2] ?? '')
  })()
  for (let i = 0; i < 40; i++) {
    const { data, error } = await files.download('turn')
    expect(error).toBeNull()
    expect(versions).toContain(await data?.text())
  }
  stop = true
  await writer
  await files.remove(['turn'])
  await waitFor(nothingLeft)
})
