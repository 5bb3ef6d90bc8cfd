import { randomBytes } from 'node:crypto'
import { type DnsServerAddress, exchange } from './dns-connection.ts'
import { type DnsDriver, DnsFault, type RecordChange, type RecordSet } from './dns-driver.ts'
import { CLASS, OPCODE, RCODE, TYPE, type WireMessage, type WireRecord } from './dns-message.ts'
import { decodeData, encodeData, typeNumber, typeOfNumber } from './record-data.ts'
import type { TsigKey } from './tsig.ts'

export type Rfc2136Options = { server: DnsServerAddress; zone: string; key: TsigKey }

const QUERIED = [TYPE.A, TYPE.AAAA, TYPE.CNAME, TYPE.TXT]

/**
 * Any server that takes dynamic updates (RFC 2136): BIND, Knot, PowerDNS, Windows. The whole zone is read by transfer
 * (RFC 5936), single names by queries. What was read is made a prerequisite of the update, so an update is atomic and
 * never overwrites what somebody else wrote in between.
 */
export class Rfc2136Driver implements DnsDriver {
  readonly name = 'rfc2136'
  /** Keeps an update with its prerequisites below the 64 kB of a message, with eight addresses of each kind too. */
  readonly maxChanges = 45
  readonly #options: Rfc2136Options

  constructor(options: Rfc2136Options) {
    this.#options = options
  }

  async list(): Promise<RecordSet[]> {
    const { server, key, zone } = this.#options
    const records: WireRecord[] = []
    let soaCount = 0
    const questions = [{ name: zone, type: TYPE.AXFR, class: CLASS.IN }]
    await exchange(server, key, { opcode: OPCODE.query, questions }, (message) => {
      requireSuccess(message, 'transfer the zone')
      for (const record of message.answers) {
        // A transfer begins and ends with the SOA record (RFC 5936, section 2.2).
        if (record.type === TYPE.SOA) soaCount++
        else records.push(record)
      }
      return soaCount >= 2
    })
    return toSets(records)
  }

  async read(names: readonly string[]): Promise<RecordSet[]> {
    const siblings = names.map((name) => `${randomBytes(12).toString('hex')}${name.slice(name.indexOf('.'))}`)
    const asked = [...names, ...new Set(siblings)]
    const answers = await Promise.all(asked.flatMap((name) => QUERIED.map((type) => this.#query(name, type))))
    const records = answers.flat()
    // A name that nobody can have made up has records: a wildcard answers here, and only the zone itself tells what is real.
    if (records.some((record) => !names.includes(record.name)))
      return (await this.list()).filter((set) => names.includes(set.name))
    return toSets(records)
  }

  async apply(changes: readonly RecordChange[]): Promise<void> {
    if (changes.length === 0) return
    const { server, key, zone } = this.#options
    await exchange(
      server,
      key,
      {
        opcode: OPCODE.update,
        questions: [{ name: zone, type: TYPE.SOA, class: CLASS.IN }],
        answers: changes.flatMap(prerequisitesOf),
        authority: changes.flatMap(updatesOf),
      },
      (message) => {
        requireSuccess(message, 'update the zone')
        return true
      },
    )
  }

  /** The records of `name` itself among the answers: a chased CNAME's target is not one. */
  async #query(name: string, type: number): Promise<WireRecord[]> {
    const { server, key } = this.#options
    let found: WireRecord[] = []
    const questions = [{ name, type, class: CLASS.IN }]
    await exchange(server, key, { opcode: OPCODE.query, questions }, (message) => {
      if (RCODE[message.rcode] !== 'NXDOMAIN') requireSuccess(message, `tell ${name}`)
      found = message.answers.filter((record) => record.name === name && record.class === CLASS.IN)
      return true
    })
    return found
  }
}

/** RFC 2136, section 2.4: the set must be as it was seen, or must not be there. */
function prerequisitesOf({ before, after }: RecordChange): WireRecord[] {
  if (before !== undefined) return recordsOf(before, 0)
  return after === undefined ? [] : [emptyRecord(after, CLASS.NONE)]
}

/** RFC 2136, section 2.5: the set is removed, then written. */
function updatesOf({ before, after }: RecordChange): WireRecord[] {
  const removal = before === undefined ? [] : [emptyRecord(before, CLASS.ANY)]
  return after === undefined ? removal : [...removal, ...recordsOf(after, after.ttlSeconds)]
}

function recordsOf(set: RecordSet, ttlSeconds: number): WireRecord[] {
  return set.values.map((value) => ({
    name: set.name,
    type: typeNumber(set.type),
    class: CLASS.IN,
    ttlSeconds,
    data: encodeData(set.type, value),
  }))
}

function emptyRecord(set: RecordSet, recordClass: number): WireRecord {
  return { name: set.name, type: typeNumber(set.type), class: recordClass, ttlSeconds: 0, data: Buffer.alloc(0) }
}

function toSets(records: readonly WireRecord[]): RecordSet[] {
  const sets = new Map<string, RecordSet & { values: string[] }>()
  for (const record of records) {
    const type = typeOfNumber(record.type)
    if (type === undefined || record.class !== CLASS.IN) continue
    const key = `${type} ${record.name}`
    const set = sets.get(key) ?? { name: record.name, type, ttlSeconds: record.ttlSeconds, values: [] }
    sets.set(key, set)
    const value = decodeData(type, record.data)
    if (!set.values.includes(value)) set.values.push(value)
  }
  return [...sets.values()]
}

/** Prerequisites that do not hold (RFC 2136, section 3.2) are a conflict: what was read has changed. */
const CONFLICTS = ['YXDOMAIN', 'YXRRSET', 'NXRRSET', 'NXDOMAIN']

function requireSuccess(message: WireMessage, what: string): void {
  const rcode = RCODE[message.rcode] ?? `RCODE ${message.rcode}`
  if (rcode === 'NOERROR') return
  const isConflict = message.opcode === OPCODE.update && CONFLICTS.includes(rcode)
  if (isConflict) throw new DnsFault('dns_conflict', `The zone has changed meanwhile (${rcode}).`)
  throw new DnsFault(
    rcode === 'SERVFAIL' ? 'dns_unreachable' : 'dns_refused',
    `The DNS server does not ${what}: ${rcode}.`,
  )
}
