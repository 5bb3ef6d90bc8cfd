import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { Resolver } from 'node:dns/promises'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFreePort } from '../../../runtime/free-port.ts'
import { endProcess } from '../../../runtime/processes.ts'
import { ensurePowerDns, type PowerDnsPrograms } from './ensure-power-dns.ts'

export const ZONE = 'aerodb.example'
export const TSIG_KEY = { name: 'aerodb-test', secret: randomBytes(32) }

/** A real PowerDNS on free loopback ports with a SQLite database in a folder of its own, all gone after `stop`. */
export class PowerDnsServer {
  readonly apiKey = randomBytes(16).toString('hex')
  readonly directory: string
  readonly dnsPort: number
  readonly apiUrl: string
  readonly #programs: PowerDnsPrograms
  readonly #apiPort: number
  #child: ChildProcess | undefined

  constructor(directory: string, dnsPort: number, apiPort: number, programs: PowerDnsPrograms) {
    this.directory = directory
    this.dnsPort = dnsPort
    this.#apiPort = apiPort
    this.apiUrl = `http://127.0.0.1:${apiPort}`
    this.#programs = programs
  }

  /** Makes the zone, with the TSIG key allowed to update and transfer it, and starts. */
  static async start(): Promise<PowerDnsServer> {
    const programs = await ensurePowerDns()
    const directory = await mkdtemp(join(tmpdir(), 'aerodb-pdns-'))
    const server = new PowerDnsServer(directory, await findFreePort(), await findFreePort(), programs)
    await server.#initialise()
    await server.run()
    return server
  }

  /** Starts the process (again) and waits until it answers. */
  async run(): Promise<void> {
    const child = spawn(this.#programs.server, [`--config-dir=${this.directory}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child = child
    let output = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-2_000)
    })
    for (let tries = 0; tries < 400 && child.exitCode === null; tries++) {
      const answer = await this.resolver()
        .resolveSoa(ZONE)
        .catch(() => undefined)
      const api = await fetch(`${this.apiUrl}/api/v1/servers`, { headers: { 'x-api-key': this.apiKey } }).catch(
        () => undefined,
      )
      if (answer !== undefined && api?.ok === true) return
      await sleep(25)
    }
    await this.stop()
    throw new Error(`PowerDNS did not start: ${output}`)
  }

  /** Ends the process; its data stays. */
  async halt(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child?.pid !== undefined && child.exitCode === null) await endProcess(child.pid, 'SIGTERM', 10_000)
  }

  async stop(): Promise<void> {
    await this.halt()
    await rm(this.directory, { recursive: true, force: true })
  }

  /** Asks this server, and nothing else. */
  resolver(): Resolver {
    const resolver = new Resolver({ timeout: 2_000, tries: 2 })
    resolver.setServers([`127.0.0.1:${this.dnsPort}`])
    return resolver
  }

  /** Changes the zone behind a driver's back. `values` in presentation form; none removes the set. */
  async put(name: string, type: string, ttlSeconds: number, values: readonly string[]): Promise<void> {
    const rrset =
      values.length === 0
        ? { changetype: 'DELETE' }
        : { changetype: 'REPLACE', ttl: ttlSeconds, records: values.map((content) => ({ content, disabled: false })) }
    const response = await fetch(`${this.apiUrl}/api/v1/servers/localhost/zones/${ZONE}.`, {
      method: 'PATCH',
      headers: { 'x-api-key': this.apiKey, 'content-type': 'application/json' },
      body: JSON.stringify({ rrsets: [{ name: `${name}.`, type, ...rrset }] }),
    })
    if (!response.ok) throw new Error(await response.text())
  }

  /** Takes everything out of the zone but its own SOA and NS. */
  empty(): void {
    const database = new DatabaseSync(join(this.directory, 'pdns.sqlite3'), { timeout: 5_000 })
    database.exec(`delete from records where type not in ('SOA', 'NS')`)
    database.close()
  }

  async #initialise(): Promise<void> {
    const database = new DatabaseSync(join(this.directory, 'pdns.sqlite3'))
    database.exec(await readFile(this.#programs.schemaFile, 'utf8'))
    const soa = `ns1.${ZONE} hostmaster.${ZONE} 1 10800 3600 604800 0`
    database.exec(`
      insert into domains (id, name, type) values (1, '${ZONE}', 'NATIVE');
      insert into records (domain_id, name, type, content, ttl, auth) values
        (1, '${ZONE}', 'SOA', '${soa}', 60, 1), (1, '${ZONE}', 'NS', 'ns1.${ZONE}', 60, 1);
      insert into tsigkeys (name, algorithm, secret) values
        ('${TSIG_KEY.name}', 'hmac-sha256', '${TSIG_KEY.secret.toString('base64')}');
      insert into domainmetadata (domain_id, kind, content) values
        (1, 'TSIG-ALLOW-DNSUPDATE', '${TSIG_KEY.name}'), (1, 'TSIG-ALLOW-AXFR', '${TSIG_KEY.name}');
    `)
    database.close()
    const settings = {
      launch: 'gsqlite3',
      'gsqlite3-database': join(this.directory, 'pdns.sqlite3'),
      'gsqlite3-pragma-synchronous': '0',
      'local-address': '127.0.0.1',
      'local-port': this.dnsPort,
      'socket-dir': this.directory,
      daemon: 'no',
      guardian: 'no',
      'disable-syslog': 'yes',
      loglevel: 4,
      api: 'yes',
      'api-key': this.apiKey,
      webserver: 'yes',
      'webserver-address': '127.0.0.1',
      'webserver-port': this.#apiPort,
      dnsupdate: 'yes',
      'allow-dnsupdate-from': '127.0.0.0/8',
      'allow-axfr-ips': '',
      'cache-ttl': 0,
      'query-cache-ttl': 0,
      'negquery-cache-ttl': 0,
      'zone-cache-refresh-interval': 0,
      'security-poll-suffix': '',
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
    await writeFile(join(this.directory, 'pdns.conf'), `${lines.join('\n')}\n`, { mode: 0o600 })
  }
}
