type Page<Item> = { data: Item[]; next_cursor: string | null }

/** What every list can be asked for. */
export type Wanted = { limit: number; all?: boolean | undefined; cursor?: string | undefined }

const MAX_PAGE = 200

/** Reads as many items as are wanted, page by page. */
export async function readPages<Item>(
  wanted: Wanted,
  readPage: (query: { limit: number; cursor?: string }) => Promise<Page<Item>>,
): Promise<Page<Item>> {
  const data: Item[] = []
  let cursor = wanted.cursor ?? null
  do {
    const limit = wanted.all === true ? MAX_PAGE : Math.min(MAX_PAGE, wanted.limit - data.length)
    const page = await readPage({ limit, ...(cursor === null ? {} : { cursor }) })
    data.push(...page.data)
    cursor = page.next_cursor
  } while (cursor !== null && (wanted.all === true || data.length < wanted.limit))
  return { data, next_cursor: cursor }
}
