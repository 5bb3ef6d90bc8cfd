import { makeLogger } from '../../runtime/log.ts'

/** The logger of tests; `AERODB_TEST_LOG=debug` lets it speak. */
export const quiet = makeLogger('test', process.env.AERODB_TEST_LOG ?? 'silent')
