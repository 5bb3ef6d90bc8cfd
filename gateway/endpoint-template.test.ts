import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EndpointTemplates, templateOf } from './endpoint-template.ts'

test.each([
  ['/rest/v1/todos', '/rest/v1/todos'],
  ['/rest/v1/rpc/add', '/rest/v1/rpc/add'],
  ['/rest/v1/', '/rest/v1/'],
  ['/rest/v1/a b', '/rest/v1/{other}'],
  ['/rest/v1/%3Cscript%3E', '/rest/v1/{other}'],
  ['/schema/v1/collections', '/schema/v1/collections'],
  ['/schema/v1/collections/todos', '/schema/v1/collections/{name}'],
  ['/storage/v1/object/photos/a/b.png', '/storage/v1/object/{bucket}/{path}'],
  ['/storage/v1/object/sign/photos/a.png', '/storage/v1/object/sign/{bucket}/{path}'],
  ['/storage/v1/object/list/photos', '/storage/v1/object/list/{bucket}'],
  ['/storage/v1/bucket/photos', '/storage/v1/bucket/{bucket}'],
  ['/sql/v1', '/sql/v1'],
  ['/unknown', '/{other}'],
])('%s is counted as %s', (path, template) => {
  expect(templateOf(path)).toBe(template)
})

test('whatever is asked, templates are plain and bounded in number', () => {
  const templates = new EndpointTemplates()
  const seen = new Set<string>()
  const path = fc.oneof(
    fc.webPath(),
    fc.string().map((text) => `/rest/v1/${text}`),
    fc.string({ unit: fc.constantFrom(...'abcdef'), minLength: 3, maxLength: 6 }).map((text) => `/rest/v1/${text}`),
    fc.string().map((text) => `/storage/v1/object/${text}/${text}`),
  )
  fc.assert(
    fc.property(path, (asked) => {
      const template = templates.of(asked)
      expect(template).toMatch(/^(?:\/(?:[A-Za-z0-9_-]+|\{[a-z]+\}))*\/?$/)
      seen.add(template)
    }),
    { numRuns: 3_000 },
  )
  expect(seen.size).toBeLessThanOrEqual(210)
})
