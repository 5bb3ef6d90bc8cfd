import { unwrap } from '../../client/platform-client.ts'
import { connect } from '../connection.ts'
import { CliFault, EXIT } from '../fault.ts'
import { profilePath, readProfiles, writeProfiles } from '../profile-store.ts'
import { ask, type Perform, readStdin } from '../session.ts'
import { renderFacts, renderTable } from '../table.ts'
import { readAddress, readKey } from '../target.ts'
import type { Group } from './group.ts'

/** `aerodb login`, `logout`, `whoami`, `profiles` */
export function addAccountCommands(program: Group, perform: Perform): void {
  program
    .command('login')
    .description('Check a platform key and store it as a profile, readable by you only.')
    .option('--name <profile>', 'what to call it; as --profile says, else default')
    .option('--url <url>', 'the address of the platform, such as https://control.example.com')
    .addHelpText(
      'after',
      '\nThe key is asked for at a terminal, else read from stdin; it never stands in the command line.',
    )
    .action((options) =>
      perform(async (session) => {
        const { name = session.options.profile ?? 'default', url } = options
        const address = readAddress(url ?? (await ask(session, 'Address of the platform: ')))
        if (
          address.startsWith('http://') &&
          !/^http:\/\/(?:127\.0\.0\.1|\[::1\]|(?:[\w-]+\.)*localhost)(?:[:/]|$)/.test(address)
        )
          session.out.note('The key travels unencrypted to an http:// address.')
        const key = readKey(
          process.stdin.isTTY ? await ask(session, 'Platform key: ', { isSecret: true }) : await readStdin(),
        )
        const api = connect({ url: address, key, source: 'login' }, { signal: session.signal, note: session.out.note })
        const who = unwrap(await api.GET('/v1/session'))
        const store = await readProfiles(session.env)
        await writeProfiles(session.env, {
          ...store,
          current: name,
          profiles: { ...store.profiles, [name]: { url: address, key } },
        })
        session.out.show({ profile: name, url: address, role: who.role, key_name: who.name }, () =>
          renderFacts({ profile: name, url: address, role: who.role, key: who.name, file: profilePath(session.env) }),
        )
      }),
    )

  program
    .command('logout [profile]')
    .description(
      'Forget a profile, the current one unless named. The key itself stays good: revoke it on the platform.',
    )
    .action((named) =>
      perform(async (session) => {
        const store = await readProfiles(session.env)
        const name = named ?? store.current
        if (name === null || !Object.hasOwn(store.profiles, name))
          throw new CliFault(EXIT.usage, 'no_profile', 'There is no such profile.', 'See `aerodb profiles list`.')
        const { [name]: _gone, ...profiles } = store.profiles
        await writeProfiles(session.env, { ...store, current: store.current === name ? null : store.current, profiles })
        session.out.show({ profile: name, removed: true }, () => `The profile ${name} is forgotten.\n`)
      }),
    )

  program
    .command('whoami')
    .description('Which platform is talked to, with which key and role.')
    .action(() =>
      perform(async (session) => {
        const { url, source } = await session.target()
        const who = unwrap(await (await session.connect()).GET('/v1/session'))
        session.out.show({ url, source, ...who }, () =>
          renderFacts({ platform: url, from: source, key: `${who.name} (${who.key_id})`, role: who.role }),
        )
      }),
    )

  const profiles = program.command('profiles').description('What `aerodb login` has stored.')
  profiles
    .command('list')
    .description('List the profiles; keys are never shown.')
    .action(() =>
      perform(async (session) => {
        const store = await readProfiles(session.env)
        const data = Object.entries(store.profiles).map(([name, { url }]) => ({
          name,
          url,
          current: name === store.current,
        }))
        session.out.show({ data, next_cursor: null }, () =>
          renderTable(
            data,
            [
              { title: '', of: (one) => (one.current ? '*' : '') },
              { title: 'PROFILE', of: (one) => one.name },
              { title: 'ADDRESS', of: (one) => one.url },
            ],
            'No profiles.',
          ),
        )
      }),
    )
  profiles
    .command('use <profile>')
    .description('Use this profile from now on.')
    .action((name) =>
      perform(async (session) => {
        const store = await readProfiles(session.env)
        if (!Object.hasOwn(store.profiles, name))
          throw new CliFault(EXIT.usage, 'no_profile', `There is no profile ${name}.`, 'See `aerodb profiles list`.')
        await writeProfiles(session.env, { ...store, current: name })
        session.out.show({ profile: name }, () => `Using ${name}.\n`)
      }),
    )
}
