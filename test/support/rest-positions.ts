/** A request of `/rest/v1` that carries a text at one position of the grammar. */
export type PositionedRequest = {
  path: string
  method?: string
  body?: unknown
  headers?: Record<string, string>
  /** Of a signed-in user whose token holds the text. */
  claims?: Record<string, unknown>
}

/** A collection with `title` (text) and `meta` (jsonb), and one that refers to it. */
export type Collections = { table: string; referring: string }

const q = (text: string) => encodeURIComponent(text.toWellFormed())

/** Every position of the grammar into which a client puts text, with `p` there. It changes no row that has an id. */
export function positionsOf(p: string, { table: t, referring: r }: Collections): PositionedRequest[] {
  const requests: [string, Omit<PositionedRequest, 'path'>?][] = [
    [`/${t}?select=${q(p)}`],
    [`/${t}?select=id,${q(p)}:title`],
    [`/${t}?select=id,"${q(p)}":title`],
    [`/${t}?select=title::${q(p)}`],
    [`/${t}?select=meta->${q(p)}`],
    [`/${t}?select=meta->"${q(p)}"`],
    [`/${t}?select=${r}(${q(p)})`],
    [`/${t}?select=${r}!${q(p)}(id)`],
    [`/${t}?select=${q(p)}(id)`],
    [`/${t}?select=id.${q(p)}()`],
    [`/${t}?${q(p)}=eq.1`],
    [`/${t}?"${q(p)}"=eq.1`],
    [`/${t}?title=${q(p)}`],
    [`/${t}?title=eq.${q(p)}`],
    [`/${t}?title=like.${q(p)}`],
    [`/${t}?title=match.${q(p)}`],
    [`/${t}?title=in.(${q(p)})`],
    [`/${t}?title=in.("${q(p)}")`],
    [`/${t}?title=fts(${q(p)}).x`],
    [`/${t}?title=fts.${q(p)}`],
    [`/${t}?title=is.${q(p)}`],
    [`/${t}?id=eq(any).${q(p)}`],
    [`/${t}?meta->>${q(p)}=eq.1`],
    [`/${t}?meta=cs.${q(p)}`],
    [`/${t}?or=(${q(p)})`],
    [`/${t}?or=(title.eq.${q(p)})`],
    [`/${t}?or=(title.eq."${q(p)}",id.eq.1)`],
    [`/${t}?select=id,${r}(id)&${r}.title=eq.${q(p)}`],
    [`/${t}?select=id,${r}(id)&${r}.order=${q(p)}`],
    [`/${t}?order=${q(p)}`],
    [`/${t}?order=title.${q(p)}`],
    [`/${t}?limit=${q(p)}`],
    [`/${t}?offset=${q(p)}`],
    [`/${q(p)}`],
    [`/rpc/${q(p)}`],
    [`/rpc/f?${q(p)}=1`],
    [`/${t}?columns=${q(p)}`, { body: { title: 'x' } }],
    [`/${t}?on_conflict=${q(p)}`, { body: { title: 'x' }, headers: { prefer: 'resolution=merge-duplicates' } }],
    [`/${t}`, { body: { [p]: 'x' } }],
    [`/${t}`, { body: { title: p } }],
    [`/${t}`, { body: `title\n"${p.replaceAll('"', '""')}"\n`, headers: { 'content-type': 'text/csv' } }],
    [`/${t}`, { body: `${p},title\n1,2\n`, headers: { 'content-type': 'text/csv' } }],
    [`/${t}?id=eq.0`, { method: 'PATCH', body: { [p]: p } }],
    [`/${t}?title=eq.${q(p)}`, { method: 'DELETE' }],
    [`/${t}?id=eq.${q(p)}`, { method: 'PUT', body: { id: p, title: p } }],
    [`/${t}`, { headers: { prefer: q(p) } }],
    [`/${t}`, { headers: { accept: q(p) } }],
    [`/${t}`, { headers: { range: q(p) } }],
    [`/${t}`, { headers: { 'accept-profile': q(p) } }],
    [`/${t}`, { claims: { sub: p } }],
  ]
  return requests.map(([path, options = {}]) => ({ path: `/rest/v1${path}`, ...options }))
}

/** How many positions there are. */
export const POSITIONS = positionsOf('', { table: 't', referring: 'r' }).length
