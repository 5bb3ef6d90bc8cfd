import { z } from 'zod'

/** Severities that stop a run. */
const STOPPING = ['high', 'critical']

const reportSchema = z.object({
  vulnerabilities: z.record(
    z.string(),
    z.object({
      severity: z.string(),
      range: z.string(),
      /** Advisories of the package itself are objects; a name stands for a dependency that has one. */
      via: z.array(z.union([z.string(), z.object({ title: z.string(), url: z.string(), severity: z.string() })])),
    }),
  ),
})

export type Advisory = { package: string; range: string; severity: string; title: string; url: string }

/** What a registry said of the packages that we depend on; `unavailable` where it says nothing (no such endpoint, no network). */
export type AdvisoryReport =
  | { unavailable: string }
  | { stopping: readonly Advisory[]; others: readonly Advisory[]; accepted: readonly Advisory[] }

/**
 * Reads what `npm audit --json` printed.
 * @param acceptedText a line for each accepted advisory: its id (`GHSA-…`), then why
 * @throws when an accepted line gives no reason
 */
export function readAdvisories(output: string, acceptedText: string): AdvisoryReport {
  const accepted = readAccepted(acceptedText)
  const json = parseJson(output)
  const parsed = reportSchema.safeParse(json)
  if (!parsed.success) {
    const message = z.object({ message: z.string() }).safeParse(json)
    return {
      unavailable: message.success ? message.data.message : `npm audit printed no report: ${output.slice(0, 200)}`,
    }
  }
  const advisories = Object.entries(parsed.data.vulnerabilities).flatMap(([name, { range, via }]) =>
    via.flatMap((one): Advisory[] =>
      typeof one === 'string' ? [] : [{ package: name, range, severity: one.severity, title: one.title, url: one.url }],
    ),
  )
  const isAccepted = ({ url }: Advisory) => accepted.some((id) => url.endsWith(`/${id}`))
  const open = advisories.filter((advisory) => !isAccepted(advisory))
  return {
    stopping: open.filter(({ severity }) => STOPPING.includes(severity)),
    others: open.filter(({ severity }) => !STOPPING.includes(severity)),
    accepted: advisories.filter(isAccepted),
  }
}

function readAccepted(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [id = '', ...reason] = line.split(/\s+/)
      if (reason.length === 0) throw new Error(`The accepted advisory ${id} gives no reason`)
      return id
    })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
