/** The headings of a section, as Keep a Changelog 1.1.0 has them. */
export const KINDS_OF_CHANGE = ['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'] as const

const UNRELEASED = '## [Unreleased]'

/**
 * The changelog with what was unreleased under the heading of `version`, and an empty `Unreleased` above it.
 * @param day `YYYY-MM-DD`
 * @throws Error when there is nothing to release, or when the version has a section already.
 */
export function releaseChangelog(text: string, version: string, day: string): string {
  const parts = text.split(`\n${UNRELEASED}\n`)
  const [head, rest] = parts
  if (head === undefined || rest === undefined || parts.length !== 2)
    throw new Error(`CHANGELOG.md has not exactly one heading "${UNRELEASED}"`)
  if (rest.includes(`## [${version}]`)) throw new Error(`CHANGELOG.md has a section for ${version} already`)
  const [changes = ''] = rest.split(/^## /m)
  if (changes.trim() === '') throw new Error('There is nothing under "Unreleased" to release')
  return `${head}\n${UNRELEASED}\n\n## [${version}] - ${day}\n${rest}`
}

/** The Helm chart's `Chart.yaml` with its version, and that of what it installs, set to `version`. */
export function releaseChart(text: string, version: string): string {
  return text.replace(/^version: .*$/m, `version: ${version}`).replace(/^appVersion: .*$/m, `appVersion: "${version}"`)
}
