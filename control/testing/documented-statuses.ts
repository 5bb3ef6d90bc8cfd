type Operation = { responses: Record<string, unknown> }
type Documented = readonly { path: RegExp; operations: Readonly<Record<string, Operation>> }[]

/** The same for every control of this process. */
let document: Documented | undefined

/**
 * Fails the test whose call was answered with a status that the OpenAPI document does not name for it. Every test of control that
 * calls a documented address is so a test of the document.
 */
export async function expectDocumented(url: string, method: string, target: string, status: number): Promise<void> {
  const [path = ''] = target.split('?')
  if (!path.startsWith('/v1/') || path === '/v1/openapi.json') return
  // A control that is being killed does not answer any more; the next one does.
  document ??= await readDocument(url).catch(() => undefined)
  // `/v1/tenants/{id}/usage/current` comes before `/v1/tenants/{id}/usage/{month}`.
  const found = (document ?? []).filter((entry) => entry.path.test(path) && method.toLowerCase() in entry.operations)
  const operation = found[0]?.operations[method.toLowerCase()]
  if (operation !== undefined && !(status in operation.responses))
    throw new Error(`${method} ${path} was answered ${status}, which the OpenAPI document does not name`)
}

async function readDocument(url: string): Promise<Documented> {
  const response = await fetch(`${url}/v1/openapi.json`)
  const { paths } = (await response.json()) as { paths: Record<string, Record<string, Operation>> }
  return Object.entries(paths)
    .toSorted(([a], [b]) => Number(a.includes('{')) - Number(b.includes('{')))
    .map(([template, operations]) => ({
      path: new RegExp(`^${template.replaceAll('.', '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`),
      operations,
    }))
}
