import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/** What an attacker puts in front to leave the place that its text was put into. */
const CLOSERS = ['', "'", '"', ')', "')", '")', "'))", '`', "\\'", '%27', "'||'", '$$', ']', "E'"]

/** What it wants to run, on Postgres or on whatever it takes us for. `TABLE` is the victim's. */
const ATTEMPTS = [
  ' or 1=1',
  " or 'a'='a",
  ' and 1=2',
  '/**/or/**/1=1',
  ' union select null',
  ' union all select null,null,null,null',
  ' union select title from TABLE',
  ' and 1=cast((select title from TABLE limit 1) as int)',
  '||(select title from TABLE)||',
  ' and (select count(*) from TABLE)>0',
  ' and ascii(substr((select title from TABLE limit 1),1,1))>64',
  '; select pg_sleep(9)',
  ' or (select 1 from pg_sleep(9))=1',
  '; drop table TABLE',
  '; update TABLE set title=0',
  "; copy (select '') to program 'id'",
  '; create table pwned (a int)',
  '; set role postgres',
  "; select set_config('app.tenant_id', 'x', false)",
  '; reset all; discard all',
  '; commit; begin',
  ' order by 99',
  ' group by 1 having 1=1',
  ' returning tenant_id',
  " where 1=1 or tenant_id<>''",
  " waitfor delay '0:0:9'",
  ' and sleep(9)',
  "; exec xp_cmdshell('id')",
  " into outfile '/tmp/x'",
  ' from dual',
]

/** How it gets rid of what follows. */
const ENDS = ['', ' --', ' -- -', ' #', '/*', ';', ';\u0000', " and 'a'='a"]

/** SQL injections of every family (boolean, union, stacked, error, time, comment), for one victim's table. */
export function sqlPayloads(table: string): string[] {
  return CLOSERS.flatMap((closer) =>
    ATTEMPTS.flatMap((attempt) => ENDS.map((end) => closer + attempt.replaceAll('TABLE', table) + end)),
  )
}

/** The Big List of Naughty Strings (npm, MIT): what has broken other people's software. */
export function naughtyStrings(): string[] {
  const file = createRequire(import.meta.url).resolve('big-list-of-naughty-strings/blns.json')
  return JSON.parse(readFileSync(file, 'utf8')) as string[]
}

/** Both, in an order that mixes their kinds and is always the same. */
export function hostileTexts(table: string): string[] {
  const all = [...sqlPayloads(table), ...naughtyStrings()]
  // A step that shares no factor with the length visits every one.
  const step = all.length % 997 === 0 ? 991 : 997
  return all.map((_, i) => all[(i * step) % all.length] as string)
}
