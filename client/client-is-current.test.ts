import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestControl, type TestControl } from '../control/testing/start-control.ts'
import { startWorld, type World } from '../control/testing/world.ts'
import { renderTypes } from './render-types.ts'

let world: World
let control: TestControl

beforeAll(async () => {
  world = await startWorld()
  control = await startTestControl({
    databaseUrl: world.databaseUrl,
    sharedUrls: [world.sharedUrl],
    redisUrl: world.redis.url,
  })
})

afterAll(async () => {
  await control?.stop()
  await world?.stop()
})

test('the checked-in types are those of the OpenAPI document (else: `npm run generate:client`)', async () => {
  const { body } = await control.call('GET', '/v1/openapi.json', { key: null })
  await expect(renderTypes(body)).toMatchFileSnapshot('./platform-api.ts')
})

test('the checked-in OpenAPI document, which the reference in docs is made of, is the one that control serves', async () => {
  const { body } = await control.call('GET', '/v1/openapi.json', { key: null })
  await expect(`${JSON.stringify(body, null, 2)}\n`).toMatchFileSnapshot('./openapi.json')
})
