import { storageProblems } from '../errors.ts'
import type { Route, RouteHandler } from './call.ts'

/** What Supabase Storage has and we do not, said in so many words. */
export const unavailableRoutes: readonly Route[] = [
  ...routes(['GET', 'HEAD'], '/render/image/:path{.+}', async () => {
    throw storageProblems.transformationUnavailable()
  }),
  ...routes(['DELETE'], '/cdn/:path{.+}', unavailable('A content delivery network in front of storage')),
  ...routes(['GET', 'PUT', 'DELETE'], '/bucket/:bucket/lifecycle', unavailable('Object versioning')),
  ...['/iceberg', '/vector', '/s3'].flatMap((path) =>
    routes(
      ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
      `${path}/:path{.+}`,
      unavailable(`Storage's ${path.slice(1)} API`),
    ),
  ),
]

function routes(methods: readonly string[], path: string, handler: RouteHandler): Route[] {
  return methods.map((method) => [method, path, handler])
}

function unavailable(what: string): RouteHandler {
  return async () => {
    throw storageProblems.notImplemented(what)
  }
}
