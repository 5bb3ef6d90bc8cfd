import { z } from 'zod'
import {
  type DnsDriver,
  isRecordType,
  normaliseName,
  normaliseValue,
  quoteText,
  type RecordChange,
  type RecordSet,
  type RecordType,
} from './dns-driver.ts'
import { askProvider } from './provider-http.ts'

export type PowerDnsOptions = {
  /** The API's root, without `/api/v1`. */
  url: string
  apiKey: string
  /** The server's id in the API; `localhost` for all but proxies. */
  serverId: string
  zone: string
}

const zoneSchema = z.object({
  rrsets: z.array(
    z.object({
      name: z.string(),
      type: z.string(),
      ttl: z.number(),
      records: z.array(z.object({ content: z.string(), disabled: z.boolean().optional() })),
    }),
  ),
})

/**
 * PowerDNS Authoritative, by its HTTP API (https://doc.powerdns.com/authoritative/http-api/zone.html). One PATCH is one
 * transaction: all of its changes or none. The zone's serial and, where it is signed, its signatures are the server's care.
 */
export class PowerDnsDriver implements DnsDriver {
  readonly name = 'powerdns'
  readonly maxChanges = 1_000
  readonly #zoneUrl: string
  readonly #headers: Readonly<Record<string, string>>

  constructor(options: PowerDnsOptions) {
    const root = options.url.replace(/\/+$/, '')
    this.#zoneUrl = `${root}/api/v1/servers/${encodeURIComponent(options.serverId)}/zones/${options.zone}.`
    this.#headers = { 'x-api-key': options.apiKey }
  }

  async list(): Promise<RecordSet[]> {
    return this.#get('')
  }

  async read(names: readonly string[]): Promise<RecordSet[]> {
    // Servers before 4.7 do not know the filter and answer the whole zone, hence the second filter here.
    const answers = await Promise.all(names.map((name) => this.#get(`?rrset_name=${encodeURIComponent(`${name}.`)}`)))
    return answers.flatMap((sets, i) => sets.filter((set) => set.name === names[i]))
  }

  async apply(changes: readonly RecordChange[]): Promise<void> {
    const rrsets = changes.flatMap(({ before, after }) => {
      if (after !== undefined)
        return [
          {
            ...head(after),
            ttl: after.ttlSeconds,
            changetype: 'REPLACE',
            records: after.values.map((value) => ({ content: presentValue(after.type, value), disabled: false })),
          },
        ]
      return before === undefined ? [] : [{ ...head(before), changetype: 'DELETE' }]
    })
    if (rrsets.length === 0) return
    const request = { method: 'PATCH' as const, url: this.#zoneUrl, headers: this.#headers, body: { rrsets } }
    await askProvider(request, z.unknown(), explain)
  }

  async #get(query: string): Promise<RecordSet[]> {
    const request = { method: 'GET' as const, url: this.#zoneUrl + query, headers: this.#headers }
    const { rrsets } = await askProvider(request, zoneSchema, explain)
    return rrsets.flatMap(({ name, type, ttl, records }) =>
      isRecordType(type)
        ? [
            {
              name: normaliseName(name),
              type,
              ttlSeconds: ttl,
              // A disabled record is in the zone and not served: as drift, it is written again.
              values: records
                .filter((record) => record.disabled !== true)
                .map(({ content }) => normaliseValue(type, content)),
              ...(records.some((record) => record.disabled === true) ? { needsRewrite: true as const } : {}),
            },
          ]
        : [],
    )
  }
}

function head(set: RecordSet): { name: string; type: RecordType } {
  return { name: `${set.name}.`, type: set.type }
}

function presentValue(type: RecordType, value: string): string {
  if (type === 'TXT') return quoteText(value)
  return type === 'CNAME' ? `${value}.` : value
}

function explain(body: unknown): string {
  const result = z.object({ error: z.string() }).safeParse(body)
  return result.success ? result.data.error.slice(0, 300) : 'no reason given'
}
