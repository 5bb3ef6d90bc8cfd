import { GROUPS } from '../site/openapi.ts'
import { referencePage } from '../site/reference.ts'

/** A page for each group of calls; VitePress puts the content where the template has its marker. */
export default {
  paths: () =>
    GROUPS.map((group) => ({ params: { group: group.id, title: group.title }, content: referencePage(group) })),
}
