import type { RuleCode } from './rules.ts'

/** `critical`: one wall is down for rows; `high`: a way around a wall, or a right too many; `medium`: a net is missing. */
export const SEVERITIES = ['critical', 'high', 'medium'] as const
export type Severity = (typeof SEVERITIES)[number]

/** One broken rule at one object. */
export type Finding = {
  /** Stable; the rule that is broken (`rules.ts`). */
  code: RuleCode
  severity: Severity
  /** Whose walls it concerns; `null`: everybody's. */
  tenant: { tenant_id: string; name: string | null } | null
  /** The database server as the platform names it, or where else it was seen (`files`, `gateway`). */
  server: string
  /** The object in the form a database administrator would write it. */
  object: string
  /** What was found there. */
  what: string
  /** What to do about it. */
  remedy: string
}

/** What a catalogue query reports; the schema tells whose it is. */
export type Observation = { code: RuleCode; schema: string | null; object: string; what: string }

/** One statement over the catalogues of a server, set-based: its cost follows the catalogue's size, its number does not. */
export type CatalogueQuery = { name: string; sql: string }
