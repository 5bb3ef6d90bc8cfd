import { expect, test } from 'vitest'
import { type RequestContext, RequestContextCodec } from './request-context.ts'

const codec = new RequestContextCodec('s'.repeat(32))
const context: RequestContext = {
  tenant_id: 'ten_1',
  name: 'acme',
  isolation: 'schema',
  placement: { server: 'shared-0', schema: 't_1', role: 't_1' },
  role: 'authenticated',
  key_id: null,
  claims: { sub: 'üser', role: 'authenticated' },
  quotas: { storage_bytes: null, file_storage_bytes: 1 },
  expires_at: 1_000,
}

test('a signed context is read back whole', () => {
  expect(codec.verify(codec.sign(context), 999)).toEqual(context)
})

test('a context is refused when it is over, changed, or signed by somebody else', () => {
  const token = codec.sign(context)
  const [body, mac] = token.split('.')
  const forged = Buffer.from(JSON.stringify({ ...context, tenant_id: 'ten_2' })).toString('base64url')
  expect(codec.verify(token, 1_000)).toBeUndefined()
  expect(codec.verify(`${forged}.${mac}`, 0)).toBeUndefined()
  expect(codec.verify(`${body}.`, 0)).toBeUndefined()
  expect(codec.verify('', 0)).toBeUndefined()
  expect(new RequestContextCodec('t'.repeat(32)).verify(token, 0)).toBeUndefined()
})
