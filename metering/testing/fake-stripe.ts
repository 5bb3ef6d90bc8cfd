import { createServer, type Server } from 'node:http'

type Thing = Record<string, unknown> & { id: string; metadata: Record<string, string> }

/**
 * As much of Stripe as invoices need, with its memory: idempotency keys that can be forgotten (as after 24 hours), search by
 * metadata, totals of lines. It can be told to do a call and then answer with an error, as a connection does that breaks.
 */
export class FakeStripe {
  readonly customers = new Map<string, Thing>()
  readonly invoices = new Map<string, Thing & { total: number; status: string }>()
  readonly lines: (Thing & { invoice: string; amount: number; description: string })[] = []
  readonly creditNotes: (Thing & { invoice: string; total: number; toBalance: number })[] = []
  /** Sums of meter events by customer and name. */
  readonly usage = new Map<string, number>()
  readonly #identifiers = new Set<string>()
  readonly #answers = new Map<string, unknown>()
  readonly #server: Server
  #next = 1
  /** Calls that change something, until the one that is done but answered with an error. */
  breakAfter = Number.POSITIVE_INFINITY
  calls = 0

  constructor() {
    this.#server = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (text: string) => (body += text))
      request.on('end', () => {
        const url = new URL(request.url ?? '', 'http://stripe')
        const key = request.headers['idempotency-key']
        const [status, answer] = this.#answer(request.method ?? '', url, readForm(body), key?.toString())
        response.writeHead(status, { 'content-type': 'application/json', 'request-id': 'req_fake' })
        response.end(JSON.stringify(answer))
      })
    })
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  /** A day later. */
  forgetIdempotencyKeys(): void {
    this.#answers.clear()
    this.#identifiers.clear()
  }

  #answer(method: string, url: URL, form: Record<string, string>, key: string | undefined): [number, unknown] {
    if (method === 'GET') return [200, this.#read(url)]
    this.calls += 1
    const known = key === undefined ? undefined : this.#answers.get(key)
    const answer = known ?? this.#change(url.pathname, form)
    if (key !== undefined) this.#answers.set(key, answer)
    if (this.calls > this.breakAfter) return [400, { error: { message: 'broken off', type: 'api_error' } }]
    return [200, answer]
  }

  #read(url: URL): unknown {
    const [, , kind = '', id = '', part] = url.pathname.split('/')
    if (url.pathname === '/v1/billing/meters')
      return { object: 'list', data: [{ id: 'mtr_requests', event_name: 'requests' }], has_more: false }
    if (kind === 'billing') {
      const sum = this.usage.get(`${url.searchParams.get('customer')} requests`) ?? 0
      return { object: 'list', data: sum === 0 ? [] : [{ aggregated_value: sum }], has_more: false }
    }
    if (kind === 'credit_notes') {
      const data = this.creditNotes.filter((note) => note.invoice === url.searchParams.get('invoice'))
      return { object: 'list', data, has_more: false }
    }
    if (id === 'search') {
      const [, name = '', value = ''] = /metadata\['(.*?)'\]:'(.*?)'/.exec(url.searchParams.get('query') ?? '') ?? []
      const all: Thing[] = [...(kind === 'customers' ? this.customers : this.invoices).values()]
      return { object: 'search_result', data: all.filter((one) => one.metadata[name] === value), has_more: false }
    }
    if (part === 'lines')
      return { object: 'list', data: this.lines.filter((line) => line.invoice === id), has_more: false }
    return this.invoices.get(id)
  }

  #change(path: string, form: Record<string, string>): unknown {
    const [, , kind = '', id = '', step] = path.split('/')
    if (kind === 'billing') return this.#meter(form)
    const metadata = readMetadata(form)
    const newId = `${kind}_${this.#next++}`
    if (kind === 'customers') return keep(this.customers, { id: newId, metadata, name: form.name })
    if (kind === 'invoiceitems') {
      const { invoice = '', description = '' } = form
      const line = { id: newId, metadata, invoice, description, amount: Number(form.amount) }
      this.lines.push(line)
      const owner = this.invoices.get(invoice)
      if (owner !== undefined) owner.total += line.amount
      return line
    }
    if (kind === 'credit_notes') {
      const { invoice = '', credit_amount = '0' } = form
      const total = Number(form['lines[0][unit_amount]'])
      const note = { id: newId, metadata, invoice, total, toBalance: Number(credit_amount) }
      this.creditNotes.push(note)
      return note
    }
    if (step === undefined)
      return keep(this.invoices, {
        id: newId,
        metadata,
        customer: form.customer,
        number: form.number,
        total: 0,
        status: 'draft',
      })
    const invoice = this.invoices.get(id)
    if (invoice === undefined) throw new Error(`no invoice ${id}`)
    invoice.status = { finalize: 'open', pay: 'paid', void: 'void' }[step] ?? invoice.status
    return { ...invoice }
  }

  #meter(form: Record<string, string>): unknown {
    const { identifier = '', event_name = '' } = form
    if (!this.#identifiers.has(identifier)) {
      this.#identifiers.add(identifier)
      const key = `${form['payload[stripe_customer_id]']} ${event_name}`
      this.usage.set(key, (this.usage.get(key) ?? 0) + Number(form['payload[value]']))
    }
    return { object: 'billing.meter_event', identifier }
  }
}

function keep<One extends Thing>(all: Map<string, One>, one: One): One {
  all.set(one.id, one)
  return { ...one }
}

function readForm(body: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(body))
}

function readMetadata(form: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(form).flatMap(([name, value]) => {
      const key = /^metadata\[(.*)\]$/.exec(name)?.[1]
      return key === undefined ? [] : [[key, value]]
    }),
  )
}
