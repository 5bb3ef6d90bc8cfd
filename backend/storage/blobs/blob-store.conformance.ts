import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeId } from '../../../runtime/ids.ts'
import { BlobMissingError, type BlobRef, type BlobStore } from './blob-store.ts'

export type StoreUnderTest = {
  store: BlobStore
  /** How many things of any kind the store keeps now, unfinished ones too. */
  count: () => Promise<number>
  close: () => Promise<void>
}

/** What every blob store promises; each implementation's test runs this. */
export function promiseBlobStore(open: () => Promise<StoreUnderTest>): void {
  let subject: StoreUnderTest
  const tenantId = makeId('ten')
  const ref = (): BlobRef => ({ tenantId, version: randomUUID() })

  beforeAll(async () => {
    subject = await open()
  }, 300_000)
  afterAll(() => subject?.close())

  test('gives back what was written, whole and in ranges', async () => {
    const { store } = subject
    const bytes = randomBytes(300_000)
    const blob = ref()
    await store.write(blob, Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]))
    expect((await buffer(await store.read(blob))).equals(bytes)).toBe(true)
    for (const [first, last] of [
      [0, 0],
      [5, 99_999],
      [299_999, 299_999],
    ] as const) {
      const part = await buffer(await store.read(blob, { first, last }))
      expect(part.equals(bytes.subarray(first, last + 1))).toBe(true)
    }
    await store.remove(blob)
  })

  test('keeps a blob of nothing, and many parts of any size in their order', async () => {
    const { store } = subject
    const empty = ref()
    await store.write(empty, Readable.from([]))
    expect(await buffer(await store.read(empty))).toHaveLength(0)
    const large = ref()
    const hash = createHash('sha256')
    await store.write(
      large,
      Readable.from(
        (function* () {
          for (let i = 0; i < 90; i++) {
            const chunk = Buffer.alloc(200_000 + i, i)
            hash.update(chunk)
            yield chunk
          }
        })(),
      ),
    )
    const back = createHash('sha256')
    for await (const chunk of await store.read(large)) back.update(chunk)
    expect(back.digest('hex')).toBe(hash.digest('hex'))
    await store.remove(empty)
    await store.remove(large)
  })

  test('keeps nothing of a write whose source fails, and rejects with the fault of the source', async () => {
    const { store, count } = subject
    const before = await count()
    const fails = (chunks: number) =>
      Readable.from(
        (async function* () {
          for (let i = 0; i < chunks; i++) yield Buffer.alloc(1_000_000)
          throw new Error('the client is gone')
        })(),
      )
    for (const chunks of [0, 1, 20]) {
      const blob = ref()
      await expect(store.write(blob, fails(chunks))).rejects.toThrow('the client is gone')
      await expect(store.read(blob)).rejects.toBeInstanceOf(BlobMissingError)
    }
    const already = new Readable({ read() {} })
    already.on('error', () => {})
    already.destroy(new Error('gone before'))
    await expect(store.write(ref(), already)).rejects.toThrow('gone before')
    expect(await count()).toBe(before)
  })

  test('copies without changing the source, and the copy outlives it', async () => {
    const { store } = subject
    const [from, to] = [ref(), ref()]
    await store.write(from, Readable.from([Buffer.from('copied')]))
    await store.copy(from, to)
    await store.remove(from)
    expect((await buffer(await store.read(to))).toString()).toBe('copied')
    await store.remove(to)
    await expect(store.copy(from, ref())).rejects.toBeInstanceOf(BlobMissingError)
  })

  test('removes a blob once and for all, and does not mind removing it again', async () => {
    const { store } = subject
    const blob = ref()
    await store.write(blob, Readable.from([Buffer.from('x')]))
    await store.remove(blob)
    await store.remove(blob)
    await expect(store.read(blob)).rejects.toBeInstanceOf(BlobMissingError)
  })

  test('removes a tenant without touching another', async () => {
    const { store } = subject
    const [gone, stays] = [makeId('ten'), makeId('ten')]
    const [first, second, kept] = [randomUUID(), randomUUID(), randomUUID()]
    for (const version of [first, second])
      await store.write({ tenantId: gone, version }, Readable.from([Buffer.from('x')]))
    await store.write({ tenantId: stays, version: kept }, Readable.from([Buffer.from('kept')]))
    await store.removeTenant(gone)
    await store.removeTenant(gone)
    for (const version of [first, second])
      await expect(store.read({ tenantId: gone, version })).rejects.toBeInstanceOf(BlobMissingError)
    expect((await buffer(await store.read({ tenantId: stays, version: kept }))).toString()).toBe('kept')
    await store.removeTenant(stays)
  })

  test('takes no reference that could lead anywhere else', async () => {
    const { store } = subject
    for (const bad of ['../x', '', 'a/b', `${randomUUID()}/..`, `${randomUUID()}\0`])
      await expect(store.read({ tenantId, version: bad })).rejects.toThrow('Not a blob version')
    for (const bad of ['..', 'ten_x', '', `${tenantId}/..`]) {
      await expect(store.read({ tenantId: bad, version: randomUUID() })).rejects.toThrow('Not a tenant id')
      await expect(store.removeTenant(bad)).rejects.toThrow('Not a tenant id')
    }
  })
}
