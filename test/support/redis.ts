import { findFreePort } from '../../runtime/free-port.ts'
import { findRedisProgram, RedisServer } from '../../runtime/redis-server.ts'

/** Starts a real Redis of the test's own on a free port; the test stops it. With a `directory` its data survives a stop. */
export async function startRedis(directory?: string): Promise<RedisServer> {
  const program = await findRedisProgram()
  if (program === undefined) throw new Error('The tests need a redis-server or valkey-server: `npm test` installs one.')
  const server = new RedisServer({
    program,
    port: await findFreePort(),
    password: 'test',
    ...(directory === undefined ? {} : { directory }),
  })
  await server.start()
  return server
}
