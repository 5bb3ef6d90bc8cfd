import { expect, test } from 'vitest'
import { columnsJson, recordJson, valueJson } from './record-json.ts'

test.for<[string, string, unknown]>([
  ['int4', '5', 5],
  ['numeric', 'NaN', 'NaN'],
  ['float8', '1e+20', 1e20],
  ['float8', '-Infinity', '-Infinity'],
  ['bool', 't', true],
  ['text', 'a "b" \u2028', 'a "b" \u2028'],
  ['jsonb', '{"a": [1, null]}', { a: [1, null] }],
  ['timestamptz', '2026-01-02 03:04:05.678+00', '2026-01-02T03:04:05.678+00:00'],
  ['timestamp', '2026-01-02 03:04:05', '2026-01-02T03:04:05'],
  ['date', '2026-01-02', '2026-01-02'],
  ['_int4', '{1,NULL,{2,3}}', [1, null, [2, 3]]],
  ['_text', '{"a,b",c,NULL,"NULL"}', ['a,b', 'c', null, 'NULL']],
  ['_bool', '{t,f}', [true, false]],
  ['_int4', '[0:1]={1,2}', '[0:1]={1,2}'],
  ['bytea', '\\x00ff', '\\x00ff'],
])('a %s %s is told as %j', ([type, text, expected]) => {
  expect(JSON.parse(valueJson(type, text))).toEqual(expected)
})

test('the column that is ours is never told, nor what the stream did not send', () => {
  const columns = ['id', 'tenant_id', 'big', '__proto__'].map((name) => ({ name, type: 'text' }))
  const table = { schema: 't_x', name: 'x', columns }
  expect(recordJson(table, ['1', 'ten_x', false, null])).toBe('{"id":"1","__proto__":null}')
  expect(columnsJson(table)).not.toContain('tenant_id')
  expect(recordJson(table, ['1', 'ten_x', 'b', null], (name) => name === 'tenant_id' || name === 'big')).toBe(
    '{"big":"b"}',
  )
})
