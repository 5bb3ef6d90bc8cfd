import { expect, test } from 'vitest'
import { readAdvisories } from './advisories.ts'

const advisory = (id: string, severity: string) => ({
  title: `hole ${id}`,
  url: `https://advisories.example/${id}`,
  severity,
})
const report = JSON.stringify({
  auditReportVersion: 2,
  vulnerabilities: {
    left: { severity: 'critical', range: '<2', via: [advisory('GHSA-a', 'critical'), advisory('GHSA-b', 'low')] },
    above: { severity: 'critical', range: '*', via: ['left'] },
    right: { severity: 'high', range: '1.x', via: [advisory('GHSA-c', 'high')] },
  },
})

test('high and critical advisories stop, others are noted, and each is told once', () => {
  expect(readAdvisories(report, '')).toMatchObject({
    stopping: [{ package: 'left', title: 'hole GHSA-a' }, { package: 'right' }],
    others: [{ package: 'left', title: 'hole GHSA-b' }],
    accepted: [],
  })
})

test('an accepted one stops nothing, and only with a reason', () => {
  expect(
    readAdvisories(report, '# why\n\nGHSA-a only reached by tests\nGHSA-c fixed by our own check\n'),
  ).toMatchObject({
    stopping: [],
    accepted: [{ title: 'hole GHSA-a' }, { title: 'hole GHSA-c' }],
  })
  expect(() => readAdvisories(report, 'GHSA-a')).toThrow('gives no reason')
})

test.each([
  ['{"message":"405 Method Not Allowed","error":{"summary":"","detail":""}}', '405 Method Not Allowed'],
  ['', 'npm audit printed no report'],
  ['not json', 'npm audit printed no report'],
])('a registry that tells nothing is unavailable: %s', (output, reason) => {
  expect(readAdvisories(output, '')).toEqual({ unavailable: expect.stringContaining(reason) })
})
